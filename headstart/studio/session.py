"""The folder of one session: what a user gave, as tables and files that `headstart fit` reads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts import Modality
from headstart.data import FileSource, InlineSource, Item, Source
from headstart.data.check import check_items
from headstart.data.sources import text_content
from headstart.errors import DataError, HeadstartError
from headstart.labelling.desk import MOST, class_name
from headstart.labelling.sheet import PATH, Sheet
from headstart.runtime.progress import Progress
from headstart.studio.examples import ITEMS, Example, Intake, RawExample, example_of
from headstart.studio.notes import Notes

_TABLES: Final = ("labels.csv", "unlabelled.csv")
_UNDONE: Final = 20  # changes that can be taken back


@final
class Session:
    """The examples of one modality in a folder, all on the disk; safe to use in threads.

    Entering raises HeadstartError where another process has the folder open, or it is no session.
    """

    def __init__(self, folder: Path, modality: Modality, progress: Progress) -> None:
        self.folder = folder
        self.modality = modality
        self.examples: dict[str, Example] = {}
        self.broken: tuple[tuple[str, str], ...] = ()
        self.version = 0  # grows with every change
        self.lock = threading.RLock()
        self._progress = progress
        columns = ("text",) if modality.inline else (PATH,)
        self._labels, self._others = (Sheet(folder / each, columns) for each in _TABLES)
        self._stack = ExitStack()
        self._changes: deque[tuple[Example, bytes]] = deque(maxlen=_UNDONE)
        self.notes = Notes()

    def __enter__(self) -> Session:
        for place in (self.folder, self.folder / ITEMS):
            place.mkdir(parents=True, exist_ok=True)
        with self._stack as opening:
            for sheet in (self._labels, self._others):
                opening.enter_context(sheet)
            self.notes = Notes.read(self.folder)
            self._read()
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def table(self) -> Path:
        """What `headstart fit` reads."""
        return self._labels.path

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._changes)

    def labelled(self) -> list[Example]:
        """The examples that have a class, in the order in which they came."""
        with self.lock:
            return [each for each in self.examples.values() if each.item.label]

    def unlabelled(self) -> list[Example]:
        """The others."""
        with self.lock:
            return [each for each in self.examples.values() if not each.item.label]

    def note(self, **changes: Any) -> None:
        """Say more of the session, on the disk. Raises HeadstartError."""
        with self.lock, saved():
            notes = replace(self.notes, **changes)
            notes.write(self.folder)
            self.notes = notes
            self.version += 1

    def add_class(self, text: str) -> str:
        """Add a class, if it isn't there; its name. Raises HeadstartError for what is no name."""
        with self.lock:
            name = class_name(text)
            if name not in self.notes.classes:
                if len(self.notes.classes) == MOST:
                    raise HeadstartError(f"There are {MOST} classes. Take one of them.")
                self.note(classes=(*self.notes.classes, name))
            return name

    def rename(self, before: str, text: str) -> None:
        """Call a class otherwise, with all its examples. Raises HeadstartError."""
        with self.lock:
            name = class_name(text)
            self._demand_class(before)
            own = [each for each in self.labelled() if each.item.label == before]
            with saved():
                self._labels.replace({each.content: name for each in own})
            for each in own:
                self._keep(each, name)
            places = [name if each == before else each for each in self.notes.classes]
            self.note(classes=tuple(dict.fromkeys(places)))

    def drop_class(self, name: str) -> None:
        """Remove an empty class, or put its examples among those without one."""
        with self.lock:
            self._demand_class(name)
            own = [each for each in self.labelled() if each.item.label == name]
            self._move(own, None)
            self.note(classes=tuple(each for each in self.notes.classes if each != name))

    def add(self, examples: Iterable[RawExample]) -> Intake:
        """Keep new examples; what is known already moves to the class that is now named.

        All that this answers for is on the disk. Raises HeadstartError where it can't be written.
        """
        intake, new = Intake(), dict[str, tuple[Example, bytes]]()
        with self.lock:
            for each in examples:
                try:
                    label = class_name(each.label) if each.label else None
                    example = example_of(replace(each, label=label), self.modality, self.folder)
                except HeadstartError as error:
                    intake.problems.append(str(error))
                    continue
                if label is not None:
                    self.add_class(label)
                before = self.examples.get(example.key)
                if before is None and example.key not in new:
                    new[example.key] = example, each.raw
                elif before is not None and label and label != before.item.label:
                    self._move([before], label)
                    intake.new += 1
                else:
                    intake.known += 1
            self._store(list(new.values()))
            intake.new += len(new)
            self.version += 1
        return intake

    def label(self, key: str, name: str | None) -> None:
        """Give an example another class, or none. Raises HeadstartError."""
        with self.lock:
            example = self._demand(key)
            if name is not None:
                self._demand_class(name)
            self._changes.append((example, b""))
            self._move([example], name)
            self.version += 1

    def remove(self, key: str) -> None:
        """Remove an example from the tables and the disk. Raises HeadstartError."""
        with self.lock:
            example = self._demand(key)
            with suppress(DataError):  # of a file that is gone nothing can be taken back
                self._changes.append((example, example.item.read()))
            with saved():
                self._sheet(example).replace({example.content: None})
            _unlink([example])
            del self.examples[key]
            self.version += 1

    def keep(self, key: str) -> None:
        """Say that an example's class is right though it looks wrong. Raises HeadstartError."""
        with self.lock:
            self._demand(key)
            self.note(kept=tuple(dict.fromkeys([*self.notes.kept, key])))

    def undo(self) -> str:
        """Take back the last change to an example; a sentence. Raises HeadstartError."""
        with self.lock:
            if not self._changes:
                return "There is nothing to take back."
            before, raw = self._changes.pop()
            label = before.item.label
            if label:
                self.add_class(label)
            if before.key in self.examples:
                self._move([self.examples[before.key]], label or None)
            else:
                self._store([(before, raw)])
            self.version += 1
            return "The last change is taken back."

    def _store(self, new: Sequence[tuple[Example, bytes]]) -> None:
        """Write files, then rows that name them, then let them count."""
        examples = [example for example, _ in new]
        try:
            for example, raw in new:
                if isinstance(example.item.source, FileSource):
                    _write(example.item.source.path, raw)
            for sheet in (self._labels, self._others):
                own = [each for each in examples if self._sheet(each) is sheet]
                if own:
                    sheet.add_all([(each.content, each.item.label) for each in own])
        except OSError as error:
            _unlink(examples)
            raise _unwritten(error) from None
        self.examples |= {example.key: example for example in examples}

    def _move(self, examples: Sequence[Example], label: str | None) -> None:
        """Give examples another class or none: first in the one table, then not in the other."""
        target = self._others if label is None else self._labels
        with saved():
            staying = [each for each in examples if self._sheet(each) is target]
            leaving = [each for each in examples if self._sheet(each) is not target]
            if staying:
                target.replace({each.content: label or "" for each in staying})
            if leaving:
                target.add_all([(each.content, label or "") for each in leaving])
                self._sheet(leaving[0]).replace({each.content: None for each in leaving})
        for each in examples:
            self._keep(each, label or "")

    def _keep(self, example: Example, label: str) -> None:
        self.examples[example.key] = replace(example, item=replace(example.item, label=label))

    def _sheet(self, example: Example) -> Sheet:
        return self._labels if example.item.label else self._others

    def _demand(self, key: str) -> Example:
        if key not in self.examples:
            raise HeadstartError("That example is gone, perhaps in another window.")
        return self.examples[key]

    def _demand_class(self, name: str) -> None:
        if name not in self.notes.classes:
            raise HeadstartError(f"{name[:100]!r} is no class here. Add it first.")

    def _read(self) -> None:
        """What the tables say; a row with a class counts before one without."""
        rows = {**self._others.contents(), **self._labels.answers()}
        items = {
            content: Item(content[0], label, None, self._source(content[0]))
            for content, label in rows.items()
        }
        contents = {id(item.source): content for content, item in items.items()}
        checked = check_items(list(items.values()), self.modality, self._progress)
        self.broken = checked.skipped
        for item in checked.items:
            sketch = checked.sketches[item.identity]
            self.examples[item.identity] = Example(item, contents[id(item.source)], sketch)
        labels = {item.label: None for item in checked.items if item.label}
        classes = tuple(dict.fromkeys([*self.notes.classes, *labels]))
        self.notes = replace(self.notes, classes=classes)

    def _source(self, content: str) -> Source:
        """Where a row's content is: never outside the folder."""
        if self.modality.inline:
            return InlineSource(text_content([content]))
        place = Path(os.path.abspath(self.folder / content))
        inside = place.is_relative_to(os.path.abspath(self.folder))
        return FileSource(place if inside else self.folder / ITEMS / "outside")


@contextmanager
def saved() -> Iterator[None]:
    """Say in one sentence that something could not be written."""
    try:
        yield
    except OSError as error:
        raise _unwritten(error) from None


def _unwritten(error: OSError) -> HeadstartError:
    return HeadstartError(
        f"That can't be written ({error.strerror}). Free some space and try again; what was kept "
        "before is as it was."
    )


def _unlink(examples: Iterable[Example]) -> None:
    for each in examples:
        if isinstance(each.item.source, FileSource):
            with suppress(OSError):
                each.item.source.path.unlink()


def _write(path: Path, raw: bytes) -> None:
    """A file through to the disk, whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
