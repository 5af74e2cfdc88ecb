"""Folders of sounds with what is said in them, in every form that they come in."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from speakers import RATE, said, sentences

from headstart import catalog
from headstart.data import Dataset, Schema, load
from headstart.errors import DataError, HeadstartError
from headstart.evidence.lookup import alike

TEXTS = sentences(24)


def opened(place: Path, **schema: Any) -> Dataset:
    """A data set of sounds."""
    return load(place, catalog.modality("audio"), Schema(**schema))


def sounds(folder: Path, names: Sequence[str], suffix: str = ".wav", first: int = 0) -> None:
    """A sound for each text from the `first` on, by these names."""
    for number, name in enumerate(names, first):
        place = folder / f"{name}{suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(place, said(TEXTS[number % len(TEXTS)], number), RATE)


def table(place: Path, rows: Sequence[Sequence[str]], delimiter: str = ",") -> None:
    """A table of text."""
    with place.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def manifest(folder: Path) -> Path:
    """A table of files and texts."""
    sounds(folder, [f"{n:02}" for n in range(24)])
    table(
        folder / "metadata.csv", [("file", "text"), *((f"{n:02}.wav", TEXTS[n]) for n in range(24))]
    )
    return folder


def common_voice(folder: Path) -> Path:
    """Clips, a table of tabs for each split, and one of no split."""
    sounds(folder / "clips", [f"common_voice_{n}" for n in range(24)], ".mp3")
    head = ("client_id", "path", "sentence", "up_votes", "down_votes", "age", "accent")
    parts = {"train": range(16), "dev": range(16, 20), "test": range(20, 24), "other": range(2)}
    for name, numbers in parts.items():
        rows = [(f"s{n}", f"common_voice_{n}.mp3", TEXTS[n], "2", "0", "", "") for n in numbers]
        table(folder / f"{name}.tsv", [head, *rows], "\t")
    return folder


def lj_speech(folder: Path) -> Path:
    """A name and texts, a line each, with pipes between and no header."""
    sounds(folder / "wavs", [f"LJ001-{n:04}" for n in range(24)])
    lines = [f'LJ001-{n:04}|Mr. "{TEXTS[n]}|{TEXTS[n]}\n' for n in range(24)]
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return folder


def libri_speech(folder: Path) -> Path:
    """Folders of splits, speakers and chapters, each with a list of what is said."""
    splits = {"train-clean-100": "12", "dev-clean": "34", "test-clean": "56"}
    number = 0
    for split, speakers in splits.items():
        for speaker in speakers:
            place = folder / split / speaker / "7"
            names = [f"{speaker}-7-{n:04}" for n in range(4)]
            sounds(place, names, ".flac", number)
            lines = [f"{name} {TEXTS[number + n].upper()}\n" for n, name in enumerate(names)]
            (place / f"{speaker}-7.trans.txt").write_text("".join(lines), encoding="utf-8")
            number += 4
    return folder


def beside(folder: Path) -> Path:
    """A file of text by the name of each sound."""
    sounds(folder, [f"{n:02}" for n in range(24)])
    for number in range(24):
        (folder / f"{number:02}.txt").write_text(f"{TEXTS[number]}\n", encoding="utf-8")
    return folder


def lines(folder: Path) -> Path:
    """JSON lines of Hugging Face's folders of sounds."""
    import json

    sounds(folder / "data", [f"{n:02}" for n in range(24)])
    rows = [{"file_name": f"data/{n:02}.wav", "transcription": TEXTS[n]} for n in range(24)]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    return folder


def parquet(folder: Path) -> Path:
    """A column of sounds, their bytes in it, and one of sentences among others."""
    import pyarrow
    from pyarrow import parquet as library

    sounds(folder / "s", [f"{n:02}" for n in range(24)])
    files = [(folder / "s" / f"{n:02}.wav").read_bytes() for n in range(24)]
    shutil.rmtree(folder / "s")
    rows = {
        "audio": [{"bytes": own, "path": f"{n:02}.wav"} for n, own in enumerate(files)],
        "sentence": TEXTS,
        "locale": ["en"] * 24,
    }
    library.write_table(pyarrow.table(rows), folder / "train-00000-of-00001.parquet")
    return folder


FORMS: dict[str, Callable[[Path], Path]] = {
    each.__name__: each
    for each in (manifest, common_voice, lj_speech, libri_speech, beside, lines, parquet)
}


@pytest.mark.parametrize("form", [*FORMS])
def test_texts_are_the_answers(form: str, tmp_path: Path) -> None:
    """No flag says so: a column's name does, or the form of the folder."""
    own = opened(FORMS[form](tmp_path / "clips"))
    assert own.kind == "sequences"
    assert {item.label.lower() for item in own.items} == {*TEXTS}
    assert len(own.items) == len(TEXTS)


def test_a_label_goes_before_a_text(tmp_path: Path) -> None:
    sounds(tmp_path, [f"{n:02}" for n in range(24)])
    rows = [(f"{n:02}.wav", TEXTS[n], "cd"[n % 2]) for n in range(24)]
    table(tmp_path / "metadata.csv", [("file", "text", "label"), *rows])
    assert opened(tmp_path).kind == "classes"
    assert opened(tmp_path, kind="sequences", label="text").kind == "sequences"


def test_splits_and_speakers_of_libri_speech(tmp_path: Path) -> None:
    own = opened(libri_speech(tmp_path / "LibriSpeech"))
    sizes = {name: len(own.split(name)) for name in ("train", "validation", "test")}
    assert sizes == {"train": 8, "validation": 8, "test": 8}
    assert {item.group for item in own.split("test")} == {"5", "6"}
    flat = tmp_path / "flat"
    shutil.copytree(tmp_path / "LibriSpeech" / "train-clean-100", flat)
    shutil.copytree(tmp_path / "LibriSpeech" / "dev-clean", flat, dirs_exist_ok=True)
    cut = opened(flat)
    groups = {name: {i.group for i in cut.split(name)} for name in ("train", "validation", "test")}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["validation"]


def test_quotation_marks_in_lj_speech_are_text(tmp_path: Path) -> None:
    """The last column counts, where numbers are written as words."""
    own = opened(lj_speech(tmp_path / "LJSpeech-1.1"))
    assert not any('"' in item.label for item in own.items)
    assert opened(tmp_path / "LJSpeech-1.1" / "metadata.csv").kind == "sequences"


@pytest.mark.parametrize("line", ["{n}.wav|{t}", "wavs/{n}.wav|{t}", "{n}|{t}|{s}", "{n}|{t}|"])
def test_other_lines_with_pipes(line: str, tmp_path: Path) -> None:
    """Files by their whole names; and a last column that is no other spelling of the text."""
    names = [f"{n:02}" for n in range(24)]
    sounds(tmp_path / "wavs", names)
    rows = [line.format(n=n, t=t, s=f"s{n[1]}") for n, t in zip(names, TEXTS, strict=True)]
    (tmp_path / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    own = opened(tmp_path)
    assert own.kind == "sequences"
    assert {item.label for item in own.items} == {*TEXTS}


def test_texts_beside_sounds_in_folders_of_splits(tmp_path: Path) -> None:
    """Folders that are called after splits are no classes."""
    beside(tmp_path)
    for number in range(24):
        part = tmp_path / ("train" if number < 16 else "dev" if number < 20 else "test")
        part.mkdir(exist_ok=True)
        for suffix in (".wav", ".txt"):
            name = f"{number:02}{suffix}"
            (tmp_path / name).rename(part / name)
    own = opened(tmp_path)
    assert own.kind == "sequences"
    assert {item.label for item in own.split("test")} == {*TEXTS[20:]}


def test_a_name_doesnt_lead_out_of_the_folder(tmp_path: Path) -> None:
    place = libri_speech(tmp_path / "clips")
    listing = next(place.rglob("*.trans.txt"))
    listing.write_text("../../../../outside A B\n" + listing.read_text(encoding="utf-8"))
    with pytest.raises(DataError, match=r"leaves|outside"):
        opened(place)


def test_what_spoils_transcripts_is_left_out(tmp_path: Path) -> None:
    """Empty ones, those without a word, and those in another script; a name in it stays."""
    sounds(tmp_path, [f"{n:02}" for n in range(24)])
    texts = [f"the cat sees {text}" for text in TEXTS]
    texts[0], texts[1], texts[2], texts[3] = "", "...", "это совсем другой язык", "see кот"
    rows = [(f"{n:02}.wav", text) for n, text in enumerate(texts)]
    table(tmp_path / "metadata.csv", [("file", "text"), *rows])
    own = opened(tmp_path)
    remaining = {item.label for item in own.items}
    assert remaining == {*texts[3:]}
    report = str(own.report)
    assert "its text has no word" in report
    assert "its text is not in the script of the others" in report


def test_the_nearest_item_is_that_of_the_nearest_numbers() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((7, 4)) * np.array([1, 10, 100, 1000])
    items = [{"a": row[:2], "b": row[2:]} for row in rows]
    queries = [{"a": row[:2] + 0.01, "b": row[2:] * 1.01} for row in rows[[4, 1]]]
    assert alike(items, queries).tolist() == [4, 1]
    assert alike(items, []).tolist() == []


def test_spoken_error_rates_pass_over_case_and_punctuation() -> None:
    from headstart.contracts.sequences import encoded

    expected, answers = encoded(["Hello, world!", "It's ten."]), encoded(["hello world", "its TEN"])
    rates = {n: catalog.metric_named(n).of(answers, expected) for n in ("wer", "spoken-wer")}
    assert rates == {"wer": pytest.approx(1.0), "spoken-wer": pytest.approx(0.25)}
    assert catalog.metric_named("spoken-cer").of(answers, expected) == pytest.approx(1 / 19)
    assert "lower case" in catalog.metric_named("spoken-wer").signature(expected)


def test_a_column_that_is_no_text_is_asked_about(tmp_path: Path) -> None:
    sounds(tmp_path, [f"{n:02}" for n in range(24)])
    rows = [(f"{n:02}.wav", TEXTS[n], "x") for n in range(24)]
    table(tmp_path / "metadata.csv", [("file", "words", "place"), *rows])
    with pytest.raises(HeadstartError, match="Say which one holds the label"):
        opened(tmp_path)
    assert opened(tmp_path, kind="sequences", label="words").kind == "sequences"
