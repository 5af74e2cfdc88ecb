"""The models that are served, by name, and how one takes another's place."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from headstart.errors import HeadstartError
from headstart.server.limits import Limits
from headstart.server.refusals import RefusedError
from headstart.server.versions import Listeners, Version, opened, state

_NAME: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)


@final
class Served:
    """A model under its name: the version that answers now, and what became of a new one."""

    def __init__(self, name: str, folder: Path, limits: Limits, to: Listeners) -> None:
        self.name = name
        self.folder = folder
        self.limits = limits
        self.problem = ""  # of a new version that was not taken
        self.alarm = ""  # of drift, while it lasts
        self.swaps = 0
        self._to = to
        self._lock = threading.Lock()
        self._swapping = threading.Lock()
        self._version: Version | None = None
        self._state: tuple[Any, ...] = ()

    @property
    def version(self) -> Version:
        """The one that answers now."""
        if self._version is None:
            raise RefusedError(503, f"Model {self.name!r} is not loaded yet. Try again.")
        return self._version

    def open(self) -> Served:
        """Load the model. Raises HeadstartError where it can't be."""
        self._state = state(self.folder)
        self._version = self._loaded().start()
        return self

    def entered(self) -> Version:
        """The version that answers now, kept until the request leaves it."""
        with self._lock:
            version = self.version
            version.enter()
            return version

    def swap(self) -> Version:
        """Load what the folder holds now, check it, and let it answer from now on.

        Requests that have begun are answered by the version before. Raises HeadstartError where it
        can't be loaded, answers otherwise than with what clients expect, or not at all; the version
        before then stays.
        """
        with self._swapping:
            self._state = state(self.folder)
            before = self.version
            try:
                new = self._loaded()
                _demand_like(before, new)
            except HeadstartError as error:
                self.problem = str(error)
                raise
            new.start()
            with self._lock:
                self._version, self.problem, self.alarm = new, "", ""
                self.swaps += 1
            before.close()
            return new

    def changed(self) -> bool:
        """Whether the folder is not as it was when it was loaded last."""
        return self._state != state(self.folder)

    def close(self) -> None:
        """End when all is answered."""
        if self._version is not None:
            self._version.close()

    def to_json(self) -> dict[str, Any]:
        """{"name", "version", "kind", "labels", "swaps", "problem", "drift"}."""
        version = self.version
        return {
            "name": self.name,
            "version": version.name,
            "kind": version.predictor.task.kind,
            "labels": list(version.predictor.labels),
            "swaps": self.swaps,
            "problem": self.problem or None,
            "drift": {"watched": version.watched, "alarm": self.alarm or None},
        }

    def _loaded(self) -> Version:
        predictor, name = opened(self.folder)
        return Version(predictor, name, self.limits, self._to)


def _demand_like(before: Version, new: Version) -> None:
    """Raise HeadstartError unless a version answers about the same inputs in the same way."""
    old, own = before.predictor, new.predictor
    if (old.task.kind, type(old.reader.modality)) != (own.task.kind, type(own.reader.modality)):
        raise HeadstartError(
            f"The new model answers with {own.task.kind} and the one before with {old.task.kind}, "
            "or they take other inputs. Serve it under a name of its own."
        )
    if before.last is not None:  # what was answered last is a trial
        answer = next(iter(own.answered([new.decode(before.last)])))
        own.recent.clear()
        if answer.error:
            raise HeadstartError(
                f"The new model can't answer what the one before did: {answer.error}. "
                "Make the model again."
            )


def folders(models: Sequence[str]) -> dict[str, Path]:
    """The folder of each model by its name: NAME=FOLDER, or a folder that is called so.

    Raises HeadstartError for names that an address can't hold, or that are given twice.
    """
    each: dict[str, Path] = {}
    for text in models:
        name, equals, place = text.partition("=")
        if not (equals and place and _NAME.fullmatch(name)) or Path(text).exists():
            name, place = Path(text).resolve().name, text
        if not _NAME.fullmatch(name) or set(name) <= {"."}:
            raise HeadstartError(
                f"{text} has no name that an address can hold. Give NAME={place or 'FOLDER'}, "
                "its name of letters, digits, dots, - or _."
            )
        if name in each:
            raise HeadstartError(
                f"Two models are called {name}. Give NAME=FOLDER, a name of its own for each."
            )
        each[name] = Path(place)
    if not each:
        raise HeadstartError("No model was given. Name folders that `headstart fit` wrote.")
    return each


@final
class Shelf:
    """All models by name."""

    def __init__(self, models: Mapping[str, Served]) -> None:
        self.models = dict(models)

    def model(self, name: str | None) -> Served:
        """One of them; the only one where no name is given. Raises RefusedError (404)."""
        if name is None and len(self.models) == 1:
            return next(iter(self.models.values()))
        names = ", ".join(self.models)
        if name is None:
            raise RefusedError(
                404, f"Several models are served ({names}). Ask /models/NAME/predict of one."
            )
        if name not in self.models:
            raise RefusedError(404, f"No model is called {name[:64]!r}. There are: {names}.")
        return self.models[name]

    def close(self) -> None:
        """End when all is answered."""
        for each in self.models.values():
            each.close()


@final
class FolderWatch:
    """A thread that swaps models whose folders have changed, once they are still."""

    def __init__(self, shelf: Shelf, seconds: float, tell: Callable[[Served], None]) -> None:
        self._shelf = shelf
        self._seconds = seconds
        self._tell = tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        states: dict[str, Any] = {}
        while not self._stop.wait(self._seconds):
            for name, served in self._shelf.models.items():
                now = state(served.folder) if served.changed() else None
                if now and states.get(name) == now:  # as it was a moment ago: all is written
                    try:
                        served.swap()
                    except Exception as error:  # whatever a stranger's folder holds
                        served.problem = served.problem or str(error)
                    self._tell(served)
                states[name] = now
