"""The thread that learns: features as examples arrive, a head at every change, then its worth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from headstart.contracts import Task
from headstart.contracts.frozen import LinearHead, as_module
from headstart.data import Item, nested
from headstart.data.targets import USUAL, kind_named
from headstart.errors import HeadstartError, named_reason
from headstart.evidence.fitting import answers
from headstart.evidence.inspection import suspects
from headstart.labelling.selection import doubts, select
from headstart.studio.examples import Example
from headstart.studio.judging import Judgement, judgements, task_for
from headstart.studio.session import Session
from headstart.studio.space import Space

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

CHUNK: Final = 16  # examples whose features are computed before anybody else may ask
QUICK: Final = 500  # examples that the first head is fitted on, so that it comes at once
SHOWN: Final = 12  # likely mistakes, and examples to label next
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
        shown = ("number", "labels", "examples", "total")
        return {name: getattr(self, name) for name in shown} | {"seconds": round(self.seconds, 3)}


@final
@dataclass
class Findings:
    """What has been learned so far; what is None or empty is not known yet."""

    busy: str = "loading the source"
    error: str = ""
    head: Head | None = None
    judgement: Judgement | None = None
    growth: dict[int, dict[str, float]] = field(default_factory=dict)  # by number of examples
    suspects: list[dict[str, Any]] = field(default_factory=list)
    following: list[dict[str, Any]] = field(default_factory=list)


@final
class Learner(threading.Thread):
    """Learns whenever it is woken, and calls `changed` when it knows more."""

    def __init__(self, session: Session, source: str | Space, changed: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="studio-learner")
        self.session = session
        self.reference = source if isinstance(source, str) else source.reference
        self.findings = Findings()
        self.space = None if isinstance(source, str) else source
        self._changed = changed
        self._wake = threading.Event()
        self._closed = False
        self._heads = 0

    def wake(self) -> None:
        """Something has changed."""
        self._wake.set()

    def close(self) -> None:
        """Stop at the next step."""
        self._closed = True
        self._wake.set()

    def run(self) -> None:
        """Learn until closed."""
        self._wake.set()
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            try:
                self.findings.error = ""
                self._round()
            except HeadstartError as error:
                self.findings.error = str(error)
            except OSError as error:
                self.findings.error = (
                    f"The features can't be kept ({error.strerror}). Free some space, and change "
                    "anything for another try."
                )
            except Exception as error:  # the page says it, and the next change is another try
                self.findings.error = f"{named_reason(error)}. This is a defect of Headstart."
            self._tell("")

    def _tell(self, busy: str) -> None:
        self.findings.busy = busy
        self._changed()

    def _round(self) -> None:
        if self.space is None:
            self._tell(f"loading {self.reference}")
            self.space = Space.of(self.reference, self.session.notes.modality)
        version = self.session.version

        def stale() -> bool:
            return self._closed or self.session.version != version

        self._learn(self.session.labelled, fits=True)
        examples = self._known(self.session.labelled())
        if stale():
            self._wake.set()
        if not self._fit(examples, QUICK) or self._closed:
            return
        if stale():
            return
        self._learn(self.session.unlabelled, fits=False, stop=stale)
        self._follow(examples)
        if len(examples) > QUICK and not stale():
            self._tell("fitting the head on all examples")
            self._fit(examples, len(examples))
        self._judge(examples, stale)

    def _learn(
        self,
        wanted: Callable[[], Sequence[Example]],
        fits: bool,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """The features of examples that have none, some at a time; with heads meanwhile."""
        space, tried, last = self._space, set[str](), time.monotonic()
        while not self._closed and not stop():
            items = [each.item for each in wanted()]
            missing = [item for item in space.missing(items) if item.digest not in tried]
            if not missing:
                return
            if len(missing) > CHUNK:
                self._tell(f"features of {len(items) - len(missing)} of {len(items)} examples")
            chunk = missing[:CHUNK]
            tried |= {item.digest for item in chunk}
            self._take(space, chunk)
            cost = self.findings.head.seconds if self.findings.head else 0.0
            if fits and len(missing) > CHUNK and time.monotonic() - last > _PAUSE + 2 * cost:
                self._fit(self._known(wanted()), QUICK)
                last = time.monotonic()

    def _take(self, space: Space, chunk: Sequence[Item]) -> None:
        """Learn a chunk; where that fails, each by itself, so that one broken file spoils none."""
        try:
            space.learn(chunk)
        except HeadstartError:
            for item in chunk:
                try:
                    space.learn([item])
                except HeadstartError as error:
                    self.findings.error = str(error)

    @property
    def _space(self) -> Space:
        if self.space is None:
            raise ValueError("no source is loaded")
        return self.space

    def _known(self, examples: Sequence[Example]) -> list[Example]:
        """Those whose features are there."""
        missing = {item.digest for item in self._space.missing([each.item for each in examples])}
        return [each for each in examples if each.item.digest not in missing]

    def _targets(self, examples: Sequence[Example]) -> tuple[tuple[str, ...], np.ndarray]:
        """The classes that have examples, in the user's order, and the class of each."""
        present = {each.item.label for each in examples}
        labels = tuple(name for name in self.session.notes.classes if name in present)
        return labels, kind_named(USUAL).encode([each.item.label for each in examples], labels)

    def _fit(self, examples: Sequence[Example], most: int) -> bool:
        """Fit the head to at most so many examples; whether there are classes to tell apart."""
        labels, targets = self._targets(examples) if examples else ((), np.empty(0, np.int64))
        if len(labels) < 2:
            self.findings.head = self.findings.judgement = None
            self.findings.suspects = []
            self._changed()
            return False
        started = time.monotonic()
        places = np.sort(nested(targets)[:most])
        rows = self._space.rows([examples[place].item for place in places])
        task = task_for(self._space.backbone.modality, targets, labels)
        layer = task.linear_probe((rows, targets[places]), (rows[:0], targets[:0]), labels)
        self._heads += 1
        seconds = time.monotonic() - started
        self.findings.head = Head(
            labels, task, layer, len(places), len(examples), seconds, self._heads
        )
        self._changed()
        return True

    def _judge(self, examples: Sequence[Example], stale: Callable[[], bool]) -> None:
        """The held-out score, better with every repeat, and labels that are likely wrong."""
        labels, targets = self._targets(examples)
        space, task = self._space, task_for(self._space.backbone.modality, targets, labels)
        self._tell("judging by folds")
        for judgement in judgements(examples, labels, task, space.rows, stale):
            self.findings.judgement = judgement
            self.findings.growth[len(examples)] = judgement.score.to_json()
            self._tell("judging by folds")
        if stale():
            return
        kept = set(self.session.notes.kept)
        keys = [each.key for each in examples]
        found = suspects(space.rows([e.item for e in examples]), targets, keys, labels)
        self.findings.suspects = [row for row in found if row["id"] not in kept][:SHOWN]

    def _follow(self, examples: Sequence[Example]) -> None:
        """Which of the examples without a class to label next, as `suggest` orders them."""
        waiting, head = self._known(self.session.unlabelled()), self.findings.head
        self.findings.following = []
        if waiting and head is not None:
            rows = self._space.rows([each.item for each in waiting])
            labelled = self._space.rows([each.item for each in examples])
            guesses, doubt = doubts(as_module(head.layer), head.task, head.labels, rows)
            self.findings.following = [
                {
                    "key": waiting[pick.position].key,
                    "guess": guesses[pick.position],
                    "doubt": round(float(doubt[pick.position]), 3),
                    "covers": pick.covers,
                }
                for pick in select(rows, doubt, [labelled], SHOWN)
            ]
        self._changed()
