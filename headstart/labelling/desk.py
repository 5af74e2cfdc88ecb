"""Who is asked about next: items one at a time, each answer kept, the last taken back."""

from __future__ import annotations

import threading
import unicodedata
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, final

from headstart.contracts.cells import is_blank
from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.labelling.sheet import PATH, Content, Sheet

LONGEST = 100  # signs of a class's name
MOST = 10_000  # classes
_STALE = "That item is answered already, perhaps in another window."


@dataclass(frozen=True)
class Entry:
    """An item to label: what the sheet says of it, and the name that it is shown by."""

    item: Item
    content: Content
    name: str

    @property
    def key(self) -> str:
        """What the page calls it: the hash of its content."""
        return self.item.identity


def class_name(text: str) -> str:
    """A class's name as a table keeps it. Raises HeadstartError for what is none."""
    name = unicodedata.normalize("NFC", text).strip()
    if is_blank(name):
        raise HeadstartError(f"{text!r} stands for no label in tables. Give another name.")
    if len(name) > LONGEST or not name.isprintable():
        raise HeadstartError(
            f"{name[:40]!r} can't name a class. Give up to {LONGEST} signs that can be printed."
        )
    return name


@final
class Desk:
    """The items in the order they are asked in, and the sheet of answers; safe to use in threads.

    `entries` are all items, `order` the positions of those to ask about. Those that the sheet
    already has an answer for are not asked about again.
    """

    def __init__(
        self, entries: Sequence[Entry], order: Sequence[int], classes: Sequence[str], sheet: Sheet
    ) -> None:
        self.entries = entries
        self.sheet = sheet
        self._order = order
        self._classes = list(classes)
        self._lock = threading.RLock()
        self._waiting: deque[int] = deque()
        self._skipped: list[int] = []
        self._done = 0

    def open(self) -> Desk:
        """Go on where the sheet ends: it must have been entered."""
        answers = self.sheet.answers()
        self._waiting = deque(n for n in self._order if self.entries[n].content not in answers)
        self._classes = list(dict.fromkeys([*map(class_name, self._classes), *answers.values()]))
        return self

    def state(self, sentence: str = "") -> dict[str, Any]:
        """What the page shows: classes, the item, what is done and left, and a sentence."""
        with self._lock:
            answers = self.sheet.answers()
            counts = Counter(answers.values())
            waiting = [self.entries[n] for n in islice(self._waiting, 2)]
            return {
                "classes": [{"name": name, "count": counts[name]} for name in self._classes],
                "item": self._shown(waiting[0]) if waiting else None,
                "next": waiting[1].key if len(waiting) > 1 else None,
                "done": self._done,
                "total": self._done + len(self._waiting),
                "labels": len(answers),
                "may_undo": self._last() is not None or bool(self._skipped),
                "said": sentence,
            }

    def answer(self, key: str, label: str) -> dict[str, Any]:
        """Note the label of the item that is shown. Raises HeadstartError for any other."""
        with self._lock:
            entry = self._current(key)
            if label not in self._classes:
                raise HeadstartError(f"{label[:LONGEST]!r} is no class here. Add it first.")
            self.sheet.add(entry.content, label)
            self._waiting.popleft()
            self._skipped.clear()
            self._done += 1
            return self.state(f"{label}.")

    def skip(self, key: str) -> dict[str, Any]:
        """Put the item that is shown at the end. Raises HeadstartError for any other."""
        with self._lock:
            self._current(key)
            self._skipped.append(self._waiting[0])
            self._waiting.rotate(-1)
            return self.state("Skipped; it comes again at the end.")

    def undo(self) -> dict[str, Any]:
        """Take back the last skip, else the last answer, and show that item again."""
        with self._lock:
            if self._skipped:
                number = self._skipped.pop()
                self._waiting.remove(number)
                self._waiting.appendleft(number)
                return self.state("Back to the skipped item.")
            last = self._last()
            if last is None:
                return self.state("There is nothing to take back.")
            self.sheet.undo()
            self._waiting.appendleft(last)
            self._done = max(0, self._done - 1)
            return self.state("The last answer is taken back.")

    def add_class(self, text: str) -> dict[str, Any]:
        """A further class. Raises HeadstartError for a name that can't be."""
        with self._lock:
            name = class_name(text)
            if name in self._classes:
                return self.state(f"{name} is there already.")
            if len(self._classes) == MOST:
                raise HeadstartError(f"There are {MOST} classes. Take one of them.")
            self._classes.append(name)
            return self.state(f"{name} is added.")

    def find(self, key: str) -> Entry | None:
        """The item that the page calls so."""
        with self._lock:
            entries = [self.entries[n] for n in islice(self._waiting, 3)]
        return next((entry for entry in entries if entry.key == key), None)

    def counts(self) -> Mapping[str, int]:
        """How many items each class has."""
        with self._lock:
            return dict(Counter(self.sheet.answers().values()).most_common())

    @property
    def left(self) -> int:
        """How many are still to be asked about."""
        return len(self._waiting)

    def _current(self, key: str) -> Entry:
        if not self._waiting or self.entries[self._waiting[0]].key != key:
            raise HeadstartError(_STALE)
        return self.entries[self._waiting[0]]

    def _last(self) -> int | None:
        """The position of the item that was answered last, where it is one of these."""
        content = self.sheet.last()
        if content is None:
            return None
        return next((n for n, each in enumerate(self.entries) if each.content == content), None)

    def _shown(self, entry: Entry) -> dict[str, Any]:
        texts = None if self.sheet.columns[0] == PATH else list(entry.content)
        return {"key": entry.key, "name": entry.name, "texts": texts}
