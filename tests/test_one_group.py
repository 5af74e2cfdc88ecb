"""Held-out items that are all of one group, such as one speaker, say nothing of other groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import headstart as hs
from headstart import catalog
from headstart.data import Item
from headstart.data.sources import InlineSource
from headstart.evidence.resampling import Draws, Resampling
from headstart.pipeline.metrics import one_group


def items(*groups: str) -> list[Item]:
    source = InlineSource(b"x")
    return [
        Item(str(n), "", "test", source, "", str(n), own, own or str(n))
        for n, own in enumerate(groups)
    ]


def test_it_is_said_of_one_group_alone() -> None:
    assert one_group(items("anna", "anna", "anna")).startswith(
        "No interval: one group. All 3 held-out items are of one, 'anna', "
    )
    assert one_group(items("anna", "bo")) == one_group(items("", "")) == one_group([]) == ""


def test_an_interval_of_one_group_has_no_zero_width() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, (40, 1))
    answers = truth + rng.normal(0, 0.5, (40, 1))
    metric = catalog.metric_named("r2")
    alone, several = (
        Resampling(metric, truth, draws=Draws(clusters=own)).interval(answers)
        for own in (np.zeros(40, int), None)
    )
    assert (alone.low, alone.high) == (several.low, several.high) and alone.low < alone.high


def test_a_fit_says_it(tmp_path: Path) -> None:
    rows = ["area,who,split,price"]
    for n in range(60):
        held_out = n >= 40
        who, split = ("zoe", "test") if held_out else (f"w{n % 5}", "train")
        rows.append(f"{n * 37 % 50},{who},{split},{1000 * (n * 37 % 50) + n}")
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    result = hs.fit(
        tmp_path / "t.csv",
        "table:columns",
        tmp_path / "out",
        label="price",
        group="who",
        evidence="quick",
        progress=False,
    )
    assert any("No interval: one group" in each for each in result.evidence.warnings)
    gain = result.evidence.interval(result.evidence.arms["chosen"])
    assert gain.low < gain.high
