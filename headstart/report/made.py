"""The page's section on what was transferred: from where, to what, when, and by which command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headstart.data.targets import USUAL, known_kind
from headstart.report.contents import Section

_SPLITS = {"train": "to learn from", "validation": "to choose by", "test": "held out"}
Evidence = Mapping[str, Any]


def made(evidence: Evidence) -> Section | None:
    """Backbone, data, strategy, date, version and command, as far as the record has them."""
    record = evidence.get("made") or {}
    if not record:
        return None
    facts = tuple((name, value) for name, value in _facts(evidence, record) if value)
    return Section("made", "What was transferred", facts=facts, code=record.get("command") or "")


def title(evidence: Evidence) -> str:
    """What the page is of: the data's name and the date, where they are known."""
    record = evidence.get("made") or {}
    return " · ".join(filter(None, ("Headstart report", record.get("data"), record.get("date"))))


def _facts(evidence: Evidence, record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
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
    counted = kind.words[1] if kind else "labels"
    text = f"{data.get('items', 0):,} items"
    if labels > 1:
        text += f", {labels} {counted}"
    sizes = data.get("sizes") or {}
    parts = [f"{sizes[name]:,} {use}" for name, use in _SPLITS.items() if sizes.get(name)]
    return f"{text} ({', '.join(parts)})" if len(parts) > 1 else text
