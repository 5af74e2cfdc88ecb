"""No verdict without a network from scratch that took its steps and learned something."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evidence import Arm, Evidence, paired
from headstart.report import as_html, as_text, headline
from headstart.report.page import write_page
from headstart.report.verdict import Verdict

COUNT = 60


def arm(name: str, right: int, steps: int = 0) -> Arm:
    """An arm that is right on the first so many items."""
    scores = (np.arange(COUNT) < right).astype(np.float64)
    return Arm(name, scores, (right / COUNT, -1.0), 1.0, steps)


def evidence(scratch: Arm | None, chosen: Arm, epoch: int = 10) -> Evidence:
    arms = {"naive": arm("naive", 30), "features": arm("feature-extraction", 50)}
    arms |= {"scratch": scratch} if scratch else {}
    return Evidence("accuracy", arms | {"chosen": chosen}, "timm:any", {"items": 600}, epoch=epoch)


@settings(max_examples=200, deadline=None)
@given(
    right=st.integers(0, COUNT),
    steps=st.integers(0, 60),
    better=st.integers(0, COUNT),
    answer=st.integers(0, 40),
)
def test_a_verdict_needs_a_scratch_arm_that_learned(
    right: int, steps: int, better: int, answer: int
) -> None:
    record = evidence(arm("scratch", right, steps), arm("lp-ft", better, answer))
    learned = paired(record.arms["scratch"].scores, record.arms["naive"].scores).low > 0
    assert (record.verdict == "unknown") == (steps < max(10, answer) or not learned)
    assert (record.doubt == "") == (record.verdict != "unknown")
    if record.verdict == "helps":
        assert record.gain is not None and record.gain.low > 0


@pytest.mark.parametrize(
    ("scratch", "why"),
    [
        (arm("scratch", 30, 0), "took 0 steps, and 20 are the least to compare with"),
        (arm("scratch", 45, 19), "took 19 steps, and 20 are the least to compare with"),
        (arm("scratch", 31, 40), "does not clearly beat the naive model (+1.7 points of accuracy"),
        (None, "no network was trained from scratch for comparison"),
    ],
)
def test_what_is_unknown_is_said_everywhere_and_nowhere_green(
    scratch: Arm | None, why: str, tmp_path: Path
) -> None:
    record: dict[str, Any] = evidence(scratch, arm("lp-ft", 58, 20)).to_json()
    assert record["verdict"] == "unknown"
    assert why in record["doubt"]
    assert json.loads(json.dumps(record)) == record
    line = headline(record)
    assert line.startswith("Accuracy 0.967: " if scratch is None else "The gain over scratch is ")
    assert why in line and line.endswith(".")
    assert line in as_text(record)
    for message in (as_text(record), as_html(record)):
        assert "helps" not in message and "The gain over scratch is unknown" in message
    shown = Verdict.of(record)
    assert shown.mood == "unknown" and line.startswith(shown.title)
    assert "Gain over scratch" not in {tile.title for tile in shown.tiles}
    assert ("headstart prove" in " ".join(shown.sentences)) == (scratch is None)
    page = write_page(tmp_path, record | {"seed": 0, "versions": {}}, {}).read_text()
    assert re.search(r'<header class="verdict unknown">', page)
    assert "Transfer helps" not in page


def test_a_scratch_arm_that_learned_allows_a_verdict() -> None:
    record = evidence(arm("scratch", 45, 20), arm("lp-ft", 58, 20)).to_json()
    assert (record["verdict"], record["doubt"]) == ("helps", "")
    assert headline(record).startswith("Transfer helps: +21.7 points")
    lost = evidence(arm("scratch", 58, 40), arm("lp-ft", 45, 20))
    assert lost.verdict == "hurts"


def test_over_seeds_it_is_the_mean_that_must_beat_the_naive_model() -> None:
    record = evidence(arm("scratch", 31, 40), arm("lp-ft", 58, 20))
    strong, weak = arm("scratch", 48).scores, arm("scratch", 31).scores
    better = np.stack([arm("lp-ft", 58).scores] * 3)
    record.by_seed = {"chosen": better, "scratch": np.stack([strong, strong, strong])}
    assert record.verdict == "helps"
    record.by_seed = {"chosen": better, "scratch": np.stack([weak, weak, weak])}
    assert record.verdict == "unknown"
