"""The outcome as a table: mean accuracies, and how often each contender is among the first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from headstart.evidence import Interval, bootstrap

Row = Mapping[str, Any]
Cells = dict[tuple[float, str], dict[str, list[Row]]]


def cells(rows: Sequence[Row]) -> Cells:
    """By minutes and task, the rows of each contender, one a seed."""
    groups: Cells = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: (row["minutes"], row["task"])):
        groups[row["minutes"], row["task"]][row["who"]].append(row)
    return groups


def value(rows: Sequence[Row]) -> float | None:
    """The mean accuracy over seeds; None where one of them is missing, late or failed."""
    return (
        fmean(row["accuracy"] for row in rows) if all("accuracy" in row for row in rows) else None
    )


def interval(accuracy: float, items: int) -> Interval:
    """The 95 % interval over the test items of an accuracy that is a mean over seeds."""
    right = round(accuracy * items)
    return bootstrap(np.repeat([1.0, 0.0], [right, items - right]))


def first(groups: Mapping[str, Sequence[Row]]) -> tuple[str, Interval] | None:
    """Who is best, and the interval in which others count as level with it."""
    accuracies = {
        who: accuracy for who, rows in groups.items() if (accuracy := value(rows)) is not None
    }
    if not accuracies:
        return None
    best = max(accuracies, key=lambda who: accuracies[who])
    return best, interval(accuracies[best], groups[best][0]["items"])


def level(rows: Sequence[Row], best: Interval | None) -> bool:
    """Whether a contender is the first, or within its interval."""
    accuracy = value(rows)
    return accuracy is not None and best is not None and accuracy >= best.low - 1e-9


def as_markdown(rows: Sequence[Row], who: Sequence[str]) -> str:
    """A row a task and time, the first one's interval, and the counts below."""
    lines = [f"| minutes | task | {' | '.join(who)} | interval of the first |"]
    lines.append("|--:|---|" + "--:|" * len(who) + "---|")
    counts: defaultdict[float, defaultdict[str, list[bool]]]
    counts = defaultdict(lambda: defaultdict(list))
    for (minutes, task), groups in cells(rows).items():
        best = first(groups)
        columns = []
        for name in who:
            own = groups.get(name, [])
            accuracy = value(own) if own else None
            missed = "" if not own else "missing"
            columns.append(missed if accuracy is None else f"{accuracy:.3f}")
            if own:
                counts[minutes][name].append(level(own, best[1] if best else None))
        bounds = f"{best[0]} {best[1].low:.3f} – {best[1].high:.3f}" if best else ""
        lines.append(f"| {minutes:g} | {task} | {' | '.join(columns)} | {bounds} |")
    lines.append("")
    for minutes, each in counts.items():
        columns = [
            f"{name} {sum(level_runs)} of {len(level_runs)}" for name, level_runs in each.items()
        ]
        lines.append(
            f"First, or within the interval of the first, at {minutes:g} min: {', '.join(columns)}."
        )
    return "\n".join(lines)
