"""Labelled items that come later, beside those that a model was made with: in their splits."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from headstart.contracts import Encoding, Modality
from headstart.data.check import drop_leaks
from headstart.data.dataset import Dataset, load_labelled
from headstart.data.items import find
from headstart.data.schema import GUESSED, Schema
from headstart.data.sources import SPLITS, Contents, Data, InMemory, Item
from headstart.data.splits import plan_of, without_hidden
from headstart.data.targets import kind_named, kind_of, settle
from headstart.errors import DataError
from headstart.runtime.progress import Progress


def load_added(
    data: Data,
    modality: Modality,
    labels: Sequence[str],
    schema: Schema = GUESSED,
    *,
    progress: Progress | None = None,
) -> Dataset:
    """Read and check labelled items of whatever splits the layout names, else cut by content.

    Classes that are not among `labels` are legal, and stand behind them; any number of items is.
    Raises DataError when nothing is usable, and for other labels that are not known.
    """
    contents = find(data, modality, schema)
    named_kind = kind_named(schema.kind) if schema.kind else None
    settled = settle(contents, schema, named_kind, labels)
    kind = kind_of(settled, schema)
    labels_read = [kind.read(row) for row in settled.rows]
    labelled = without_hidden(settled, labels_read)
    new = {unicodedata.normalize("NFC", label) for label in labels_read if label}
    grown = (*labels, *sorted(new - set(labels))) if kind.encoding is Encoding.INDEX else labels
    plan = plan_of(labelled)
    split_of = {row.id: plan.roles.get(row.split or "") for row in labelled.rows}
    rows = tuple(replace(row, split=None) for row in contents.rows if row.id in split_of)
    whole = _Whole(str(data), replace(contents, rows=rows, split_names={}))
    dataset = load_labelled(whole, modality, grown, schema, progress=progress)
    items = [replace(item, split=split_of[item.id]) for item in dataset.items]
    items = list(drop_leaks(items)[0]) if plan.roles else items
    usable = {item.label for item in items}
    return replace(
        dataset,
        items=plan.cut(items, kind.stratum),
        labels=tuple(label for label in grown if label in usable or label in labels),
        report=replace(dataset.report, split_rule=plan.rule),
        has_test_split="test" in plan.held,
        in_memory=isinstance(data, InMemory),
    )


@final
@dataclass(frozen=True)
class _Whole(InMemory):
    """What was found in a data set, all of it in no split."""

    name: str
    contents: Contents

    def find(self, modality: Modality, schema: Schema) -> Contents:
        """The same, whoever asks."""
        return self.contents


def in_splits(
    parts: Sequence[Dataset],
    splits: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    new_labels: Mapping[str, str],
) -> Dataset:
    """The items of several data sets whose contents' identities some splits name, in these.

    `labels` are those of the model that has the splits; `new_labels` by identity count before those
    that stand in the data, and may be of other classes. Raises DataError where there are none.
    """
    split_of = {identity: name for name in SPLITS for identity in splits[name]}
    items = [
        replace(
            item, split=split_of[item.identity], label=new_labels.get(item.identity, item.label)
        )
        for part in parts
        for item in part.items
        if item.identity in split_of
    ]
    first = parts[0]
    for name in SPLITS:
        if splits[name] and not any(item.split == name for item in items):
            raise DataError(
                f"{first.root} holds none of the {len(splits[name])} items that the model has for "
                f"{name}. Give the data that it was fitted to."
            )
    is_class = kind_named(first.kind).encoding is Encoding.INDEX
    others = {item.label for item in items} - set(labels) if is_class else set()
    whole = replace(first, items=tuple(_distinct(items)), labels=(*labels, *sorted(others)))
    return _counted(replace(whole, added=tuple(part.place for part in parts[1:])))


def joined(dataset: Dataset, added: Dataset) -> Dataset:
    """A data set with later items behind its own, and their classes behind its own."""
    items = tuple(_distinct([*dataset.items, *added.items]))
    report = replace(
        dataset.report,
        warnings=(*dataset.report.warnings, *added.report.warnings),
        skipped=(*dataset.report.skipped, *added.report.skipped),
        split_rule=f"those that it had; {len(added.items)} items came later",
    )
    labels = tuple(dict.fromkeys((*dataset.labels, *added.labels)))
    places = (*dataset.added, added.place)
    whole = replace(dataset, items=items, labels=labels, report=report, added=places)
    return _counted(whole)


def _counted(dataset: Dataset) -> Dataset:
    """The data set with a report that counts its items."""
    kind, labels = kind_named(dataset.kind), dataset.labels
    splits = {name: dataset.split(name) for name in SPLITS}
    report = replace(
        dataset.report,
        items=len(dataset.items),
        splits={name: kind.count(items, labels) for name, items in splits.items()},
        sizes={name: len(items) for name, items in splits.items()},
        spread={
            name: kind.spread(items, labels) if items else "" for name, items in splits.items()
        },
        heading=kind.heading(labels),
    )
    return replace(dataset, report=report)


def _distinct(items: Sequence[Item]) -> list[Item]:
    """The items, of which those called as an earlier one get their content's hash behind."""
    counts: Counter[str] = Counter()
    distinct = []
    for item in items:
        counts[item.id] += 1
        again = counts[item.id] > 1
        distinct.append(replace(item, id=f"{item.id} ({item.identity[:12]})") if again else item)
    return distinct
