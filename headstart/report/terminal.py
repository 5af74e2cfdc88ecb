"""The evidence as small plots in a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from rich.bar import Bar
from rich.markup import escape
from rich.table import Table

from headstart.report import named_arms, plain_console

_WIDTH = 40  # characters of a bar


def terminal_curves(evidence: Mapping[str, Any], width: int = 100) -> str:
    """Bars over the 95 % intervals of the arms, and of each number of labels where it is known.

    All bars stand on one scale, whose ends are named above them.
    """
    arms = [(name, arm) for _, name, arm in named_arms(evidence)]
    labels = evidence.get("labels") or {}
    curves = [
        (f"{title}, {row['items']} labels", row)
        for title, key in (
            ("transfer", "transfer"),
            ("scratch", "scratch"),
            ("forecast", "forecast"),
        )
        for row in labels.get(key) or []
    ]
    every = [row for _, row in arms + curves]
    low = min(0.0, *(row["low"] for row in every))
    top = 0.0 if evidence.get("less_is_better") else 1.0
    high = max(top, *(row["high"] for row in every))
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(str(evidence["metric"]), justify="right")
    ends = f"{low:.3g}", f"{high:.3g}"
    table.add_column(f"{ends[0]}{ends[1]:>{_WIDTH - len(ends[0])}}", no_wrap=True)
    for name, row in arms:
        table.add_row(escape(name), f"{row['value']:.3f}", _bar(row, low, high))
    if curves:
        table.add_section()
        table.add_row()
    for name, row in curves:
        table.add_row(escape(name), f"{row['value']:.3f}", _bar(row, low, high))
    text = io.StringIO()
    console = plain_console(text, width)
    console.print(table)
    if labels.get("said"):
        console.print(labels["said"], markup=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _bar(row: Mapping[str, Any], low: float, high: float) -> Bar:
    """The interval as a bar, at least a character wide so that it can be seen."""
    size = high - low
    begin, end = row["low"] - low, row["high"] - low
    least = size / _WIDTH
    if end - begin < least:
        begin = min(max(0.0, (begin + end - least) / 2), size - least)
        end = begin + least
    return Bar(size, begin, end, width=_WIDTH)
