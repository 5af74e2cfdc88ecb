"""The page's section on boxes: curves, classes, and what was missed, made up or misplaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.report import by_class, figures
from headstart.report.contents import MOST_CARDS, Card, Figure, Group, Section, Table
from headstart.report.figures import Series
from headstart.report.theme import BAD, OTHER, SCRATCH, TRANSFER

_SHOWN = 8  # curves in one figure
_COLOURS = (TRANSFER, SCRATCH, OTHER, BAD)
_BACKGROUND = "(background)"
_TAKEN = (
    "In the matrix a box of whatever class counts for the object that it overlaps most, by half or "
    "more; the last column are objects that were missed, the last row background that was taken "
    "for an object."
)
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
    columns = ("class", "objects", "AP", "95 % interval", "threshold", "precision", "recall")
    names = ("label", "objects", "ap", "", "threshold", "precision", "recall", "made_up")
    rows = [[row.get(name, _interval(row)) for name in names] for row in record["classes"]]
    classes = Table.of((*columns, "made up"), rows)
    groups = [
        Group(title, text, tuple(_card(row) for row in record[name][:MOST_CARDS]))
        for name, (title, text) in _GROUPS.items()
        if record.get(name)
    ]
    caption = (
        "A box counts as right where it overlaps an object of its class by half or more. The "
        "threshold of a class is the score at which F1 on validation is best; precision and recall "
        "on held-out pictures are those above it."
    )
    confusion = _confusion(record)
    drawings = tuple(each for each in (_curves(record["curves"]), confusion) if each)
    captions = (caption, *([_TAKEN] if confusion else []))
    return Section(
        "boxes", "Boxes", captions, drawings, tables=(("", classes),), groups=tuple(groups)
    )


def _interval(row: Mapping[str, Any]) -> str | None:
    """That of AP; None for a class without one, as in reports of earlier versions."""
    return None if row.get("low") is None else f"{row['low']:.3f} to {row['high']:.3f}"


def _confusion(record: Mapping[str, Any]) -> Figure | None:
    """Which class is taken for which, with background as one more."""
    if not record.get("confusion"):
        return None
    rows = [*record["classes"], {"label": _BACKGROUND}]
    section = by_class.confusion({"classes": {"rows": rows, "confusion": record["confusion"]}})
    return section.figures[0] if section else None


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
