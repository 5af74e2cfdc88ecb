"""The benchmarks of familiarity and drift, on features that are made up and lie where they look."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from test_familiarity import blobs

from benchmarks import environments
from benchmarks.arguments import names
from benchmarks.drift import comparing, monitors, scope, sets, streams
from headstart.drift.watching import LENGTH

PAIR = "films → books MiniLM"
STRICT = """
import json, pathlib, sys, numpy

monitor, window, folder, out = sys.argv[1:]
assert (monitor, window) == ("features", "100")
rows = {}
for place in pathlib.Path(folder).glob("*.npz"):
    arrays = numpy.load(place)
    seen, known = len(arrays["stream_features"]), len(arrays["reference_features"])
    assert arrays["stream_chances"].shape == (seen, arrays["reference_chances"].shape[1])
    assert len(arrays["reference_chances"]) == len(arrays["reference_targets"]) == known
    rows[place.stem] = {"alarms": [False, False, True]} if place.stem < "3" else {"error": "no"}
pathlib.Path(out).write_text(json.dumps(rows))
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Features of sets, the second far from the first, and of two domains."""
    for folder in ("drift", "adaptation"):
        (tmp_path / folder).mkdir()
    for place, name in enumerate(("sst2", "trec", "banking77")):
        features, _, targets = blobs(2500, place, width=8)
        np.savez(
            sets.stored(name, tmp_path / "drift"),
            features=features + 4 * place,
            labels=targets.astype(str),
        )
    for place, name in enumerate(("films", "books")):
        features, _, targets = blobs(600, 10 + place, width=8)
        np.savez(tmp_path / "adaptation" / f"{name}, MiniLM.npz", x=features + 4 * place, y=targets)
    return tmp_path


def test_familiarity_is_measured_beside_other_scores(work: Path, tmp_path: Path) -> None:
    outputs = scope.run(tmp_path / "none", work / "drift", ["sst2"], 1)
    assert {row["strange"] for row in outputs["scope"]} == {"trec", "banking77"}
    assert all(0 <= row[score][0] <= 1 for row in outputs["scope"] for score in scope.SCORES)
    assert [row["labels"] for row in outputs["coverage"]] == [20, 50, 100, 200, 500, 1000]
    assert all(row["held"] > 0.87 for row in outputs["coverage"])
    assert sets.features("sst2", tmp_path / "none", work / "drift")[0].shape == (2500, 8)


@pytest.mark.parametrize("name", streams.QUIET)
def test_quiet_streams_have_as_many_items_as_they_take(name: str, shared_data: Path) -> None:
    items, labels = sets.items(name, shared_data)
    assert len(items) == len(labels) >= sum(streams.QUIET[name]) + LENGTH


def test_sets_can_be_named_by_commas() -> None:
    for every in (streams.MOVED, scope.TASKS):
        assert names(",".join(every), every, "Set") == list(every)


def test_texts_of_every_set_are_read_with_their_labels(shared_data: Path) -> None:
    for name in sets.TEXTS:
        items, labels = sets.items(name, shared_data)
        assert len(items) == len(labels) > 500 and len(set(labels)) > 1


def test_streams_are_looked_at_once_and_counted(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "QUIET", {"sst2": (200, 250)})
    draws = {"seeds": 1, "quiet": 1}
    rows = comparing.run(tmp_path / "none", work, [PAIR], draws, peers=False)
    ours = {row["kind"]: row for row in rows if row["by"] == comparing.OURS}
    assert set(ours) == {*streams.KINDS, "nothing"} and len(rows) == 4 * len(ours)
    assert ours["another domain"]["delay"] <= 100 and not ours["another domain"]["early"]
    assert comparing.run(tmp_path / "none", work, [PAIR], draws, peers=False) == rows
    table = comparing.as_markdown(rows)
    assert "| headstart |" in table and "| KS |" in table and "1 of 1 after" in table
    moved = [row for row in rows if row["kind"] != "nothing"]
    assert not comparing.broken([{**row, "inside": True} for row in moved])
    assert comparing.broken([{**row, "inside": False} for row in moved])
    alarmed = [{**ours["nothing"], "early": True}]
    assert comparing.broken(alarmed)


@pytest.fixture
def moving(work: Path) -> list[streams.Stream]:
    """Each kind of drift of the two domains."""
    return list(streams.planted(work, work, [PAIR], 1))


def test_an_answer_of_a_monitor_counts_from_the_drift(moving: list[streams.Stream]) -> None:
    stream = moving[0]
    right = stream.accuracy(200, 300)
    assert right is not None
    for low, inside in ((right, True), (right + 0.01, False)):
        answer = {"alarms": [False, False, True], "ranges": [[0, 0], [0, 0], [low, 1]]}
        assert monitors.outcome(stream, answer) == {"delay": 100, "early": False, "inside": inside}
    assert monitors.outcome(stream, {"alarms": [False] * 6})["delay"] is None
    early = monitors.outcome(stream, {"alarms": [False, True, True]})
    assert early == {"delay": None, "early": True, "inside": None}


def test_monitors_are_handed_files_and_answer_by_name(
    moving: list[streams.Stream],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = tmp_path / "monitor.py"
    script.write_text(STRICT, encoding="utf-8")
    monkeypatch.setattr(monitors, "SCRIPT", script)
    monkeypatch.setattr(environments, "python", lambda name: sys.executable)
    rows = list(monitors.looked_at(moving, "Evidently, features"))
    assert [stream.about["kind"] for stream, _ in rows] == list(streams.KINDS[:3])
    assert all(row == {"delay": 100, "early": False, "inside": None} for _, row in rows)
    assert "class mix'" in capsys.readouterr().err
