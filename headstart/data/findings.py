"""What checks have found before, by content: what was looked at once is not looked at again.

One file of JSON lines a kind of check. Runs append; a line that is damaged, or torn by a kill, is
passed over, and its item is checked anew. Content that stands in a manifest itself is so short that
checking it costs less than reading this; nothing is kept of it.
"""

from __future__ import annotations

import json
import re

from headstart.contracts import Check, Modality
from headstart.runtime.places import cache_folder

_SKETCH = re.compile("([0-9a-f]{64})?")


class Findings:
    """Checks by digest, read from the cache folder; `save` adds those that are new."""

    def __init__(self, modality: Modality) -> None:
        kind = type(modality)
        self._keeps = not modality.inline
        self._path = cache_folder() / "checks" / f"{kind.__qualname__}-{modality.version}.jsonl"
        self._known: dict[str, Check] = {}
        self._new: dict[str, Check] = {}
        try:
            text = self._path.read_bytes() if self._keeps else b""
        except OSError:  # none yet, or not readable: then everything is checked
            return
        for line in text.splitlines():
            found = _read(line)
            if found is not None:
                self._known[found[0]] = found[1]

    def get(self, digest: str) -> Check | None:
        """What was found in content with this digest, if it was ever checked."""
        return self._known.get(digest)

    def add(self, digest: str, check: Check) -> None:
        """Remember a check; call it from one thread at a time.

        A problem is not kept for later runs: what is installed by then may read the item.
        """
        self._known[digest] = check
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
