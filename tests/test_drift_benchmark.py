"""The benchmarks of familiarity and drift, on features that are made up and lie where they look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_familiarity import blobs

from benchmarks.arguments import names
from benchmarks.drift import comparing, scope, sets, streams
from headstart.drift.watching import LENGTH

PAIR = "films → books MiniLM"


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
    found = scope.run(tmp_path / "none", work / "drift", ["sst2"], 1)
    assert {row["strange"] for row in found["scope"]} == {"trec", "banking77"}
    assert all(0 <= row[score][0] <= 1 for row in found["scope"] for score in scope.SCORES)
    assert [row["labels"] for row in found["coverage"]] == [20, 50, 100, 200, 500, 1000]
    assert all(row["held"] > 0.87 for row in found["coverage"])
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
    rows = comparing.run(tmp_path / "none", work, [PAIR], draws)
    ours = {row["kind"]: row for row in rows if row["by"] == comparing.OURS}
    assert set(ours) == {*streams.KINDS, "nothing"} and len(rows) == 4 * len(ours)
    assert ours["another domain"]["delay"] <= 100 and not ours["another domain"]["early"]
    assert comparing.run(tmp_path / "none", work, [PAIR], draws) == rows
    table = comparing.as_markdown(rows)
    assert "| headstart |" in table and "| KS |" in table and "1 of 1 after" in table
    moved = [row for row in rows if row["kind"] != "nothing"]
    assert not comparing.broken([{**row, "inside": True} for row in moved])
    assert comparing.broken([{**row, "inside": False} for row in moved])
    alarmed = [{**ours["nothing"], "early": True}]
    assert comparing.broken(alarmed)
