"""The check before any work: every file read once, and what identical content says."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from headstart.contracts import Check, Modality
from headstart.data.findings import Findings
from headstart.data.sources import SPLITS, Item, digest
from headstart.errors import DataError
from headstart.runtime.progress import Progress

_CHUNK = 1024  # items handed to the threads at once, so that memory stays bounded
_BATCH = 256  # of them, to one thread, where an item is a short text


@dataclass(frozen=True)
class Checked:
    """The usable items with their digests, the others with a reason, and what is peculiar.

    `sketches` are those of usable items by identity.
    """

    items: tuple[Item, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: dict[str, int]
    sketches: dict[str, str]


def check_items(items: Sequence[Item], modality: Modality, progress: Progress) -> Checked:
    """Read every item, on all cores, and check what was never checked before."""
    usable: list[Item] = []
    skipped: list[tuple[str, str]] = []
    notes: Counter[str] = Counter()
    sketches: dict[str, str] = {}
    findings = Findings(modality)
    for item, hashed, found in _on_all_cores(items, modality, findings, progress):
        if hashed and findings.get(hashed) is None:
            findings.add(hashed, found)
        if found.problem is None:
            alike = digest(found.identity.encode()) if found.identity else hashed
            usable.append(replace(item, digest=hashed, identity=alike))
            notes.update(found.notes)
            sketches[alike] = found.sketch
        else:
            skipped.append((item.id, found.problem))
    findings.save()
    return Checked(tuple(usable), tuple(skipped), dict(sorted(notes.items())), sketches)


def drop_conflicts(items: Sequence[Item]) -> tuple[list[Item], tuple[tuple[Item, ...], ...]]:
    """Leave out content that carries more than one label; returns the rest and those groups."""
    groups = [group for group in _groups(items).values() if len({item.label for item in group}) > 1]
    bad = {group[0].identity for group in groups}
    return [item for item in items if item.identity not in bad], tuple(map(tuple, groups))


def drop_leaks(items: Sequence[Item]) -> tuple[list[Item], tuple[tuple[Item, Item], ...]]:
    """Leave out training and validation items whose content is held out too.

    Validation is held out from training, the test split from both. Items with the same identity
    count as the same content. Returns the rest, and each item left out with the one it repeats.
    """
    rank = {name: place for place, name in enumerate(SPLITS)}
    last: dict[str, Item] = {}
    for item in items:
        other = last.get(item.identity)
        if other is None or rank[item.split or ""] > rank[other.split or ""]:
            last[item.identity] = item
    kept = [item for item in items if item.split == last[item.identity].split]
    leaks = tuple(
        (item, last[item.identity]) for item in items if item.split != last[item.identity].split
    )
    return kept, leaks


def identical(items: Sequence[Item]) -> tuple[tuple[str, ...], ...]:
    """Groups of items that count as identical, by id."""
    groups = (group for group in _groups(items).values() if len(group) > 1)
    return tuple(sorted(tuple(sorted(item.id for item in group)) for group in groups))


def _groups(items: Iterable[Item]) -> dict[str, list[Item]]:
    groups: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.identity].append(item)
    return groups


def _on_all_cores(
    items: Sequence[Item], modality: Modality, findings: Findings, progress: Progress
) -> Iterable[tuple[Item, str, Check]]:
    def look(item: Item) -> tuple[Item, str, Check]:
        try:
            raw = item.read()
        except DataError as error:
            return item, "", Check(problem=_reason(error))
        hashed = digest(raw)
        known = findings.get(hashed)
        return item, hashed, modality.check(raw) if known is None else known

    def look_at_all(some: Sequence[Item]) -> list[tuple[Item, str, Check]]:
        return [look(item) for item in some]

    # decoders release the interpreter lock, so that threads do; handing over costs more than a text
    workers = max(2, min(16, os.cpu_count() or 2))
    batch = _BATCH if modality.inline else 1
    with ThreadPoolExecutor(workers) as pool, progress.track("checking", len(items)) as advance:
        for start in range(0, len(items), _CHUNK):
            chunk = items[start : start + _CHUNK]
            batches = [chunk[first : first + batch] for first in range(0, len(chunk), batch)]
            for results in pool.map(look_at_all, batches):
                advance(len(results))
                yield from results


def _reason(error: DataError) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return f"can't be read: {cause.strerror.lower()}"
    return str(error)
