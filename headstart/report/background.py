"""The page's sections on what lies behind the numbers: origin, items, data, choices, cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headstart.contracts import Encoding
from headstart.data.summary import left_out
from headstart.data.targets import USUAL, known_kind
from headstart.report import figures, maps, named_arms
from headstart.report.contents import (
    MANY,
    MOST_CARDS,
    NEAREST,
    Card,
    Figure,
    Group,
    Near,
    Section,
    Table,
    between,
    explained,
    value_of,
)
from headstart.report.figures import Series
from headstart.report.theme import OTHER
from headstart.report.verdict import duration
from headstart.report.words import capital

_DRAWN = 40  # backbones in the figure; the table has all
_LISTED = 100  # entries of one list of the data report
_SPLITS = {"train": "to learn from", "validation": "to choose by", "test": "held out"}
Evidence = Mapping[str, Any]


def provenance(evidence: Evidence) -> Section | None:
    """Backbone, data, strategy, date, version and command, as far as the record has them."""
    record = evidence.get("made") or {}
    if not record:
        return None
    facts = tuple((name, value) for name, value in _transfer(evidence, record) if value)
    return Section("made", "What was transferred", facts=facts, code=record.get("command") or "")


def title(evidence: Evidence) -> str:
    """What the page is of: the data's name and the date, where they are known."""
    record = evidence.get("made") or {}
    return " · ".join(filter(None, ("Headstart report", record.get("data"), record.get("date"))))


def feature_map(evidence: Evidence) -> Section | None:
    """The items in two dimensions."""
    items = evidence.get("items") or {}
    places = items.get("map") or {}
    if not places.get("id"):
        return None
    suspects = [row["id"] for row in items.get("suspects") or []]
    columns = ("id", "x", "y", "label", "split")
    table = Table.of(columns, list(zip(*(places[name] for name in columns), strict=True)))
    summary = (
        f"Map of {len(places['id'])} items by their features, coloured by label; near points look "
        "alike to the model."
    )
    caption = (
        "Near points look alike to the model; the axes have no meaning of their own. Click on a "
        "point, or tap it, to see the item. Circles are training items, diamonds validation, "
        "squares held-out ones."
    )
    kind = known_kind((evidence.get("data") or {}).get("kind", USUAL))
    numbers = kind is not None and kind.encoding is Encoding.AMOUNTS
    drawing = maps.feature_map(places, suspects, numbers)
    if maps.many_labels(places, numbers):
        caption += " Labels share ten colours: pick one out to see where it lies."
    figure = Figure("map", summary, drawing, table)
    return Section("map", "Map of the features", (caption,), (figure,))


def inspection(evidence: Evidence) -> Section | None:
    """Items to look at: confident mistakes, ambiguous ones, likely label errors."""
    items = evidence.get("items") or {}
    near, places = items.get("nearest") or {}, items.get("map") or {}
    labels = dict(zip(places.get("id", ()), places.get("label", ()), strict=True))
    kinds = (
        ("mistakes", "Most confident mistakes", "Wrong, and sure of it."),
        ("ambiguous", "Most ambiguous", "The model can't decide; a person may not either."),
        ("suspects", "Likely label errors", "The label may be wrong, not the model. Check it."),
    )
    groups = []
    for key, title, caption in kinds:
        rows = items.get(key) or []
        cards = [
            Card(
                str(row["id"]),
                _facts(row),
                tuple(Near(i, str(labels.get(i, ""))) for i in near.get(row["id"], ())[:NEAREST]),
                explained(str(row["id"])) if key == "mistakes" else "",
            )
            for row in rows[:MOST_CARDS]
        ]
        if len(rows) > len(cards):
            caption += f" The first {len(cards)} of {len(rows)} are shown."
        if cards:
            groups.append(Group(title, caption, tuple(cards)))
    return Section("items", "Items to look at", groups=tuple(groups)) if groups else None


def data(evidence: Evidence) -> Section | None:
    """What the data set holds, and what was left out."""
    record = evidence.get("data") or {}
    if not record:
        return None
    counts = {"usable items": record.get("items")} | {
        name: record.get(name) for name in ("skipped", "duplicates", "conflicts", "leaks")
    }
    tables = [
        ("", Table.of(("count", "items"), [row for row in counts.items() if row[1] is not None]))
    ]
    sizes = record.get("sizes") or {}
    if sizes:
        spread = record.get("spread") or {}
        rows = [(name, size, spread.get(name)) for name, size in sizes.items()]
        tables.append(("", Table.of(("split", "items", "labels"), rows)))
    tables += _splits(record.get("splits") or {})
    if record.get("notes"):
        tables.append(
            ("Peculiar items", Table.of(("kind", "items"), list(record["notes"].items())))
        )
    tables += _lists(record)
    remarks = (record.get("split_rule", ""), *record.get("said", ()))
    sentences = tuple(_sentence(each) for each in remarks if each)
    warnings = tuple(record.get("warnings", ()))
    return Section("data", "Data", sentences, tables=tuple(tables), warnings=warnings)


def ranking(evidence: Evidence) -> Section | None:
    """The backbones that were compared before one was taken."""
    record = evidence.get("ranking") or {}
    rows = record.get("ranking") or []
    if not rows:
        return None
    metric = str(record.get("metric") or evidence["metric"])
    scored = [row for row in rows if row.get("expected") is not None][:_DRAWN]
    expected = [row | {"value": row["expected"]} for row in scored]
    series = [Series("expected from features", expected)]
    if any(row.get("tuned") for row in scored):
        series.append(Series("fine-tuned", [row.get("tuned") for row in scored], OTHER))
    place = {each["backbone"]: n for n, each in enumerate(record.get("prior") or [], 1)}
    columns = (
        *("backbone", f"expected {metric}", "95 % interval", "fine-tuned", "seconds"),
        *("parameters", "licence", "place before looking", "note"),
    )
    table = Table.of(
        columns,
        [
            (
                *(row["backbone"], row.get("expected"), between(row), value_of(row.get("tuned"))),
                *(row.get("seconds"), _count(row.get("parameters")), row.get("licence")),
                *(place.get(row["backbone"]), row.get("dropped")),
            )
            for row in rows
        ],
    )
    title = "Backbones compared"
    if not scored:
        return Section("ranking", title, tables=(("", table),))
    caption = "Expected: what a linear model on frozen features scores. Fine-tuning may gain more."
    drawing = figures.intervals([_short(row["backbone"]) for row in scored], series, metric)
    summary = f"Expected {metric} of {len(scored)} backbones; the best is {rows[0]['backbone']}."
    figure = Figure("ranking", summary, drawing, table, folded=len(scored) > MANY)
    return Section("ranking", title, (caption,), (figure,))


def checks(evidence: Evidence) -> Section | None:
    """What was checked of the run itself."""
    results = evidence.get("checks") or {}
    return Section("checks", "Checks", checks=tuple(results.items())) if results else None


def cost(evidence: Evidence) -> Section:
    """What each arm took."""
    rows = [
        (arm_title, duration(arm["seconds"]), arm.get("steps", 0))
        for _, arm_title, arm in named_arms(evidence)
    ]
    caption = "An arm that starts from the features' model includes its time."
    table = Table.of(("arm", "time", "steps"), rows)
    return Section("cost", "Cost", (caption,), tables=(("", table),))


def again(evidence: Evidence) -> Section:
    """How to do the same once more."""
    if evidence["verdict"] == "evaluated":
        code = f"headstart report {evidence['model']} {evidence['evaluated']}"
        return Section("again", "Do it again", code=code)
    sentences = [
        "`plan.json` beside this page holds the backbone, the strategy, the settings, and which "
        "items were in which split. On the same machine and versions this trains the same model."
    ]
    if evidence.get("seed") is not None:
        sentences.append(f"Seed: {evidence['seed']}.")
    versions = evidence.get("versions") or {}
    tables = (
        [("Versions", Table.of(("package", "version"), list(versions.items())))] if versions else []
    )
    code = "headstart fit --plan plan.json -o again/"
    return Section("again", "Do it again", tuple(sentences), tables=tuple(tables), code=code)


def _facts(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    entries = (
        ("label", "label", "{}"),
        ("predicted", "predicted", "{}"),
        ("likely", "likely label", "{}"),
        ("probability", "probability", "{:.0%}"),
        ("score", "score", "{:.2f}"),
    )
    facts = {name: form.format(row[key]) for key, name, form in entries if row.get(key) is not None}
    if facts.get("probability") == "100%" and row["probability"] < 1:
        facts["probability"] = "> 99%"  # nothing is certain
    return tuple(facts.items())


def _splits(splits: Mapping[str, Mapping[str, int]]) -> list[tuple[str, Table]]:
    """Items of each label by split."""
    names = list(dict.fromkeys(label for counts in splits.values() for label in counts))
    if not names:
        return []
    rows = [(name, *(counts.get(name, 0) for counts in splits.values())) for name in names]
    return [("Items of each label", Table.of(("label", *splits), rows))]


def _lists(record: Mapping[str, Any]) -> list[tuple[str, Table]]:
    return [
        (f"{capital(title)}: {len(entries)}", Table.of(("items",), _cut(entries)))
        for title, entries in left_out(record)
    ]


def _cut(entries: Sequence[str]) -> Sequence[tuple[str]]:
    more = [f"and {len(entries) - _LISTED} more"] if len(entries) > _LISTED else []
    return [(entry,) for entry in [*entries[:_LISTED], *more]]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{capital(text)}."


def _count(parameters: int | None) -> str:
    return "" if parameters is None else f"{parameters / 1e6:.1f}M"


def _short(reference: str) -> str:
    """A backbone's reference by its end, as its beginning is often the same."""
    name = reference.partition("?")[0].partition("@")[0]
    return name if len(name) <= 22 else f"…{name[-21:]}"


def _transfer(evidence: Evidence, record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    origin = record.get("backbone") or {}
    yield "Backbone", f"`{origin.get('reference') or evidence['backbone']}`"
    if origin.get("pretrained", True):
        yield "Trained on", origin.get("trained_on") or "not stated"
        yield "Licence of its weights", origin.get("licence") or "not stated"
    else:
        yield "Trained on", "nothing: its weights are random"
    yield "Data", f"{record.get('data', '')}: {_data(evidence)}".removeprefix(": ")
    yield "Strategy", f"`{evidence['strategy']}`"
    when = f"{record.get('date', '')} with Headstart {record.get('headstart', '')}"
    yield "Made", when.removesuffix(" with Headstart ").removeprefix(" ")


def _data(evidence: Evidence) -> str:
    """How many items there are of what."""
    data = evidence.get("data") or {}
    counts = (data.get("splits") or {}).values()
    labels = len({label for count in counts for label in count})
    kind = known_kind(data.get("kind", USUAL))
    noun = kind.words[1] if kind else "labels"
    text = f"{data.get('items', 0):,} items"
    if labels > 1:
        text += f", {labels} {noun}"
    sizes = data.get("sizes") or {}
    parts = [f"{sizes[name]:,} {use}" for name, use in _SPLITS.items() if sizes.get(name)]
    return f"{text} ({', '.join(parts)})" if len(parts) > 1 else text
