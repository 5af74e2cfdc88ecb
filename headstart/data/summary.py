"""What the check of a data set found, as one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.data.sources import SPLITS, Item

FEW = 10  # training items a class, below which a warning is due
IMBALANCED = 3.0  # largest to smallest class of the training split
_SHOWN = 5  # entries of each list in the printed report


@dataclass(frozen=True)
class DataReport:
    """What a data set holds and what was left out.

    `items` counts the usable ones; `skipped` lists (id, why); `duplicates` groups of identical
    items within a split, which stay; `conflicts` groups of (id, label) with identical content
    under several labels, all left out; `leaks` (id left out, held-out id with the same content);
    `moved` the ids that fill a split their class would be missing from; `splits` the items per
    split and class.
    """

    items: int
    splits: Mapping[str, Mapping[str, int]]
    split_rule: str
    skipped: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    conflicts: tuple[tuple[tuple[str, str], ...], ...] = ()
    leaks: tuple[tuple[str, str], ...] = ()
    moved: tuple[str, ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def imbalance(self) -> float:
        """The largest class of the training split over the smallest; 1 where there is none."""
        counts = [count for count in self.splits.get("train", {}).values() if count]
        return max(counts) / min(counts) if counts else 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON: counts under the short names, lists under `..._items`."""
        return {
            "items": self.items,
            "skipped": len(self.skipped),
            "duplicates": sum(len(group) - 1 for group in self.duplicates),
            "conflicts": sum(map(len, self.conflicts)),
            "leaks": len(self.leaks),
            "notes": dict(self.notes),
            "splits": {name: dict(counts) for name, counts in self.splits.items()},
            "split_rule": self.split_rule,
            "imbalance": round(self.imbalance, 3),
            "warnings": list(self.warnings),
            "skipped_items": [list(entry) for entry in self.skipped],
            "duplicate_items": [list(group) for group in self.duplicates],
            "conflict_items": [[list(entry) for entry in group] for group in self.conflicts],
            "leak_items": [list(pair) for pair in self.leaks],
            "moved_items": list(self.moved),
        }

    def __str__(self) -> str:
        classes = len({label for counts in self.splits.values() for label in counts})
        noun = "class" if classes == 1 else "classes"
        lines = [f"{_count(self.items, 'item')} in {classes} {noun}; {self.split_rule}"]
        for name, counts in self.splits.items():
            total, sizes = sum(counts.values()), sorted(counts.values())
            spread = f", {sizes[0]} to {sizes[-1]} a class" if len(sizes) > 1 else ""
            lines.append(f"  {name:<11}{total:>7}{spread}")
        if self.notes:
            kinds = (f"{kind} {count}" for kind, count in self.notes.items())
            lines.append(f"  peculiar: {', '.join(kinds)}")
        lines += _listed("skipped", (f"{name}: {why}" for name, why in self.skipped))
        lines += _listed("identical within a split", map(" = ".join, self.duplicates))
        lines += _listed(
            "identical under different labels, left out",
            (" = ".join(f"{name} ({label})" for name, label in group) for group in self.conflicts),
        )
        lines += _listed(
            "left out, because held-out data holds the same",
            (f"{name} = {held}" for name, held in self.leaks),
        )
        lines += [f"  warning: {sentence}" for sentence in self.warnings]
        return "\n".join(lines)


def count_splits(items: Iterable[Item], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Items per split and class, for the splits that hold any."""
    counts = Counter((item.split, item.label) for item in items)
    present = [name for name in SPLITS if any(split == name for split, _ in counts)]
    return {name: {label: counts[name, label] for label in labels} for name in present}


def warnings_for(splits: Mapping[str, Mapping[str, int]], moved: int) -> tuple[str, ...]:
    """Sentences on what may spoil a fit: small, missing and unequal classes."""
    train = splits.get("train", {})
    found = []
    small = {label: count for label, count in train.items() if count < FEW}
    if small:
        sizes = ", ".join(f"{label!r} {count}" for label, count in list(small.items())[:_SHOWN])
        more = ", …" if len(small) > _SHOWN else ""
        found.append(f"Classes with fewer than {FEW} training items: {sizes}{more}.")
    for name, counts in splits.items():
        missing = [repr(label) for label, count in counts.items() if not count]
        if missing and name != "train":
            more = ", …" if len(missing) > _SHOWN else ""
            found.append(f"Classes with nothing in {name}: {', '.join(missing[:_SHOWN])}{more}.")
    counts_seen = [count for count in train.values() if count]
    if counts_seen and max(counts_seen) > IMBALANCED * min(counts_seen):
        ratio = max(counts_seen) / min(counts_seen)
        found.append(f"The largest class has {ratio:.1f} times the items of the smallest.")
    if moved:
        found.append(
            f"{_count(moved, 'item')} moved to another split, so that each class is in every one."
        )
    return tuple(found)


def _listed(title: str, entries: Iterable[str]) -> list[str]:
    every = list(entries)
    if not every:
        return []
    rest = [f"    and {len(every) - _SHOWN} more"] if len(every) > _SHOWN else []
    return [f"  {title}: {len(every)}", *(f"    {entry}" for entry in every[:_SHOWN]), *rest]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
