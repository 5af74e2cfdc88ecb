"""The table: one row a work and contender, with ratios to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.registry import OURS, WORKS

Row = dict[str, Any]
HEAD = (
    *("work", "who", "seconds", "× ours", "training s", "× ours", "accuracy", "peak MiB"),
    "images/s",
)


def as_markdown(results: Mapping[str, Any]) -> str:
    """The whole report."""
    rows: Sequence[Row] = results["rows"]
    parts = ["# Side by side", _about(results), _table(rows), _notes(rows)]
    alone = results.get("ours_alone") or {}
    if alone:
        parts.append("## Ours alone\n\n" + "\n".join(_alone(alone)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(results: Mapping[str, Any]) -> str:
    machine, data = results["machine"], results["data"]
    splits = ", ".join(f"{count} {name}" for name, count in data["photos"].items())
    flags = f" ({', '.join(machine['flags'])})" if machine["flags"] else ""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    peers = ", ".join(
        f"{name} {number}"
        for name, number in results.get("peer_versions", {}).items()
        if machine["versions"].get(name) != number
    )
    return (
        f"{results['backbone']}, photos: {splits} ({data['from']}).\n"
        f"{machine['cpu']}{flags}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}; {versions}."
        + (f" Peers besides: {peers}." if peers else "")
    )


def _table(rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(HEAD) + " |", "|---|---|" + "--:|" * (len(HEAD) - 2)]
    for row in rows:
        ours = _ours(rows, row["work"])
        cells = [
            row["work"],
            row["who"] + ("¹" if row.get("repeated_from") else ""),
            _number(row.get("seconds"), 1),
            ratio(row.get("seconds"), ours.get("seconds")),
            _number(row.get("seconds_training"), 1),
            ratio(row.get("seconds_training"), ours.get("seconds_training")),
            _number(row.get("accuracy"), 3),
            _number(row.get("peak_mib"), 0),
            _number(row.get("images_per_second"), 1),
        ]
        if row.get("error"):
            cells[2:4] = "failed", ""
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _ours(rows: Sequence[Row], work: str) -> Row:
    """Our own row of a work; empty where it failed, as nothing can be compared with that."""
    same = (row for row in rows if (row["work"], row["who"]) == (work, OURS))
    return next((row for row in same if not row.get("error")), {})


def ratio(theirs: float | None, ours: float | None) -> str:
    """How many times as long as ours; empty where one of them is unknown."""
    return f"{theirs / ours:.2f}" if theirs and ours else ""


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _notes(rows: Sequence[Row]) -> str:
    notes = [
        f"- {name}: {WORKS[name].about}." for name in WORKS if name in {r["work"] for r in rows}
    ]
    notes.append(
        "- seconds: the whole process, imports included. training s: the training alone; ours "
        "includes the probe it starts from and its judging on held-out photos, and the whole "
        "process also checks the data, runs the features' arm, and opens the saved model anew."
    )
    if any(row.get("repeated_from") for row in rows):
        notes.append("- ¹ has nothing stored: its time is that of the whole run once more.")
    busy = max((row.get("load", 0.0) for row in rows), default=0.0)
    if busy > 0.5:
        notes.append(f"- The machine's load a core was up to {busy} before a measurement.")
    failures = [f"- {r['who']} failed at {r['work']}: {r['error']}" for r in rows if r.get("error")]
    return "\n".join(notes + failures)


def _alone(result: Mapping[str, Any]) -> list[str]:
    return [
        f"- {work}, {name}: {value if not isinstance(value, float) else round(value, 2)}"
        for work, values in result.items()
        for name, value in values.items()
    ]
