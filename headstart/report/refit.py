"""What new items changed in a model that was refitted: in a terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headstart.report.contents import Section, Table, between
from headstart.report.words import gains

_NAMED = 5  # classes and items that a sentence names
_FELL = 0.02  # share of a class's items, below which nothing is said of it
Evidence = Mapping[str, Any]


def headline(record: Evidence) -> str:
    """What became of the model, in a sentence."""
    ahead, low, high = gains(record["new"]["change"], record)
    outcome = "Refitted" if record["handed_over"] else "Not refitted"
    return f"{outcome}: {ahead} on new items, 95 % interval {low} to {high}."


def sentences(record: Evidence) -> Iterator[str]:
    """The scores before and after, what was forgotten, and why the model is or isn't another."""
    for name, whose in (("new", "new items"), ("old", "old items that were held out")):
        part = record[name]
        ahead, low, high = gains(part["change"], record)
        yield (
            f"On {part['items']} {whose}: {record['metric']} {_score(part['before'])} before, "
            f"{_score(part['after'])} after; {ahead}, 95 % interval {low} to {high}."
        )
    yield _forgotten(record)
    if record["new_classes"]:
        names = ", ".join(map(repr, record["new_classes"][:_NAMED]))
        yield f"New classes, of which it knew nothing before: {names}."
    yield _why(record)


def _forgotten(record: Evidence) -> str:
    old = record["old"]
    lost, won = old["lost"]["items"], old["won"]
    if not lost:
        return "Forgotten: nothing; no old item is answered worse than before."
    fell = [row for row in old["by_label"] if row["before"] - row["after"] > _FELL]
    fell.sort(key=lambda row: row["after"] - row["before"])
    classes = ", ".join(
        f"{row['label']!r} {row['before']:.2f} to {row['after']:.2f}" for row in fell[:_NAMED]
    )
    where = f" Classes that fell: {classes}." if classes else ""
    names = ", ".join(map(str, old["lost"]["first"][:_NAMED]))
    return (
        f"Forgotten: {lost} old items are answered worse than before, such as {names}, and {won} "
        f"better.{where}"
    )


def _why(record: Evidence) -> str:
    if record["verdict"] == "hurts":
        which = [name for name in ("old", "new") if record[name]["change"]["high"] < 0]
        return f"It is worse on {' and '.join(which)} items by more than the interval."
    if not record["gained"]:
        return "Nothing is gained."
    if record["verdict"] == "helps":
        return "It is better on new items by more than the interval, and not worse on old ones."
    if record["new"]["change"]["value"] > 0:
        better = "It is better on new items"
    elif record["old"]["change"]["low"] > 0:
        return "It is as good on new items, and better on old ones by more than the interval."
    else:
        better = "It is as good on new items and better on old ones"
    return f"{better}, but by no more than the interval: luck may have done that."


def refit(evidence: Evidence) -> Section | None:
    """Scores on old and new items, before and after, and of each class. Reads `refit`."""
    record = evidence.get("refit")
    if not record:
        return None
    rows = [
        (f"{name} items, {when}", record[name][when]["value"], between(record[name][when]))
        for name in ("new", "old")
        for when in ("before", "after")
    ]
    by_class = [
        (row["label"], name, row["items"], row["before"], row["after"])
        for name in ("new", "old")
        for row in record[name]["by_label"]
    ]
    tables = [("", Table.of(("items", record["metric"], "95 % interval"), rows))]
    if by_class:
        titles = ("class", "of items", "items", "right before", "right after")
        tables.append(("Classes", Table.of(titles, by_class)))
    lines = (headline(record), *sentences(record))
    return Section("refit", "Before and after new items", lines, (), tuple(tables))


def _score(interval: Mapping[str, Any]) -> str:
    return f"{interval['value']:.3f} ({interval['low']:.3f} – {interval['high']:.3f})"
