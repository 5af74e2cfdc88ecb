"""What learns at once: features as examples arrive, and a head at every change."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from headstart.contracts import Task
from headstart.contracts.frozen import LinearHead
from headstart.data import Item, nested
from headstart.data.targets import USUAL, kind_named
from headstart.errors import HeadstartError
from headstart.evidence.fitting import answers
from headstart.studio.examples import Example
from headstart.studio.judging import task_for
from headstart.studio.session import Session
from headstart.studio.space import Space
from headstart.studio.worker import Worker

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

CHUNK: Final = 8  # examples whose features are computed before anybody else may ask
QUICK: Final = 400  # examples that the first head is fitted on, so that it comes at once
_PAUSE: Final = 0.5  # seconds between heads while features still come


@final
@dataclass(frozen=True)
class Head:
    """A head as it answers now; `examples` of the `total` ones have had a part in it."""

    labels: tuple[str, ...]
    task: Task
    layer: nn.Module | LinearHead
    examples: int
    total: int
    seconds: float
    number: int

    def answer(self, features: np.ndarray) -> dict[str, float]:
        """The probability of each class, from features (1, D)."""
        shares = self.task.predictions(answers(self.layer, features))[0]
        return dict(zip(self.labels, map(float, shares), strict=True))

    def to_json(self) -> dict[str, Any]:
        """What the page shows of it."""
        keys = ("number", "labels", "examples", "total")
        return {name: getattr(self, name) for name in keys} | {"seconds": round(self.seconds, 3)}


@final
class Learner(Worker):
    """Learns a session's examples on one source, named or loaded; `after` is called when it has.

    `head` is None while there are no two classes to tell apart.
    """

    def __init__(
        self,
        session: Session,
        source: str | Space,
        changed: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        super().__init__(changed)
        self.session = session
        self.reference = source if isinstance(source, str) else source.reference
        self.head: Head | None = None
        self._loaded = None if isinstance(source, str) else source
        self._after = after
        self._heads = 0

    @property
    def space(self) -> Space:
        """The source's features. Raises HeadstartError before it is loaded."""
        if self._loaded is None:
            raise HeadstartError(f"{self.reference} is still being loaded. Wait a moment.")
        return self._loaded

    def round(self) -> None:
        """Features of examples with classes, a head, then features of the others."""
        if self._loaded is None:
            self.tell(f"loading {self.reference}")
            self._loaded = Space.of(self.reference, self.session.notes.modality)
        stale = self.staleness()
        self._learn(self.session.labelled, self._fit_known)
        self._fit_known()
        self._learn(self.session.unlabelled, lambda: None, stale)
        if stale():
            self.wake()
        else:
            self._after()

    def staleness(self) -> Callable[[], bool]:
        """What answers whether the session has changed since, or this is over."""
        version = self.session.version
        return lambda: self.closed or self.session.version != version

    def known(self, examples: Sequence[Example]) -> list[Example]:
        """Those whose features are there."""
        missing = {item.digest for item in self.space.missing([each.item for each in examples])}
        return [each for each in examples if each.item.digest not in missing]

    def targets(self, examples: Sequence[Example]) -> tuple[tuple[str, ...], np.ndarray]:
        """The classes that have examples, in the user's order, and the class of each."""
        present = {each.item.label for each in examples}
        ordered = [name for name in self.session.notes.classes if name in present]
        labels = tuple(dict.fromkeys([*ordered, *sorted(present)]))  # one may be gone by now
        return labels, kind_named(USUAL).encode([each.item.label for each in examples], labels)

    def fitted(self, examples: Sequence[Example], most: int) -> Head | None:
        """A head from at most so many examples; None without two classes to tell apart."""
        labels, targets = self.targets(examples)
        if len(labels) < 2:
            return None
        started = time.monotonic()
        places = np.sort(nested(targets)[:most])
        rows, own = self.space.rows([examples[n].item for n in places]), targets[places]
        task = task_for(self.space.backbone.modality, targets, labels)
        layer = task.linear_probe((rows, own), (rows[:0], own[:0]), labels)
        self._heads += 1
        seconds = time.monotonic() - started
        return Head(labels, task, layer, len(places), len(examples), seconds, self._heads)

    def _fit_known(self) -> None:
        self.head = self.fitted(self.known(self.session.labelled()), QUICK)
        self._changed()

    def _learn(
        self,
        examples: Callable[[], Sequence[Example]],
        meanwhile: Callable[[], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """The features of examples that have none, some at a time, with heads `meanwhile`."""
        attempts, last = set[str](), time.monotonic()
        while not self.closed and not stop():
            items = [each.item for each in examples()]
            missing = [item for item in self.space.missing(items) if item.digest not in attempts]
            if not missing:
                return
            if len(missing) > CHUNK:
                self.tell(f"features of {len(items) - len(missing)} of {len(items)} examples")
            chunk = missing[:CHUNK]
            attempts |= {item.digest for item in chunk}
            self._take(chunk, len(missing))
            cost = self.head.seconds if self.head else 0.0
            if len(missing) > CHUNK and time.monotonic() - last > _PAUSE + 2 * cost:
                meanwhile()
                last = time.monotonic()

    def _take(self, chunk: Sequence[Item], waiting: int) -> None:
        """Learn a chunk; where that fails, each by itself, so that one broken file spoils none."""
        try:
            self.space.learn(chunk, waiting)
        except HeadstartError:
            for item in chunk:
                try:
                    self.space.learn([item])
                except HeadstartError as error:
                    self.error = str(error)
