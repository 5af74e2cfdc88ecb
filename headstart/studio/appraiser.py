"""What takes longer: what the examples are worth, which look wrong, which to label next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from headstart.contracts.frozen import as_module
from headstart.evidence.inspection import suspects
from headstart.labelling.selection import doubts, select
from headstart.studio.examples import Example
from headstart.studio.judging import Judgement, judgements
from headstart.studio.learner import QUICK, Head, Learner
from headstart.studio.worker import Worker

CALM: Final = 0.5  # seconds without a change before it begins
SHOWN: Final = 12  # likely mistakes, and examples to label next


@final
class Appraiser(Worker):
    """Looks at what a learner has learned, in a thread of its own, so that answers never wait.

    `growth` are scores by the number of examples; `suspects` and `following` are rows about
    examples by their keys.
    """

    def __init__(self, learner: Learner, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self.learner = learner
        self.judgement: Judgement | None = None
        self.growth: dict[int, dict[str, float]] = {}
        self.suspects: list[dict[str, Any]] = []
        self.following: list[dict[str, Any]] = []

    def round(self) -> None:
        """What to label next, a head of all examples, the score, likely mistakes."""
        learner, stale = self.learner, self.learner.staleness()
        time.sleep(CALM)
        if stale():  # it comes to rest first, so that answers come sooner
            return
        examples, head = learner.known(learner.session.labelled()), learner.head
        if head is None:
            self.judgement, self.suspects, self.following = None, [], []
            return
        self._follow(examples, head)
        if len(examples) > QUICK and not stale():
            self.tell("fitting the head to all examples")
            whole = learner.fitted(examples, len(examples))
            with learner.session.lock:
                if not stale():
                    learner.head = whole
        self._judge(examples, head, stale)

    def _follow(self, examples: Sequence[Example], head: Head) -> None:
        """Which of the examples without a class to label next, as `suggest` orders them."""
        learner = self.learner
        waiting = learner.known(learner.session.unlabelled())
        if not waiting:
            self.following = []
            return
        rows = learner.space.rows([each.item for each in waiting])
        labelled = learner.space.rows([each.item for each in examples])
        guesses, doubt = doubts(as_module(head.layer), head.task, head.labels, rows)
        self.following = [
            {
                "key": waiting[pick.position].key,
                "guess": guesses[pick.position],
                "doubt": round(float(doubt[pick.position]), 3),
                "covers": pick.covers,
            }
            for pick in select(rows, doubt, [labelled], SHOWN)
        ]

    def _judge(self, examples: Sequence[Example], head: Head, stale: Callable[[], bool]) -> None:
        """The held-out score, better with every repeat, and labels that are likely wrong."""
        learner = self.learner
        labels, targets = learner.targets(examples)
        if labels != head.labels or stale():
            return
        rows = learner.space.rows
        self.tell("judging by folds")
        for judgement in judgements(examples, labels, head.task, rows, stale):
            self.judgement = judgement
            self.growth[len(examples)] = judgement.score.to_json()
            self.tell("judging by folds")
        if stale():
            return
        self.tell("looking for mistakes")
        keys, confirmed = [each.key for each in examples], learner.session.notes.kept
        rows_found = suspects(rows([each.item for each in examples]), targets, keys, labels)
        self.suspects = [row for row in rows_found if row["id"] not in confirmed][:SHOWN]
