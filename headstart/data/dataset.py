"""From a folder or manifest to a checked data set with splits."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from headstart.contracts import Modality
from headstart.data.check import Checked, check_items, drop_conflicts, drop_leaks, identical
from headstart.data.items import find
from headstart.data.sources import SPLITS, Found, Item
from headstart.data.splits import FROM_TRAIN, UNSPLIT, Shares, cut
from headstart.data.summary import DataReport, count_splits, warnings_for
from headstart.errors import DataError
from headstart.progress import Progress, Silent


@dataclass(frozen=True)
class Dataset:
    """The usable items of a data set, each in one of the splits train, validation and test."""

    root: Path
    items: tuple[Item, ...]
    labels: tuple[str, ...]
    report: DataReport

    def split(self, name: str) -> tuple[Item, ...]:
        """The items of one split, in the order of the data set."""
        return tuple(item for item in self.items if item.split == name)

    def targets(self, name: str) -> np.ndarray:
        """The label numbers of one split: (N,) int64, in the order of `split`."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        return np.array([numbers[item.label] for item in self.split(name)], dtype=np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """A hash over content, labels and splits, whatever the names and order (32 hex digits)."""
        lines = sorted(f"{item.digest}\t{item.split}\t{item.label}" for item in self.items)
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def load(
    path: Path | str,
    modality: Modality,
    *,
    label: str | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read, check and split a data set to fit on.

    `path` is a folder of classes, with or without splits, or a manifest; `label` names the
    manifest's label column. Raises DataError when the data can't be learned from: nothing usable,
    one class, a class with fewer than 2 usable items or none to train on.
    """
    path = Path(path)
    found = find(path, modality, label)
    labels = _labels(path, found)
    plan = _plan(found)
    checked = _checked(path, found, modality, progress)
    kept, conflicts = drop_conflicts([plan.rename(item) for item in checked.items])
    leaks: tuple[tuple[Item, Item], ...] = ()
    if plan.named:
        kept, leaks = drop_leaks(kept)
    _demand_enough(path, kept, labels, checked)
    items, moved = _cut(kept, plan.shares)
    splits = count_splits(items, labels)
    _demand_every_split(path, splits)
    report = DataReport(
        items=len(items),
        splits=splits,
        split_rule=plan.rule,
        skipped=found.skipped + checked.skipped,
        duplicates=_duplicates(items),
        conflicts=_ids(conflicts),
        leaks=tuple((item.id, held.id) for item, held in leaks),
        moved=moved,
        notes=_notes(found, checked),
        warnings=found.warnings + warnings_for(splits, len(moved)),
    )
    return Dataset(path, items, labels, report)


def load_labelled(
    path: Path | str,
    modality: Modality,
    labels: Sequence[str],
    *,
    label: str | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read and check a data set to evaluate a model on that knows `labels`; all is test data.

    Where the layout names splits, only its held-out test split counts. Raises DataError when
    nothing is usable, and for a label that the model doesn't know.
    """
    path = Path(path)
    found = find(path, modality, label)
    found, rule = _held_out(found)
    unknown = sorted({item.label for item in found.items} - set(labels))
    if unknown:
        known = ", ".join(map(repr, labels[:20])) + (", …" if len(labels) > 20 else "")
        raise DataError(
            f"{path} has the label {unknown[0]!r}, which is not one of {known}. Rename it."
        )
    checked = _checked(path, found, modality, progress)
    kept, conflicts = drop_conflicts(checked.items)
    if not kept:
        raise DataError(f"{path} has no usable item: all carry conflicting labels. Correct them.")
    items = tuple(replace(item, split="test") for item in kept)
    report = DataReport(
        items=len(items),
        splits=count_splits(items, tuple(labels)),
        split_rule=rule,
        skipped=found.skipped + checked.skipped,
        duplicates=_duplicates(items),
        conflicts=_ids(conflicts),
        notes=_notes(found, checked),
        warnings=found.warnings,
    )
    return Dataset(path, items, tuple(labels), report)


@dataclass(frozen=True)
class _Plan:
    """How the splits come about: what each named one becomes, and what is cut by content."""

    rule: str
    named: Mapping[str, str]
    shares: Shares | None

    def rename(self, item: Item) -> Item:
        return replace(item, split=self.named.get(item.split or ""))


def _plan(found: Found) -> _Plan:
    present = [name for name in SPLITS if name in found.split_names]
    words = [f"`{found.split_names[name]}`" for name in present]
    if len(present) == 3:
        rule = f"{words[0]}, {words[1]} and {words[2]} are the splits as named"
        return _Plan(rule, {name: name for name in SPLITS}, None)
    if len(present) == 2:
        rule = (
            f"{words[1]} is the held-out test; "
            f"validation (20 %) is cut from {words[0]} by content hash"
        )
        return _Plan(rule, {present[0]: "train", present[1]: "test"}, FROM_TRAIN)
    only = f"only {words[0]} is there; " if words else ""
    return _Plan(
        f"{only}train, validation and test (70/15/15) are cut by content hash", {}, UNSPLIT
    )


def _held_out(found: Found) -> tuple[Found, str]:
    present = [name for name in SPLITS if name in found.split_names]
    if len(present) < 2:
        return found, "every item is test data"
    last = present[-1]
    items = tuple(item for item in found.items if item.split == last)
    return replace(found, items=items), f"only the held-out `{found.split_names[last]}` is used"


def _cut(items: Sequence[Item], shares: Shares | None) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Give a split to every item that is not held out by name; also the ids that moved."""
    if shares is None:
        return tuple(items), ()
    classes: defaultdict[str, list[str]] = defaultdict(list)
    for item in items:
        if item.split != "test":
            classes[item.label].append(item.digest)
    split_of, moved = cut(classes, shares)
    done = tuple(
        item if item.split == "test" else replace(item, split=split_of[item.digest])
        for item in items
    )
    strangers = frozenset(moved)
    return done, tuple(item.id for item in done if item.digest in strangers)


def _checked(path: Path, found: Found, modality: Modality, progress: Progress | None) -> Checked:
    checked = check_items(found.items, modality, progress or Silent())
    if not checked.items:
        reasons = found.skipped + checked.skipped
        first = f"; the first, {reasons[0][0]}: {reasons[0][1]}" if reasons else ""
        raise DataError(
            f"{path} has no usable item among {len(reasons)}{first}. Give files that can be read."
        )
    return checked


def _labels(path: Path, found: Found) -> tuple[str, ...]:
    if found.empty_classes:
        name = found.empty_classes[0]
        raise DataError(
            f"Folder {name!r} in {path} holds no item of its class. Add some or remove the folder."
        )
    labels = tuple(sorted({item.label for item in found.items}))
    if len(labels) == 1:
        raise DataError(f"{path} has only one class, {labels[0]!r}. Give at least two.")
    return labels


def _demand_enough(
    path: Path, kept: Sequence[Item], labels: Sequence[str], checked: Checked
) -> None:
    different = Counter(label for label, _ in {(item.label, item.digest) for item in kept})
    usable = {item.label for item in checked.items}
    learned = {item.label for item in kept if item.split in (None, "train")}
    for label in labels:
        if different[label] == 0:
            why = "all repeat other labels' content" if label in usable else "none could be read"
            raise DataError(f"Class {label!r} in {path} has no usable item left: {why}. Add some.")
        if different[label] < 2:
            raise DataError(
                f"Class {label!r} in {path} has only one usable item. Give at least two."
            )
        if label not in learned:
            raise DataError(
                f"Class {label!r} in {path} has nothing to train on, only held-out items. "
                "Add some to the training split or remove the class."
            )


def _demand_every_split(path: Path, splits: Mapping[str, Mapping[str, int]]) -> None:
    for name in SPLITS:
        if name not in splits:
            raise DataError(f"{path} has no usable item for the {name} split. Add more items.")


def _duplicates(items: Sequence[Item]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        group for name in SPLITS for group in identical([i for i in items if i.split == name])
    )


def _ids(conflicts: Sequence[Sequence[Item]]) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(tuple((item.id, item.label) for item in group) for group in conflicts)


def _notes(found: Found, checked: Checked) -> dict[str, int]:
    return dict(Counter(found.notes) + Counter(checked.notes))
