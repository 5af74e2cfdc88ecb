"""From a folder or manifest to a checked data set with splits."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts import Encoding, Modality
from headstart.contracts.labels import Names
from headstart.data.check import Checked, check_items, drop_conflicts, drop_leaks, identical
from headstart.data.clusters import clustered
from headstart.data.grouping import proposal
from headstart.data.items import find
from headstart.data.remarks import demand_classes, demand_filled, of_rare, of_twins
from headstart.data.remote import address_of, by_address
from headstart.data.schema import GUESSED, Schema
from headstart.data.screening import screening
from headstart.data.sources import SPLITS, Contents, Data, InMemory, Item
from headstart.data.splits import Plan, held_out, plan_of, without_hidden
from headstart.data.summary import DataReport
from headstart.data.targets import USUAL, Targets, kind_named, kind_of, remark, settle
from headstart.errors import DataError
from headstart.runtime.progress import Progress, Silent

_NO_LABEL = "the row has no label"
IN_MEMORY = "data in memory"  # in the place of a path


@dataclass(frozen=True)
class Dataset:
    """The usable items of a data set, each in one of the splits train, validation and test.

    `kind` names the kind of target; `labels` are the classes, the names of the numbers, or the
    labels that sets are made of. `has_test_split` says whether the layout names what is held out
    for the test. `root` is the folder or manifest, or what the data are called `in_memory`; `added`
    are the places of items that came later.
    """

    root: Path
    items: tuple[Item, ...]
    labels: tuple[str, ...]
    report: DataReport
    kind: str = USUAL
    has_test_split: bool = False
    in_memory: bool = False
    added: tuple[str, ...] = ()
    encode: Callable[[Sequence[str], Names], np.ndarray] | None = None  # in place of its kind's

    @property
    def place(self) -> str:
        """Where the data are, in full; what they are called where a program held them."""
        return IN_MEMORY if self.in_memory else address_of(self.root) or str(self.root.absolute())

    def split(self, name: str) -> tuple[Item, ...]:
        """The items of one split, in the order of the data set."""
        return tuple(item for item in self.items if item.split == name)

    def targets(self, name: str) -> np.ndarray:
        """What to predict in one split, in the order of `split`.

        As the kind encodes them: (N,) int64 class numbers; (N, labels) float32 numbers in the
        user's units; (N, labels) float32 of 1 for the labels in a set and 0 for the others.
        """
        labels = [item.label for item in self.items]
        here = [item.split == name for item in self.items]
        encode = self.encode or kind_named(self.kind).encode
        if not self.encode and kind_named(self.kind).encoding is Encoding.OTHER:
            return encode(labels, self.labels)[here]  # rows may be as long as the longest of all
        labels = [label for label, own in zip(labels, here, strict=True) if own] or labels[:1]
        return encode(labels, self.labels)[: sum(here)]  # rows of none have a shape, too

    @cached_property
    def fingerprint(self) -> str:
        """A hash over content, labels and splits, whatever the names and order (32 hex digits)."""
        lines = sorted(f"{item.digest}\t{item.split}\t{item.label}" for item in self.items)
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


@by_address
def load(
    data: Data | str,
    modality: Modality,
    schema: Schema = GUESSED,
    *,
    progress: Progress | None = None,
) -> Dataset:
    """Read, check and split a data set to fit on.

    `data` is a folder of classes, with or without splits, a manifest, or what a program holds, read
    by `schema`. Raises DataError when the data can't be learned from: nothing usable, all labels
    equal, a class with fewer than 2 usable items or none to train on.
    """
    path, (contents, kind) = Path(str(data)), _labelled(data, modality, schema)
    demand_filled(path, contents)
    plan, labelled = plan_of(contents), _understood(contents, kind)
    checked = _checked(path, labelled, modality, progress)
    screened = screening(path, checked, kind, modality, contents)
    checked, contents = screened.checked, screened.contents
    usable, rare = _without_rare([*map(plan.rename, checked.items)], kind, contents)
    labels = kind.names(path, _without(labelled.items, rare), contents.label_columns)
    contradict = kind.contradict and not modality.whole_rows  # rows may say that much only
    rest, left_out = _agreed(usable, plan, contradict, screened.alike)
    _demand_any(path, rest)
    kind.demand(path, rest, usable, labels)
    few = plan.too_few(rest, schema.group)
    clusters = clustered(rest, checked.sketches, grouped=not few)
    items = plan.cut(clusters.items, kind.stratum)
    splits = _splits(path, items)
    kind.demand_variety(path, splits["train"], labels)
    warnings = [*contents.warnings, *of_rare(rare), *of_twins(labels, kind)]
    owner = "" if "test" in plan.held else contents.owner
    warnings += [*kind.warnings(splits, labels), *few, *proposal(items, owner)]
    warnings += clusters.warnings(items, kind.encoding, schema.group)
    remarks = (*contents.remarks, *clusters.remarks(schema.group))
    contents = replace(contents, warnings=tuple(warnings), remarks=remarks)
    report = _report(contents, labelled, checked, splits, labels)
    report = replace(report, split_rule=plan.rule, near=clusters.near, **left_out)
    has_test_split, in_memory = "test" in plan.held, isinstance(data, InMemory)
    return Dataset(path, items, labels, report, kind.name, has_test_split, in_memory)


@by_address
def load_labelled(
    data: Data | str,
    modality: Modality,
    labels: Sequence[str],
    schema: Schema = GUESSED,
    *,
    progress: Progress | None = None,
) -> Dataset:
    """Read and check a data set to evaluate a model on that knows `labels`; all is test data.

    Where the layout names splits, only its held-out test split counts. Raises DataError when
    nothing is usable, and for a label that the model doesn't know.
    """
    path = Path(str(data))
    contents, kind = _labelled(data, modality, schema, labels)
    contents, rule = held_out(contents)
    labelled = _understood(contents, kind)
    labelled.kind.recognise(path, labelled.items, labels)
    checked = _checked(path, labelled, modality, progress)
    screened = screening(path, checked, kind, modality, contents)
    checked, contents = screened.checked, screened.contents
    rest, conflicts = drop_conflicts(checked.items, kind.contradict and not modality.whole_rows)
    _demand_any(path, rest)
    clusters = clustered(rest, checked.sketches, grouped=True)
    items = tuple(replace(item, split="test") for item in clusters.items)
    report = replace(
        _report(contents, labelled, checked, {"test": items}, labels),
        split_rule=rule,
        conflicts=_ids(conflicts),
        near=clusters.near,
    )
    in_memory = isinstance(data, InMemory)
    return Dataset(path, items, tuple(labels), report, labelled.kind.name, in_memory=in_memory)


@dataclass(frozen=True)
class _Labelled:
    """Rows whose labels are understood: those with label and content, and the others."""

    kind: Targets
    items: tuple[Item, ...]
    skipped: tuple[tuple[str, str], ...]


def _labelled(
    data: Data | str, modality: Modality, schema: Schema, of_model: Sequence[str] = ()
) -> tuple[Contents, Targets]:
    """What lies there and has labels, and their kind; `of_model` are the labels of a model."""
    named_kind = kind_named(schema.kind) if schema.kind else None
    place = Path(data) if isinstance(data, str) else data
    contents = settle(find(place, modality, schema), schema, named_kind, of_model)
    kind = kind_of(contents, schema)
    contents = without_hidden(contents, [kind.read(row) for row in contents.rows])
    sentences = filter(None, [remark(kind, contents, schema)])
    return replace(contents, remarks=(*contents.remarks, *sentences)), kind


def _understood(contents: Contents, kind: Targets) -> _Labelled:
    items: list[Item] = []
    skipped: list[tuple[str, str]] = []
    for row in contents.rows:
        label = kind.read(row)
        label = None if label is None else unicodedata.normalize("NFC", label)
        if label is None or row.source is None:
            skipped.append((row.id, row.missing if row.source is None else _NO_LABEL))
        else:
            items.append(Item(row.id, label, row.split, row.source, group=row.group))
    return _Labelled(kind, tuple(items), tuple(skipped))


def _checked(
    path: Path, labelled: _Labelled, modality: Modality, progress: Progress | None
) -> Checked:
    checked = check_items(labelled.items, modality, progress or Silent())
    if not checked.items:
        reasons = labelled.skipped + checked.skipped
        others = [each for each in reasons if each[1] != _NO_LABEL]
        first = "".join(f"; the first, {name}: {why}" for name, why in (others or reasons)[:1])
        advice = "Give files that can be read" if others else "Fill in some labels"
        raise DataError(f"{path} has no usable item among {len(reasons)}{first}. {advice}.")
    return checked


def _demand_any(path: Path, rest: Sequence[Item]) -> None:
    if not rest:
        raise DataError(f"{path} has no usable item: all carry conflicting labels. Correct them.")


def _without_rare(
    items: Sequence[Item], kind: Targets, contents: Contents
) -> tuple[list[Item], tuple[str, ...]]:
    """Without classes of one item, where at least two others are left; also those classes."""
    if kind.encoding is not Encoding.INDEX:
        return list(items), ()
    demand_classes(items, contents)
    different = Counter(label for label, _ in {(item.label, item.identity) for item in items})
    rare = tuple(sorted(label for label, count in different.items() if count == 1))
    if len(different) < len(rare) + 2:
        return list(items), ()
    return _without(items, rare), rare


def _agreed(
    items: Sequence[Item], plan: Plan, contradict: bool, alike: Mapping[str, str]
) -> tuple[list[Item], dict[str, Any]]:
    """Without contents of several labels or named splits; also those, for the report."""
    rest, conflicts = drop_conflicts(items, contradict)
    rest, leaks = drop_leaks(rest, alike) if plan.roles else (rest, ())
    pairs = tuple((item.id, other.id) for item, other in leaks)
    return rest, {"conflicts": _ids(conflicts), "leaks": pairs}


def _without(items: Sequence[Item], rare: Sequence[str]) -> list[Item]:
    left_out = frozenset(rare)
    return [item for item in items if item.label not in left_out]


def _splits(path: Path, items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items by split. Raises DataError where one has none."""
    splits = {name: [item for item in items if item.split == name] for name in SPLITS}
    for name, own in splits.items():
        if not own:
            different = len({item.identity for item in items})
            raise DataError(
                f"{path} has no usable item for the {name} split, as its {len(items)} items hold "
                f"{different} that differ. Add more of them."
            )
    return splits


def _report(
    contents: Contents,
    labelled: _Labelled,
    checked: Checked,
    splits: Mapping[str, Sequence[Item]],
    labels: Sequence[str],
) -> DataReport:
    """What can be said of any data set; the caller adds what it left out and why."""
    kind = labelled.kind
    read_from = f"`{contents.column}` is" if not contents.kind else "the folders' names are"
    by_look = not kind.verbatim and contents.kind != kind.name
    remarks = (f"{read_from} read as {kind.name}",) if by_look else ()
    return DataReport(
        items=sum(map(len, splits.values())),
        splits={name: kind.count(items, labels) for name, items in splits.items()},
        split_rule="",
        skipped=labelled.skipped + checked.skipped,
        duplicates=tuple(group for items in splits.values() for group in identical(items)),
        notes=dict(Counter(contents.notes) + Counter(checked.notes)),
        warnings=contents.warnings,
        kind=kind.name,
        heading=kind.heading(labels),
        sizes={name: len(items) for name, items in splits.items()},
        spread={name: kind.spread(items, labels) for name, items in splits.items()},
        remarks=(*contents.remarks, *remarks),
        repaired=contents.repaired,
        columns=contents.by_column,
    )


def _ids(conflicts: Sequence[Sequence[Item]]) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(tuple((item.id, item.label) for item in group) for group in conflicts)
