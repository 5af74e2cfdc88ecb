"""The whole path on sounds: fitted, saved, opened and asked, from files, tables and parts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import told
from sounds import RATE, encoded, soundfile, tone, tones

import headstart as hs
from headstart import catalog
from headstart.data import Schema, load

QUICK: dict[str, Any] = {"evidence": "none", "scratch": False, "strategy": "feature-extraction"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tones(tmp_path_factory.mktemp("data") / "tones", 16)


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    hs.fit(data, "seeded:audio?window=0.5", out, group="name:1", **QUICK)
    return out


def test_groups_of_file_names_are_proposed_and_taken(data: Path) -> None:
    modality = catalog.modality("audio")
    (sentence,) = [s for s in load(data, modality).report.warnings if "--group" in s]
    assert "`anna`" in sentence and "--group name:1" in sentence
    apart = load(data, modality, Schema(group="name:1"))
    assert not [s for s in apart.report.warnings if "--group" in s]
    pairs = {(item.group, item.split) for item in apart.items}
    assert sorted(group for group, _ in pairs) == ["anna", "bo", "cem", "dia"]


def test_a_part_that_names_lack_is_refused(data: Path) -> None:
    ended = told.run("fit", data, "-b", "seeded:audio", "--group", "name:3")
    assert "has no part 3 in its name" in ended.sentence()


def test_answers_of_a_fresh_process_and_without_torch(model: Path, data: Path) -> None:
    answers = hs.load(model).predict(data)
    right = [Path(each.path).parent.name == each.label for each in answers]
    assert np.mean(right) > 0.9
    assert (model / "engine").is_dir()


def test_one_bad_file_never_stops_a_folder(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(tone(300)))
    (tmp_path / "b.wav").write_bytes(b"RIFF....WAVEnothing")
    (tmp_path / "c.flac").write_bytes(b"")
    (tmp_path / "d.mp3").write_bytes(encoded(tone(2_500, 0.4, 44_100), 44_100))
    (tmp_path / "e.wav").write_bytes(encoded(np.zeros((0, 2), np.float32)))
    (tmp_path / "f.ogg").write_bytes(encoded(np.stack([tone(300)] * 2, 1), form="OGG"))
    ended = told.run("predict", model, tmp_path, "--json")
    rows = {Path(row["path"]).name: row for row in json.loads(ended.stdout)["predictions"]}
    assert [name for name, row in sorted(rows.items()) if row.get("error")] == [
        "b.wav",
        "c.flac",
        "e.wav",
    ]
    assert rows["a.wav"]["label"] == rows["f.ogg"]["label"] == "low"
    assert rows["d.mp3"]["label"] == "high"
    assert "it is empty" in rows["c.flac"]["error"]


def test_what_is_saved_says_how_it_hears(model: Path) -> None:
    record = json.loads((model / "headstart.json").read_text())
    assert record["preprocess"] == {
        "rate": RATE,
        "window": 8_000,
        "hop": 8_000,
        "resampler": "soxr-hq",
        "pad": "centre",
    }
    assert record["modality"] == "audio" and record["task"] == "audio-classification"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of several tones each, and a table of their parts."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = []
    for number in range(6):
        sounds, start = [], 0.0
        for place in range(6):
            label, hertz = (("low", 300), ("high", 2_500))[place % 2]
            sound = tone(hertz + 9 * number, 0.4 + 0.1 * place, seed=10 * number + place)
            seconds = len(sound) / RATE
            rows.append((f"tape{number}.wav", start, start + seconds, label))
            sounds.append(sound)
            start += seconds
        subtype = ("PCM_24", "PCM_U8", "FLOAT")[number % 3]
        (folder / f"tape{number}.wav").write_bytes(encoded(np.concatenate(sounds), subtype=subtype))
    with open(folder / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "start", "end", "label"), *rows])
    return folder


def test_rows_may_mean_parts_of_a_recording(recordings: Path, tmp_path: Path) -> None:
    dataset = load(recordings, catalog.modality("audio"))
    assert len(dataset.items) == 36
    tapes = {item.id.partition(" ")[0]: set[str]() for item in dataset.items}
    for item in dataset.items:
        tapes[item.id.partition(" ")[0]].add(str(item.split))
    assert all(len(splits) == 1 for splits in tapes.values())  # one recording is never parted
    out = tmp_path / "model"
    hs.fit(recordings, "seeded:audio?window=0.5", out, **QUICK)
    answers = hs.load(out).predict(recordings / "labels.csv")
    assert [each.label for each in answers] == ["low", "high"] * 18
    assert len({each.path for each in answers}) == 36


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("tape0.wav", "soon", "1", "low"), "'soon' where a part begins or ends"),
        (("tape0.wav", "-1", "1", "low"), "'-1' where a part begins or ends"),
    ],
)
def test_a_part_that_cannot_be_is_refused(
    recordings: Path, tmp_path: Path, row: tuple[str, ...], words: str
) -> None:
    (tmp_path / "tape0.wav").write_bytes((recordings / "tape0.wav").read_bytes())
    table = tmp_path / "labels.csv"
    lines = [("path", "start", "end", "label"), row, ("tape0.wav", "0", "1", "high")]
    table.write_text("\n".join(",".join(line) for line in lines))
    assert words in told.run("fit", table, "-b", "seeded:audio").sentence()


def test_a_part_beyond_the_end_is_left_out(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "tape0.wav").write_bytes((recordings / "tape0.wav").read_bytes())
    table = tmp_path / "labels.csv"
    rows = [f"tape0.wav,{n / 10},{n / 10 + 0.5},{'ab'[n % 2]}" for n in range(8)]
    table.write_text("\n".join(["path,start,end,label", *rows, "tape0.wav,90,91,a"]))
    report = load(table, catalog.modality("audio")).report
    ((name, why),) = report.skipped
    assert "from 90 to 91" in name and "no sound from 90 s to 91 s" in why


def test_bytes_in_parquet_are_heard(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow.parquet import write_table

    sounds = [
        {"bytes": encoded(tone((300, 2_500)[n % 2] + n, seed=n)), "path": f"{n}.wav"}
        for n in range(24)
    ]
    table = pyarrow.table({"audio": sounds, "label": ["low", "high"] * 12})
    write_table(table, tmp_path / "train.parquet")
    dataset = load(tmp_path / "train.parquet", catalog.modality("audio"))
    assert len(dataset.items) == 24 and not dataset.report.skipped


@pytest.mark.slow
def test_the_report_shows_and_plays_mistakes(data: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "data"
    for path in data.glob("*/*.wav"):
        label = path.parent.name if "07" not in path.name else "low"
        (wrong / label).mkdir(parents=True, exist_ok=True)
        (wrong / label / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
    ended = told.run(
        *("fit", wrong, "-b", "seeded:audio?window=0.5", "-s", "feature-extraction"),
        *("-o", tmp_path / "model"),
    )
    assert ended.exit_code == 0, ended.stderr
    page = (tmp_path / "model" / "report.html").read_text()
    assert '<audio controls preload="none" src="data:audio/mpeg;base64,' in page
    assert "media-src data:;" in page and "data:image/jpeg;base64," in page
    assert "log-mel" in ended.stdout  # the cheap baseline


@pytest.mark.slow
def test_an_answer_is_explained_on_a_spectrogram(model: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("captum", reason="needs the extra explain")
    sound = tmp_path / "high.wav"
    sound.write_bytes(encoded(tone(2_500)))
    ended = told.run("predict", model, sound, "--explain", "--json", "-o", tmp_path / "out")
    (row,) = json.loads(ended.stdout)["predictions"]
    heat = np.array(row["explanation"]["heat"])
    assert heat.max() == 1 and row["explanation"]["method"].startswith("Occlusion of")
    assert Path(row["overlay"]).is_file()


@pytest.mark.slow
def test_other_commands_take_sounds(tmp_path: Path) -> None:
    data, model = tones(tmp_path / "tones", 32), tmp_path / "model"
    hs.fit(data, "seeded:audio?window=0.5", model, judge="cv", **QUICK)
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    for number, path in enumerate(sorted(data.glob("*/*.wav"))):
        samples, rate = soundfile.read(path, dtype="float32")
        noise = np.random.default_rng(number).normal(0, 0.3, len(samples)).astype(np.float32)
        (noisy / f"{number:02}.wav").write_bytes(encoded(samples + noise, rate))
    moved = told.run("shift", model, noisy)
    assert moved.exit_code == 0, moved.stderr
    watched = told.run("watch", model, noisy)
    assert watched.exit_code == 0, watched.stderr
    picked = told.run("suggest", model, noisy, "--next", "3")
    assert picked.exit_code == 0, picked.stderr
    ranked = told.run("rank", data, "-b", "seeded:audio", "-b", "seeded:audio?seed=2")
    assert ranked.exit_code == 0 and "seeded:audio?seed=2" in ranked.stdout, ranked.stderr


def test_the_library_that_reads_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    ended = told.run("fit", data, "-b", "seeded:audio")
    assert "pip install 'headstart[audio]'" in ended.sentence()
