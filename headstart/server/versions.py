"""A model as it was loaded once, and what answers by it until another takes its place."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, final

import numpy as np

from headstart.data import Input
from headstart.drift.watching import Event
from headstart.errors import HeadstartError
from headstart.loading import engine_form, members, record
from headstart.pipeline.several.opening import load
from headstart.runtime import pixels
from headstart.serve import Prediction, Predictor
from headstart.serve.decoding import Decoded, decoded
from headstart.server.batching import Batcher, Job
from headstart.server.drifting import DriftWatch, watchable
from headstart.server.limits import Limits

_SHOWN: Final = 12  # hex digits of a version
_LONGEST: Final = 80  # characters of an input's name


@final
@dataclass(frozen=True)
class Listeners:
    """Who hears of what a model does: its finished jobs, its batches, and drift."""

    finish: Callable[[Sequence[Job], str], None]  # and the version's name
    measure: Callable[[int, float], None]
    drift: Callable[[Event], None]


@final
class Version:
    """One model, loaded, with the thread that answers by it and the one that watches for drift."""

    def __init__(self, predictor: Predictor, name: str, limits: Limits, to: Listeners) -> None:
        self.predictor = predictor
        self.name = name  # of what it was loaded from, by content
        self.limits = limits
        self.last: Input | None = None  # that it answered
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._requests = self._decoding = 0
        self._batcher = Batcher(
            self._answer,
            lambda jobs: to.finish(jobs, name),
            lambda: self._decoding,
            to.measure,
            limits,
        )
        reference = watchable(predictor)
        self._watch = None if reference is None else DriftWatch(predictor, reference, to.drift)

    def start(self) -> Version:
        """Begin to answer."""
        self._batcher.start()
        if self._watch is not None:
            self._watch.start()
        return self

    def enter(self) -> None:
        """A request begins, which the version is kept for."""
        with self._lock:
            self._requests += 1

    def leave(self) -> None:
        """A request ends."""
        with self._lock:
            self._requests -= 1
            self._idle.notify_all()

    def decoding(self, change: int) -> None:
        """So many more requests are being decoded, for which a batch may wait."""
        with self._lock:
            self._decoding += change

    def put(self, job: Job) -> None:
        """Answer a job as soon as it is its turn."""
        self._batcher.put(job)

    @property
    def watched(self) -> bool:
        """Whether drift is watched."""
        return self._watch is not None

    @property
    def left_out(self) -> int:
        """Items that drift was not looked for among, as they came too fast."""
        return 0 if self._watch is None else self._watch.left_out

    def close(self) -> None:
        """End when all requests that had begun are answered."""
        with self._lock:
            self._idle.wait_for(lambda: not self._requests)
        self._batcher.close()
        if self._watch is not None:
            self._watch.close()

    def decode(self, each: Input) -> Decoded:
        """An input as the network takes it in, or why it can't, of at most so many pixels."""
        with pixels.at_most(self.limits.pixels):
            try:
                return decoded(each, self.predictor.reader)
            except Exception as error:  # a decoder's own, on what nobody tried before
                kind = type(error).__name__
                return Decoded(each, problem=f"it can't be decoded ({kind})")

    def _answer(self, window: Sequence[Decoded]) -> list[Prediction]:
        predictions = list(self.predictor.answered(window))
        sound = [place for place, each in enumerate(predictions) if not each.error]
        if sound:
            self.last = window[sound[-1]].input
        recent = list(islice(reversed(self.predictor.recent), len(sound)))[::-1]
        if sound and self._watch is not None and len(recent) == len(sound):
            features, outputs = (np.stack(part) for part in zip(*recent, strict=True))
            names = [predictions[place].path[:_LONGEST] for place in sound]
            self._watch.add(names, (features, outputs, self.predictor.task.predictions(outputs)))
        return predictions


def identity(folder: Path) -> str:
    """A name for the model in a folder, by its content. Raises OSError where there is none."""
    if members.are_in(folder):
        parts = [(folder / members.FILE).read_bytes()]
        folders = sorted(members.read(folder).values())
    else:
        parts, folders = [], [folder]
    parts += [(each / record.FILE).read_bytes() for each in folders]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:_SHOWN]


def opened(folder: Path) -> tuple[Predictor, str]:
    """The model in a folder, and the name of its content.

    Raises HeadstartError where there is none, or it is being replaced.
    """
    for _ in range(3):
        before = _identity(folder)
        with engine_form.in_streams():
            predictor = load(folder)
        if before and before == _identity(folder):
            return predictor, before
    raise HeadstartError(f"{folder} is being written. Ask again when it is whole.")


def _identity(folder: Path) -> str:
    with suppress(OSError, HeadstartError):
        return identity(folder)
    return ""


def state(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """What changes when anything in a folder does: files with their place, time and size."""
    files = []
    for path in sorted(folder.rglob("*")):
        with suppress(OSError):
            stat = path.stat()
            if path.is_file():
                files.append((str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(files)
