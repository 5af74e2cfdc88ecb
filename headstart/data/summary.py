"""What the check of a data set found, as one report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_SHOWN = 5  # entries of each list in the printed report
_LISTS = {  # of a record -> what it is called, and the sign between the parts of an entry
    "skipped_items": ("skipped", ": "),
    "repaired_items": ("repaired or left out of annotations", ": "),
    "duplicate_items": ("identical within a split", " = "),
    "near_copy_items": ("near copies, never parted by a cut", " ~ "),
    "conflict_items": ("identical under different labels, left out", " = "),
    "leak_items": ("left out, because held-out data holds the same", " = "),
}


@dataclass(frozen=True)
class DataReport:
    """What a data set holds and what was left out.

    `items` counts the usable ones; `skipped` lists (id, why); `duplicates` groups of identical
    items within a split, which stay; `near` groups of near copies, which stay too; `conflicts`
    groups of (id, label) with identical content under several labels, all left out; `leaks` (id
    left out, held-out id with the same content);
    `splits` the items per split and class, or label of a set, or of all under `items`, as the kind
    of target counts; `sizes` the items per split; `spread` a few words on each split's labels;
    `remarks` sentences on how the data set was understood; `repaired` lists (place in an
    annotation, what was wrong and done).
    """

    items: int
    splits: Mapping[str, Mapping[str, int]]
    split_rule: str
    skipped: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    near: tuple[tuple[str, ...], ...] = ()
    conflicts: tuple[tuple[tuple[str, str], ...], ...] = ()
    leaks: tuple[tuple[str, str], ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    kind: str = "classes"
    heading: str = ""  # what stands behind the number of items, such as `in 2 classes`
    sizes: Mapping[str, int] = field(default_factory=dict)
    spread: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of content, label, group
    repaired: tuple[tuple[str, str], ...] = ()

    @property
    def imbalance(self) -> float:
        """The largest count of the training split over the smallest; 1 where there is none."""
        counts = [count for count in self.splits.get("train", {}).values() if count]
        return max(counts) / min(counts) if counts else 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON: counts under the short names, lists under `..._items`."""
        return {
            "items": self.items,
            "kind": self.kind,
            "skipped": len(self.skipped),
            "duplicates": sum(len(group) - 1 for group in self.duplicates),
            "near_copies": sum(len(group) - 1 for group in self.near),
            "conflicts": sum(map(len, self.conflicts)),
            "leaks": len(self.leaks),
            "notes": dict(self.notes),
            "splits": {name: dict(counts) for name, counts in self.splits.items()},
            "sizes": dict(self.sizes),
            "spread": dict(self.spread),
            "said": list(self.remarks),
            "columns": {name: list(columns) for name, columns in self.columns.items()},
            "split_rule": self.split_rule,
            "imbalance": round(self.imbalance, 3),
            "warnings": list(self.warnings),
            "skipped_items": [list(entry) for entry in self.skipped],
            "repaired_items": [list(entry) for entry in self.repaired],
            "duplicate_items": [list(group) for group in self.duplicates],
            "near_copy_items": [list(group) for group in self.near],
            "conflict_items": [[list(entry) for entry in group] for group in self.conflicts],
            "leak_items": [list(pair) for pair in self.leaks],
        }

    def __str__(self) -> str:
        lines = [f"{self.items} item{'s' * (self.items != 1)} {self.heading}; {self.split_rule}"]
        for name, total in self.sizes.items():
            spread = self.spread.get(name)
            lines.append(f"  {name:<11}{total:>7}{f', {spread}' if spread else ''}")
        lines += [f"  {sentence}" for sentence in self.remarks]
        if self.notes:
            kinds = (f"{kind} {count}" for kind, count in self.notes.items())
            lines.append(f"  peculiar: {', '.join(kinds)}")
        for title, entries in left_out(self.to_json()):
            rest = [f"and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else []
            lines.append(f"  {title}: {len(entries)}")
            lines += [f"    {entry}" for entry in [*entries[:_SHOWN], *rest]]
        lines += [f"  warning: {sentence}" for sentence in self.warnings]
        return "\n".join(lines)


def left_out(record: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The lists of a report's record that hold anything: a title, and a line for each entry."""
    for key, (title, sign) in _LISTS.items():
        entries = record.get(key) or []
        if key == "conflict_items":
            entries = [[f"{name} ({label})" for name, label in group] for group in entries]
        if entries:
            yield title, [sign.join(map(str, entry)) for entry in entries]
