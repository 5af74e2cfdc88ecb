"""Long recordings: what is in them and when, by windows of a saved model."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import told
from hypothesis import given
from hypothesis import strategies as st
from sounds import encoded, tone, tones

import headstart as hs
from headstart.errors import HeadstartError
from headstart.serve.events import _averages, _joined
from headstart.serve.windowing import Windowing

QUICK: dict[str, Any] = {"evidence": "none", "scratch": False, "strategy": "feature-extraction"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tones(tmp_path_factory.mktemp("data") / "tones", 16)
    out = tmp_path_factory.mktemp("model") / "model"
    hs.fit(data, "seeded:audio?window=0.5", out, group="name:1", **QUICK)
    return out


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds low, one high, one low."""
    hertz = [300, 300, 300, 300, 2_500, 2_500, 300, 300]
    samples = np.concatenate([tone(each, 0.5, seed=n) for n, each in enumerate(hertz)])
    path = tmp_path_factory.mktemp("recording") / "long.flac"
    path.write_bytes(encoded(samples, form="FLAC"))
    return path


def test_windows_are_joined_where_neighbours_say_the_same(model: Path, recording: Path) -> None:
    events = hs.load(model).events(recording, hop=0.5)
    labels = [event.label for event in events]
    assert labels[0] == labels[2] != labels[1]
    assert [(event.start, event.end) for event in events] == [(0, 2), (2, 3), (3, 4)]
    assert all(0.5 <= (event.probability or 0) <= 1 for event in events)
    (alone,) = hs.load(model).predict(recording.parent)  # one answer about all of it
    assert alone.label == labels[0]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".txt"])
def test_events_are_written(model: Path, recording: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"events{suffix}"
    flags = ("--events", "--window", "0.5", "--hop", "0.5", "--out", out)
    assert told.run("predict", model, recording, *flags).exit_code == 0
    if suffix == ".txt":
        rows = [line.split("\t") for line in out.read_text().splitlines()]
    elif suffix == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(out).to_pylist()
        rows = [[row["start"], row["end"], row["label"]] for row in table]
    elif suffix == ".csv":
        with out.open(newline="") as file:
            rows = [[row["start"], row["end"], row["label"]] for row in csv.DictReader(file)]
    else:
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        rows = [[row["start"], row["end"], row["label"]] for row in lines]
    assert [[float(row[0]), float(row[1])] for row in rows] == [[0, 2], [2, 3], [3, 4]]
    assert rows[0][2] == rows[2][2] != rows[1][2]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--window", "1"), "Add --events"),
        (("--events", "--window", "0"), "no length of sound"),
        (("--events", "--least", "2"), "no probability"),
        (("--events", "--explain"), "Leave one of them out"),
        (("--events", "--out", "events.wav"), "no kind that events are written in"),
        (("--events", "--hop", "nan"), "no length of sound"),
    ],
)
def test_what_cannot_be_is_refused(
    model: Path, recording: Path, flags: tuple[str, ...], words: str
) -> None:
    assert words in told.run("predict", model, recording, *flags).sentence()


def test_a_recording_that_cannot_be_read_stops_no_other(
    model: Path, recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF....WAVEnothing")
    (tmp_path / "b.flac").write_bytes(recording.read_bytes())
    (tmp_path / "c.wav").write_bytes(encoded(np.zeros(0, np.float32)))
    (tmp_path / "d.wav").write_bytes(encoded(tone(300, 0.1)))  # shorter than a window
    events = hs.load(model).events(tmp_path, hop=0.5)
    errors = {Path(event.path).name: event.error for event in events.failed}
    assert "can't be read as sound" in errors["a.wav"] and "no samples" in errors["c.wav"]
    names = {Path(event.path).name for event in events if not event.error}
    assert "b.flac" in names
    assert {event.end for event in events if event.path.endswith("d.wav")} <= {0.1}


def test_labels_of_several_recordings_go_in_no_file_of_audacity(
    model: Path, recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "one.flac").write_bytes(recording.read_bytes())
    events = hs.load(model).events([recording, tmp_path / "one.flac"])
    with pytest.raises(HeadstartError, match="2 recordings"):
        events.write(tmp_path / "labels.txt")


def test_a_model_of_other_items_says_so(tmp_path: Path) -> None:
    texts = [f"{word} thing {n}" for n in range(12) for word in ("good", "bad")]
    rows = {"text": texts, "label": ["a", "b"] * 12}
    hs.fit(rows, "seeded:text-encoder", tmp_path / "model", label="label", **QUICK)
    with pytest.raises(HeadstartError, match="answers about texts"):
        hs.load(tmp_path / "model").events("a text")


@given(length=st.floats(0.01, 100), window=st.floats(0.05, 20), hop=st.floats(0.05, 20))
def test_windows_begin_at_the_start_and_end_at_the_end(
    length: float, window: float, hop: float
) -> None:
    spans = Windowing(window, hop).spans(length, 1.0)
    assert spans[0, 0] == 0 and abs(spans[-1, 1] - length) < 1e-5
    assert (np.diff(spans[:, 0]) > 0).all()
    np.testing.assert_allclose(spans[:, 1] - spans[:, 0], min(window, length), atol=2e-6)


def test_overlapping_windows_are_averaged() -> None:
    spans = np.array([[0.0, 2.0], [1.0, 3.0]])
    rows = [{"a": 0.9, "b": 0.1}, {"a": 0.3, "b": 0.7}]
    means = _averages(np.searchsorted(np.unique(spans), spans), rows, ["a", "b"])
    np.testing.assert_allclose(means, [[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    events = list(_joined("x", spans, rows, 0.5))
    assert [(e.start, e.end, e.label) for e in events] == [(0, 2, "a"), (2, 3, "b")]
    assert events[0].probability == pytest.approx(0.75)


def test_labels_that_do_not_exclude_one_another_overlap() -> None:
    spans = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    rows = [{"a": 0.9, "b": 0.8}, {"a": 0.9, "b": 0.1}, {}]
    events = list(_joined("x", spans, rows, 0.5))
    assert [(e.start, e.end, e.label) for e in events] == [(0, 2, "a"), (0, 1, "b")]


def test_numbers_are_said_for_each_window() -> None:
    spans = np.array([[0.0, 1.0], [1.0, 2.0]])
    events = list(_joined("x", spans, [{"": 3.0}, {"": 5.0}], 0.5))
    assert [(e.start, e.end, e.label) for e in events] == [(0, 1, 3.0), (1, 2, 5.0)]


def test_what_no_window_heard_is_no_answer() -> None:
    spans = np.array([[0.0, 1.0], [2.0, 3.0], [2.5, 3.5]])
    numbers = list(_joined("a.wav", spans, [{"": 4.0}, {"": 6.0}, {}], least=0.5))
    assert [(each.start, each.end, each.label) for each in numbers] == [
        (0.0, 1.0, 4.0),
        (2.0, 2.5, 6.0),
        (2.5, 3.0, 6.0),  # the window that abstains is no number
    ]
    rows = [{"x": 0.9, "y": 0.1}, {"x": 0.2, "y": 0.8}, {}]
    labels = list(_joined("a.wav", spans, rows, least=0.3))
    assert [(each.start, each.end, each.label) for each in labels] == [
        (0.0, 1.0, "x"),
        (2.0, 3.0, "y"),  # 0.8, then 0.4 beside the window that abstains
    ]
    assert labels[1].probability == pytest.approx(0.6)
