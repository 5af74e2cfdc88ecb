"""What adapting to a target came to: in a terminal, a notebook and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.report import figures
from headstart.report.contents import Figure, Section, Table, between
from headstart.report.figures import Series
from headstart.report.theme import TRANSFER

_ASKED = 5  # names that a terminal shows
Evidence = Mapping[str, Any]


def columns_of(record: Evidence) -> tuple[str, ...]:
    """The titles of the table: with the target's accuracy and the gain where they are known."""
    gains = [name for name in ("accuracy", "gain") if name in record["methods"][-1]]
    titles = {"accuracy": "accuracy there", "gain": "gain over source only, points"}
    validators = record["methods"][0]["validators"]
    return ("method", *(titles[name] for name in gains), "answers changed", *validators)


def rows_of(record: Evidence) -> list[tuple[str, ...]]:
    """A row for each method, the chosen one with a star."""
    return [_row(row, row["name"] == record["chosen"]) for row in record["methods"]]


def notes_of(record: Evidence) -> list[str]:
    """What a reader must know besides the table."""
    lines = list(record["said"])
    next_items = record.get("label_next") or []
    if next_items:
        rest = f" and {len(next_items) - _ASKED} more" if len(next_items) > _ASKED else ""
        lines.append(
            f"Label these {len(next_items)}, on which the methods differ, to settle it: "
            f"{', '.join(next_items[:_ASKED])}{rest}. Where they can stand in a table, it is "
            "label-next.csv beside the model: fill in `label`, and fit again with --target-labels."
        )
    return lines + [f"{name} left out: {why}" for name, why in record["left_out"].items()]


def adaptation(evidence: Evidence) -> Section | None:
    """All ways to answer on the target, what validators say of them, and which classes are there.

    Reads `adaptation`.
    """
    record = evidence.get("adaptation")
    if not record:
        return None
    gains = [row for row in record["methods"] if row.get("gain")]
    bars: tuple[Figure, ...] = ()
    if gains:
        points = [{name: 100 * row["gain"][name] for name in row["gain"]} for row in gains]
        names = [row["name"] for row in gains]
        rows = [
            (name, each["value"], between(each)) for name, each in zip(names, points, strict=True)
        ]
        drawing = figures.intervals(names, [Series("gain", points, TRANSFER)], "points")
        table = Table.of(("method", "points", "95 % interval"), rows)
        summary = "Gain of each method over source only, on the target."
        bars = (Figure("adaptation", summary, drawing, table),)
    classes = [(name, row["share"], row["source"]) for name, row in record["classes"].items()]
    shares = ("class", "share in the target, estimated", "in the source")
    tables: tuple[tuple[str, Table], ...] = (
        ("", Table.of(columns_of(record), rows_of(record))),
        ("Classes", Table.of(shares, classes)),
        ("Items to label next", Table.of(("item",), [(name,) for name in record["label_next"]])),
    )
    tables = tuple((title, table) for title, table in tables if table.rows)
    sentences = (record["headline"], *notes_of(record))
    return Section("adaptation", "Answers on the target", sentences, bars, tables)


def _row(row: Mapping[str, Any], is_chosen: bool) -> tuple[str, ...]:
    cells = [f"{row['name']} *" if is_chosen else row["name"]]
    if "accuracy" in row:
        cells.append(f"{row['accuracy']['value']:.3f}")
    if "gain" in row:
        value, low, high = (100 * row["gain"][name] for name in ("value", "low", "high"))
        cells.append(f"{value:+.1f} ({low:+.1f} – {high:+.1f})")
    cells.append(f"{100 * row['changed']:.0f} %")
    return (*cells, *(f"{score:.3f}" for score in row["validators"].values()))
