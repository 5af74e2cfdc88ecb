"""The check before any work: every file read once, ever, and what identical content says."""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from headstart.contracts import Check, Modality
from headstart.data.sources import SPLITS, Item, digest
from headstart.errors import DataError
from headstart.runtime.places import cache_folder
from headstart.runtime.progress import Progress

_CHUNK = 1024  # items handed to the threads at once, so that memory stays bounded
_BATCH = 256  # of them, to one thread, where an item is a short text
_SKETCH = re.compile("([0-9a-f]{64})?")


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
    for item, hashed, check in _on_all_cores(items, modality, findings, progress):
        if hashed and findings.get(hashed) is None:
            findings.add(hashed, check)
        if check.problem is None:
            alike = digest(check.identity.encode()) if check.identity else hashed
            usable.append(replace(item, digest=hashed, identity=alike))
            notes.update(check.notes)
            sketches[alike] = check.sketch
        else:
            skipped.append((item.id, check.problem))
    findings.save()
    return Checked(tuple(usable), tuple(skipped), dict(sorted(notes.items())), sketches)


def drop_conflicts(
    items: Sequence[Item], contradict: bool = True
) -> tuple[list[Item], tuple[tuple[Item, ...], ...]]:
    """Leave out content that carries more than one label; returns the rest and those groups.

    Nothing is left out of labels that don't `contradict` each other.
    """
    if not contradict:
        return [*items], ()
    groups = [group for group in _groups(items).values() if len({item.label for item in group}) > 1]
    bad = {group[0].identity for group in groups}
    return [item for item in items if item.identity not in bad], tuple(map(tuple, groups))


def drop_leaks(
    items: Sequence[Item], alike: Mapping[str, str] | None = None
) -> tuple[list[Item], tuple[tuple[Item, Item], ...]]:
    """Leave out training and validation items whose content is held out too.

    Validation is held out from training, the test split from both. Items with the same identity
    count as the same content, and those whose identities are `alike` in what they stand for.
    Returns the rest, and each item left out with the one it repeats.
    """
    rank = {name: place for place, name in enumerate(SPLITS)}
    keys = [(alike or {}).get(item.identity) or item.identity for item in items]
    last: dict[str, Item] = {}
    for key, item in zip(keys, items, strict=True):
        other = last.get(key)
        if other is None or rank[item.split or ""] > rank[other.split or ""]:
            last[key] = item
    pairs = [(item, last[key]) for key, item in zip(keys, items, strict=True)]
    rest = [item for item, other in pairs if item.split == other.split]
    return rest, tuple((item, other) for item, other in pairs if item.split != other.split)


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
        earlier = findings.get(hashed)
        return item, hashed, modality.check(raw) if earlier is None else earlier

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


class Findings:
    """Checks by digest, read from the cache folder; `save` adds those that are new.

    One file of JSON lines a kind of check. Runs append; a line that is damaged, or torn by a kill,
    is passed over, and its item is checked anew. Content that stands in a manifest itself is so
    short that checking it costs less than reading this; nothing is kept of it.
    """

    def __init__(self, modality: Modality) -> None:
        kind = type(modality)
        self._keeps = not modality.inline
        self._path = cache_folder() / "checks" / f"{kind.__qualname__}-{modality.version}.jsonl"
        self._checks: dict[str, Check] = {}
        self._new: dict[str, Check] = {}
        try:
            text = self._path.read_bytes() if self._keeps else b""
        except OSError:  # none yet, or not readable: then everything is checked
            return
        for line in text.splitlines():
            record = _read(line)
            if record is not None:
                self._checks[record[0]] = record[1]

    def get(self, digest: str) -> Check | None:
        """What was found in content with this digest, if it was ever checked."""
        return self._checks.get(digest)

    def add(self, digest: str, check: Check) -> None:
        """Remember a check; call it from one thread at a time.

        A problem is not kept for later runs: what is installed by then may read the item.
        """
        self._checks[digest] = check
        if check.problem is None:
            self._new[digest] = check

    def save(self) -> None:
        """Append what is new. A cache that can't be written is done without."""
        if not self._keeps:
            return
        lines = [
            json.dumps([digest, check.problem, list(check.notes), check.identity, check.sketch])
            + "\n"
            for digest, check in self._new.items()
        ]
        self._new = {}
        if not lines:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "ab") as file:
                file.write(("\n" + "".join(lines)).encode())  # ends a torn line before
        except OSError:
            pass


def _read(line: bytes) -> tuple[str, Check] | None:
    try:
        digest, problem, notes, identity, sketch = json.loads(line)
    except (TypeError, ValueError):
        return None
    right = isinstance(problem, str | None) and isinstance(notes, list)
    if not right or not all(isinstance(text, str) for text in (digest, identity, sketch)):
        return None
    if not _SKETCH.fullmatch(sketch):
        return None
    return digest, Check(problem, tuple(map(str, notes)), identity, sketch)
