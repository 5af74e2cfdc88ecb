"""All draws as tables: gains over source only by kind of pair, and the goals that are missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.adaptation.domains import PAIRS, PARTS
from headstart.adaptation import SOURCE

Rows = Sequence[Mapping[str, Any]]
LEAST: Final = {"all": -1.0, "uneven": -2.0, "some": -2.0}  # points that a pair may gain
LEAD, REGRET = 3.0, 2.0  # points over skada's best; points that 20 labels may leave
TITLES: Final = ("ours", "ours, 20 labels", "best of ours")


def as_markdown(rows: Rows) -> str:
    """Mean and worst pair of each contender, by kind of pair and by what the target holds."""
    parts = [_table(rows, _contenders(rows), "gains")]
    names = list(dict.fromkeys(name for row in rows for name in row["methods"]))
    parts.append(_table(rows, names, "methods"))
    lines = [f"Missed: {each}" for each in missed(rows)] or ["No goal is missed."]
    return "\n\n".join([*parts, "\n".join(lines)])


def missed(rows: Rows) -> list[str]:
    """Which goals are missed, a sentence each."""
    sentences = []
    for part, title in PARTS.items():
        means = _by_pair([row for row in rows if row["part"] == part], "ours")
        for pair, gain in sorted(means.items(), key=lambda each: each[1]):
            if gain < LEAST[part]:
                sentences.append(f"{pair}, {title}: {gain:+.1f} points.")
    theirs = [name for name in _contenders(rows) if name.startswith("skada")]
    if theirs:
        best = max(theirs, key=lambda name: _mean(rows, name))
        own, other = _mean(rows, "ours"), _mean(rows, best)
        if own < other + LEAD:
            sentences.append(f"ours gains {own:+.1f} points, {best} {other:+.1f}.")
    regret = _mean(rows, "best of ours") - _mean(rows, "ours, 20 labels")
    if regret > REGRET:
        sentences.append(f"20 labels leave {regret:.1f} points to the best method.")
    return sentences


def _table(rows: Rows, names: Sequence[str], column: str) -> str:
    kinds = dict.fromkeys(pair.kind for pair in PAIRS)
    lines = [f"| pairs | {SOURCE} | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for part, title in PARTS.items():
        of_part = [row for row in rows if row["part"] == part]
        for kind in kinds:
            lines += _line(f"{kind}, {title}", _of(of_part, kind), names, column)
        for is_known, which in ((True, "set on these"), (False, "not seen before")):
            own = [
                row for kind in kinds if _is_known(kind) == is_known for row in _of(of_part, kind)
            ]
            lines += _line(f"**{title}, {which}**", own, names, column)
    return "\n".join(lines)


def _line(title: str, rows: Rows, names: Sequence[str], column: str) -> list[str]:
    if not rows:
        return []
    cells = []
    for name in names:
        means = list(_by_pair(rows, name, column).values())
        cells.append(f"{np.mean(means):+.1f} / {np.min(means):+.1f}" if means else "–")
    base = float(np.mean([row[SOURCE] for row in rows]))
    return [f"| {title} | {base:.3f} | {' | '.join(cells)} |"]


def _contenders(rows: Rows) -> list[str]:
    names = dict.fromkeys(name for row in rows for name in row["gains"])
    return [*TITLES, *sorted(name for name in names if name not in TITLES)]


def _by_pair(rows: Rows, name: str, column: str = "gains") -> dict[str, float]:
    """The mean gain of a contender over the draws of each pair."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if name in row[column]:
            values.setdefault(row["pair"], []).append(row[column][name])
    return {pair: float(np.mean(own)) for pair, own in values.items()}


def _mean(rows: Rows, name: str) -> float:
    return float(np.mean([row["gains"][name] for row in rows if name in row["gains"]]))


def _of(rows: Rows, kind: str) -> list[Mapping[str, Any]]:
    pairs = {str(pair) for pair in PAIRS if pair.kind == kind}
    return [row for row in rows if row["pair"] in pairs]


def _is_known(kind: str) -> bool:
    return any(pair.is_known for pair in PAIRS if pair.kind == kind)
