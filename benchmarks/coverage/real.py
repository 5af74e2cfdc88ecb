"""Draws of labels from large real sets, `fit` on each, and a table of what its intervals held."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.coverage.counting import Count, counts
from benchmarks.coverage.draws import Bench
from benchmarks.coverage.pools import SETS
from benchmarks.lines import Lines

KEY = ("tier", "condition", "set", "size", "draw")


def run(
    tiers: Sequence[str], sets: Sequence[str], plan: dict[str, Any], data: Path, work: Path
) -> bool:
    """Do the draws that are not done, print the table, and answer whether all bounds hold.

    `plan` has the number of `draws` of each size, the `sizes`, none for those of each set, the
    `conditions`, and the `strategy` that is named, None for the policy's. What was drawn is kept in
    `work`, a line a draw, so that a run that was stopped goes on.
    """
    os.environ.setdefault("HEADSTART_CACHE", str(work / "cache"))
    results = Lines(work / "real.jsonl", KEY)
    for tier in tiers:
        for condition in plan["conditions"]:
            for name in sets:
                _draw(results, (tier, condition, name), plan, data, work)
    rows = [row for row in results.rows() if row["tier"] in tiers and row["set"] in sets]
    counted = counts(rows)
    print(table(counted))
    return all(each.holds for cell in counted.values() for each in cell)


def _draw(
    results: Lines, cell: tuple[str, str, str], plan: dict[str, Any], data: Path, work: Path
) -> None:
    tier, condition, name = cell
    spec = SETS[name]
    rows = [
        dict(zip(KEY, (*cell, size, number), strict=True))
        for number in range(plan["draws"])  # all sizes in turn, so that a stopped run has of each
        for size in plan["sizes"] or spec.sizes
    ]
    missing = results.missing(rows)
    if not missing:
        return
    bench = Bench.of(spec, (tier, condition), data, work, plan["strategy"])
    for each in missing:
        results.once(each, partial(bench.measure, each["size"], each["draw"]))
        print(".", end="", flush=True)
    print(f" {tier}, {condition}, {name}: {len(rows)} draws", flush=True)


def table(counted: dict[tuple[str, str, str, int], list[Count]]) -> str:
    """Every count as a row in Markdown; (!) where it is out of its bounds by more than chance."""
    lines = [
        "| tier | source and labels | set | labels | what | draws | holds | mean width |",
        "|---|---|---|--:|---|--:|--:|--:|",
    ]
    for (tier, condition, name, size), several in counted.items():
        for each in several:
            share = f"{each.share:.1%}{'' if each.holds else ' (!)'}"
            width = f"{each.width:.3f}" if each.width else ""
            cells = (tier, condition, name, size, each.what, each.draws, share, width)
            lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines)
