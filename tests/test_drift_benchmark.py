"""The benchmarks of familiarity and drift, on features that are made up and lie where they look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_familiarity import blobs

from benchmarks.drift import scope, sets, streams


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Features of two sets, the second far from the first."""
    for place, name in enumerate(("sst2", "trec", "banking77")):
        features, _, targets = blobs(1600, place, width=8)
        np.savez(
            tmp_path / f"{name}.npz", features=features + 4 * place, labels=targets.astype(str)
        )
    return tmp_path


def test_familiarity_is_measured_beside_other_scores(work: Path, tmp_path: Path) -> None:
    found = scope.run(tmp_path / "none", work, ["sst2"], 1)
    assert {row["strange"] for row in found["scope"]} == {"trec", "banking77"}
    assert all(0 <= row[score][0] <= 1 for row in found["scope"] for score in scope.SCORES)
    assert [row["labels"] for row in found["coverage"]] == [20, 50, 100, 200, 500, 1000]
    assert all(row["held"] > 0.87 for row in found["coverage"])


def test_planted_drift_is_found_and_quiet_streams_are_counted(work: Path, tmp_path: Path) -> None:
    found = streams.run(tmp_path / "none", work, ["sst2"], 1, 1)
    assert found["streams"] == 1 and [row["kind"] for row in found["rows"]] == list(streams.KINDS)
    (domain,) = [row for row in found["rows"] if row["kind"] == "domain"]
    assert domain["delay"] is not None and domain["delay"] <= 100
    assert sets.features("sst2", tmp_path / "none", work)[0].shape == (1600, 8)
