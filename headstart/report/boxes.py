"""The page's section on boxes: curves, classes, and what was missed, made up or misplaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.report import figures
from headstart.report.contents import MOST_CARDS, Card, Figure, Group, Section, Table
from headstart.report.figures import Series
from headstart.report.theme import BAD, OTHER, SCRATCH, TRANSFER

_SHOWN = 8  # curves in one figure
_COLOURS = (TRANSFER, SCRATCH, OTHER, BAD)
_GROUPS = {
    "misses": ("Missed objects", "The largest objects that no box was found for, in green."),
    "made_up": (
        "Boxes where nothing is marked",
        "The surest first: background that was taken for an object, or an object that nobody "
        "marked. Boxes that were found are red, marked ones green.",
    ),
    "misplaced": (
        "Boxes that are off",
        "Found boxes that overlap an object by less than half: the model, or the marked box, is "
        "wrong there.",
    ),
}


def boxes(evidence: Mapping[str, Any]) -> Section | None:
    """Precision over recall, a table of classes, and pictures worth a look."""
    record = evidence.get("boxes")
    if not record:
        return None
    columns = ("class", "objects", "threshold", "precision", "recall", "made up")
    names = ("label", "objects", "threshold", "precision", "recall", "made_up")
    classes = Table.of(columns, [[row[name] for name in names] for row in record["classes"]])
    groups = [
        Group(title, said, tuple(_card(row) for row in record[name][:MOST_CARDS]))
        for name, (title, said) in _GROUPS.items()
        if record.get(name)
    ]
    caption = (
        "A box counts as right where it overlaps an object of its class by half or more. The "
        "threshold of a class is the score at which F1 on validation is best; precision and recall "
        "on held-out pictures are those above it."
    )
    figure = _curves(record["curves"])
    shown = (figure,) if figure else ()
    return Section(
        "boxes", "Boxes", (caption,), shown, tables=(("", classes),), groups=tuple(groups)
    )


def _curves(curves: Mapping[str, Any]) -> Figure | None:
    own = {label: rows for label, rows in curves.items() if rows}
    if not own:
        return None
    series = [
        Series(
            label,
            [{"value": row["precision"]} for row in rows],
            _COLOURS[place % len(_COLOURS)],
            [row["recall"] for row in rows],
        )
        for place, (label, rows) in enumerate([*own.items()][:_SHOWN])
    ]
    table = Table.of(
        ("class", "recall", "precision"),
        [(label, row["recall"], row["precision"]) for label, rows in own.items() for row in rows],
    )
    summary = "Precision against recall at an overlap of a half, on held-out pictures."
    drawing = figures.curves(series, "recall", "precision")
    return Figure("boxes", summary, drawing, table, widest=640)


def _card(row: Mapping[str, Any]) -> Card:
    facts = [("class", str(row["label"]))]
    facts += [("score", f"{row['score']:.2f}")] if "score" in row else []
    facts += [("overlap", f"{row['overlap']:.2f}")] if row.get("overlap") else []
    facts += [("area", f"{row['area']:.0f} px²")] if "area" in row else []
    return Card(str(row["id"]), tuple(facts), ())
