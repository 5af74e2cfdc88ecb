"""Texts worth a look: the worst and the best answers, wrong lengths and languages, placeholders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from headstart.contracts import Modality
from headstart.contracts.metric import Metric
from headstart.contracts.placeholders import bare, placeholders
from headstart.contracts.scripts import scripts, share
from headstart.contracts.sequences import decoded, encoded
from headstart.data import Item
from headstart.evidence.lookup import nearest

SHOWN: Final = 12  # rows of a list
_NEAREST: Final = 3  # training pairs beside one of the worst
_LONGEST: Final = 500  # characters of a text that is shown
_BLOCK: Final = 500  # items whose scores are computed at once
_SHORT, _LONG = 0.5, 2.0  # of the reference's length
_SLACK: Final = 5  # characters by which any text may be longer or shorter
_LETTERS: Final = 4  # of an answer, from which on its script says something
_USUAL: Final = 0.05  # of the references' letters: scripts that have more are the language's


@dataclass(frozen=True)
class Pairs:
    """Items by id, with their texts, None where they are none, and right answers."""

    ids: Sequence[str]
    sources: Sequence[str | None]
    targets: Sequence[str]

    @classmethod
    def of(cls, items: Sequence[Item], modality: Modality) -> Pairs:
        """Those of labelled items."""
        sources = [modality.text(item.read()) for item in items]
        return cls([item.id for item in items], sources, [item.label for item in items])

    @property
    def texts(self) -> list[str] | None:
        """The sources where all are texts."""
        texts = [text for text in self.sources if text is not None]
        return texts if len(texts) == len(self.sources) else None


def worth_a_look(
    metric: Metric, answers: np.ndarray, test: Pairs, train: Pairs
) -> dict[str, Any] | None:
    """What is to be said of answers (N, L) to the test items; None where there are none.

    Scores are the metric's of single items, more or less as its corpus score weighs them.
    """
    if not test.ids:
        return None
    look = _Look(metric, decoded(answers), test, train)
    return {
        "items": len(test.ids),
        "metric": metric.name,
        "lengths": look.lengths(),
        "language": look.language(),
        "placeholders": look.placeholders(),
        "worst": look.rows(look.order[:SHOWN], near=True),
        "best": look.rows(look.order[::-1][:SHOWN]),
    }


@dataclass(frozen=True)
class _Look:
    metric: Metric
    answers: Sequence[str]
    test: Pairs
    train: Pairs

    @cached_property
    def scores(self) -> np.ndarray:
        """The metric of each item alone, (N,)."""
        rows = encoded(self.answers), encoded(self.test.targets)
        statistics = self.metric.statistics(*rows)
        blocks = [statistics[n : n + _BLOCK] for n in range(0, len(statistics), _BLOCK)]
        values = [self.metric.values(block, np.eye(len(block))) for block in blocks]
        return np.asarray(np.nan_to_num(np.concatenate(values)))

    @cached_property
    def order(self) -> list[int]:
        """Items from the worst to the best; of equal ones the longest are at the ends."""
        sign = -1 if self.metric.less_is_better else 1
        scores, lengths = sign * self.scores, [len(text) for text in self.test.targets]
        middle = float(np.median(scores))
        return sorted(
            range(len(scores)),
            key=lambda n: (scores[n], lengths[n] if scores[n] > middle else -lengths[n]),
        )

    def rows(self, places: Sequence[int], near: bool = False) -> list[dict[str, Any]]:
        """Some items with their texts side by side, and training pairs near to them."""
        rows: list[dict[str, Any]] = [
            {
                "id": self.test.ids[n],
                "source": _cut(self.test.sources[n]),
                "answer": _cut(self.answers[n]),
                "target": _cut(self.test.targets[n]),
                "score": round(float(self.scores[n]), 5),
            }
            for n in places
        ]
        sources, queries = self.train.texts, self.test.texts
        if near and sources and queries and rows:
            count = min(_NEAREST, len(sources))
            neighbours = nearest(sources, [queries[n] for n in places], count).reshape(-1, count)
            for row, own in zip(rows, neighbours.tolist(), strict=True):
                row["nearest"] = [
                    {"source": _cut(sources[n]), "target": _cut(self.train.targets[n])} for n in own
                ]
        return rows

    def lengths(self) -> dict[str, Any]:
        """How many answers are empty, far shorter and far longer than they should be."""
        pairs = [(len(a), len(t)) for a, t in zip(self.answers, self.test.targets, strict=True)]
        return {
            "empty": sum(not answer for answer, _ in pairs),
            "short": sum(answer < _SHORT * target - _SLACK for answer, target in pairs),
            "long": sum(answer > _LONG * target + _SLACK for answer, target in pairs),
            "ratio": round(sum(a for a, _ in pairs) / max(1, sum(t for _, t in pairs)), 3),
        }

    def language(self) -> dict[str, Any]:
        """How many answers are in no script of the references, and how many copy the source.

        The latter is None where sources are no texts.
        """
        total: Counter[str] = Counter()
        for text in self.test.targets:
            total.update(scripts(bare(text)))
        own = frozenset(name for name, n in total.items() if n > _USUAL * total.total())
        foreign = copies = 0
        sides = zip(self.answers, self.test.sources, self.test.targets, strict=True)
        for answer, source, target in sides:
            letters = scripts(bare(answer))
            wrong = answer != target
            foreign += wrong and letters.total() >= _LETTERS and not share(letters, own)
            copies += wrong and bool(answer) and answer == source
        copied = None if self.test.texts is None else copies
        return {"scripts": sorted(own), "foreign": foreign, "copies": copied}

    def placeholders(self) -> dict[str, Any]:
        """How many answers keep all that is never translated, and those that don't.

        What source and reference both have must be there; what neither has must not.
        """
        places, lost, added = 0, 0, 0
        faults = []
        for n, (answer, target) in enumerate(zip(self.answers, self.test.targets, strict=True)):
            in_target, there = placeholders(target), placeholders(answer)
            source = self.test.sources[n]
            due = in_target if source is None else placeholders(source)
            less, more = (due & in_target) - there, there - (due | in_target)
            places += bool(due & in_target)
            lost, added = lost + bool(less), added + bool(more)
            if less or more:
                faults.append((n, sorted(less.elements()), sorted(more.elements())))
        rows = self.rows([n for n, _, _ in faults[:SHOWN]])
        for row, (_, missing, others) in zip(rows, faults, strict=False):
            row |= {"lost": missing, "added": others}
        return {"items": places, "lost": lost, "added": added, "examples": rows}


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
