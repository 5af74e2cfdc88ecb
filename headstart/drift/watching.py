"""A stream watched against held-out items: windows by count, few false alarms over all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np

from headstart.drift.late_labels import DELTA, RisingErrors
from headstart.drift.reference import Reference
from headstart.drift.shift import Answered, Shift, compared
from headstart.drift.two_sample import (
    assignments,
    discrepancy,
    distance_of_means,
    distances,
    gaussian,
)

FALSE_ALARMS: Final = 0.05  # the probability of any, in so many items in which nothing moves:
LENGTH: Final = 2000
STEP: Final = 25  # items between looks
WINDOWS: Final[Mapping[int, float]] = {50: 0.4, 100: 0.35, 200: 0.25}  # items: share of alarms
_OF_ERRORS: Final = 0.3  # share of false alarms that errors may cause, where labels come
# Permutations that clear a window when more than so many of them are as far apart. Of windows that
# are to be alarms they clear one in 100,000.
_STAGES: Final = ((20, 3), (100, 3), (600, 5), (2000, 7))
_ROUNDS: Final = 5999  # for one that they don't: no less, for its p-value to be small enough
_CALMING: Final = 100  # those that tell whether an alarm is over
_BLOCK: Final = 500
_WIDTH: Final = 128  # directions that features are seen along
_CALM: Final = 0.2  # p-value above which a window is as before
_CALMS: Final = 2  # such windows in a row that end an alarm

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # features, outputs, predictions


def level(window: int, labelled: bool) -> tuple[float, float]:
    """The p-values for one look at a window: of items, and of errors where some are labelled.

    The false alarms that 2,000 items may cause are shared out over all looks at them, so that they
    hold for any dependence between looks (Bonferroni), and again for the next 2,000.
    """
    looks = (LENGTH - window) // (window // 2) + 1
    each = FALSE_ALARMS * WINDOWS[window] / looks
    return (each * (1 - _OF_ERRORS), each * _OF_ERRORS) if labelled else (each, 0.0)


@final
@dataclass(frozen=True)
class Event:
    """What a look found: after how many items, in the window of the last how many.

    `shift` compares that window with the held-out items; None where all is as before again.
    `errors` are those among labelled items of the window, where they are what rose.
    """

    after: int
    window: int
    p: float
    shift: Shift | None
    errors: tuple[int, int] | None = None

    @property
    def is_alarm(self) -> bool:
        """Whether something moved; otherwise it is as before again."""
        return self.shift is not None


@final
class Watch:
    """Looks at a stream every 25 items, at the last 50, 100 and 200 of them.

    A window and the held-out items are compared by the maximum mean discrepancy of the features
    and by the distance of mean probabilities, the larger of both in units of chance. Its p-value
    is that of permutations over both samples, exact for any distribution. With labels the errors
    are compared, too, by Fisher's exact test, and along the stream by `late_labels`. After an alarm
    there is none until windows are as before. `predictions` (N, labels) are those for the
    reference.
    """

    def __init__(
        self,
        reference: Reference,
        predictions: np.ndarray,
        labels: Sequence[str],
        labelled: bool = False,
        seed: int = 0,
    ) -> None:
        self._reference = reference
        self._predictions = predictions
        self._labels = labels
        self._labelled = labelled
        self._rng = np.random.default_rng(seed % 2**32)
        self._names: list[str] = []
        self._rows: list[Rows] = []
        self._places: list[tuple[np.ndarray, np.ndarray]] = []  # and how far from held-out ones
        self._right: list[float] = []
        self._rising = RisingErrors()
        self._alarmed, self._calm = False, 0
        self.count = 0

    def add(
        self, names: Sequence[str], rows: Rows, right: np.ndarray | None = None
    ) -> Iterator[Event]:
        """Take more items, and answer with what is found meanwhile.

        `rows` are features (M, D), outputs and predictions (M, labels); `right` (M,) says which
        answers were, NaN where that isn't known.
        """
        truth = np.full(len(names), np.nan) if right is None else right
        features, outputs, predictions = rows
        along = self._along(features)
        apart = distances(along, self._features)
        for place, name in enumerate(names):
            self._names.append(name)
            self._places.append((along[place], apart[place]))
            self._rows.append((features[place], outputs[place], predictions[place]))
            self._right.append(float(truth[place]))
            self.count += 1
            if self._labelled and not np.isnan(truth[place]):
                yield from self._late(truth[place] == 0)
            if self.count % STEP == 0:
                yield from self._looks()
        self._forget()

    def _forget(self, most: int = max(WINDOWS)) -> None:
        for window in (self._names, self._rows, self._places, self._right):
            del window[:-most]

    def _looks(self) -> Iterator[Event]:
        for window in WINDOWS:
            if len(self._rows) < window or self.count % (window // 2):
                continue
            if self._alarmed:
                if window == min(WINDOWS) and self._is_calm(window):
                    self._alarmed = False
                    self._forget(window)  # what moved must not count once more
                    yield Event(self.count, window, 1.0, None)
                continue
            of_items, of_errors = level(window, self._labelled)
            p, errors = self._p_value(window), self._errors(window)
            if errors is not None and errors[0] <= of_errors:
                yield self._alarm(window, errors[0], errors[1])
            elif p <= of_items:
                yield self._alarm(window, p)

    def _late(self, wrong: bool) -> Iterator[Event]:
        """An alarm where errors are seen to have risen by one more labelled item."""
        risen, window = self._rising.add(wrong), min(WINDOWS)
        if risen and not self._alarmed and len(self._rows) >= window:
            errors = self._errors(window)
            yield self._alarm(window, DELTA, errors[1] if errors else None)

    def _alarm(self, window: int, p: float, errors: tuple[int, int] | None = None) -> Event:
        self._alarmed, self._calm = True, 0
        names, (features, outputs, predictions) = self._names[-window:], self._last(window)
        new = Answered(names, features, outputs, predictions)
        shift = compared(self._reference, self._predictions, new, self._labels, self.count)
        return Event(self.count, window, p, shift, errors)

    def _is_calm(self, window: int) -> bool:
        moves = self._moves(window)
        second = self._second(window)
        shuffled = assignments(second, _CALMING, self._rng)
        self._calm = self._calm + 1 if _p(moves, second, shuffled) > _CALM else 0
        return self._calm >= _CALMS

    def _p_value(self, window: int) -> float:
        """The permutation p-value of a window; 1 where few permutations tell that it is large.

        A look ends early only where it would be no alarm, so that there are no more of these.
        """
        moves, second = self._moves(window), self._second(window)
        for rounds, most in _STAGES:
            p = _p(moves, second, assignments(second, rounds, self._rng))
            if p * (rounds + 1) - 1 > most + 0.5:
                return 1.0
        return _p(moves, second, assignments(second, _ROUNDS, self._rng))

    def _moves(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """The kernel of features, and the probabilities, of held-out items and a window."""
        count = len(self._features)
        rows, apart = (np.stack(part) for part in zip(*self._places[-window:], strict=True))
        far = np.empty((count + window, count + window), np.float32)
        far[:count, :count], far[count:, count:] = self._far, distances(rows, rows)
        far[count:, :count], far[:count, count:] = apart, apart.T
        return gaussian(far), np.concatenate([self._predictions, self._last(window)[2]])

    def _second(self, window: int) -> np.ndarray:
        return np.arange(len(self._reference) + window) >= len(self._reference)

    def _last(self, window: int) -> Rows:
        parts = zip(*self._rows[-window:], strict=True)
        features, outputs, predictions = (np.stack(part) for part in parts)
        return features, outputs, predictions

    @cached_property
    def _features(self) -> np.ndarray:
        return self._along(self._reference.features)

    @cached_property
    def _far(self) -> np.ndarray:
        return distances(self._features, self._features)

    def _along(self, features: np.ndarray) -> np.ndarray:
        """Features along 128 directions drawn at random, which keep distances nearly as they are.

        Nothing about them may be learned from the held-out items alone: these would then differ
        from others where nothing moved.
        """
        wide = features.astype(np.float32)
        if wide.shape[1] <= _WIDTH:
            return wide
        return np.asarray(wide @ self._directions)

    @cached_property
    def _directions(self) -> np.ndarray:
        width = self._reference.features.shape[1]
        normal = np.random.default_rng(0).normal(size=(width, _WIDTH)) / _WIDTH**0.5
        return np.asarray(normal, np.float32)

    def _errors(self, window: int) -> tuple[float, tuple[int, int]] | None:
        """The p-value of more errors than among held-out items, and errors among labelled ones."""
        right = np.array(self._right[-window:])
        labelled = right[~np.isnan(right)]
        if not len(labelled) or self._reference.targets.ndim != 1:
            return None
        from scipy.stats import fisher_exact

        before = self._reference.outputs.argmax(axis=1) == self._reference.targets
        table = [[int((labelled == 0).sum()), int(labelled.sum())]]
        table.append([int((~before).sum()), int(before.sum())])
        return float(fisher_exact(table, "greater").pvalue), (table[0][0], len(labelled))


def _p(moves: tuple[np.ndarray, np.ndarray], second: np.ndarray, shuffled: np.ndarray) -> float:
    """How many assignments (R, N) are as far apart as the one there is, which is one of them."""
    alike, chances = moves
    every = np.concatenate([second[None], shuffled])
    parts = [every[start : start + _BLOCK] for start in range(0, len(every), _BLOCK)]
    apart = np.concatenate([discrepancy(alike, part) for part in parts])
    means = np.concatenate([distance_of_means(chances, part) for part in parts])
    largest = np.maximum(_in_units(apart), _in_units(means))
    return float((largest >= largest[0] - 1e-9).mean())


def _in_units(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean()) / (values.std() or 1.0))


def facts(event: Event) -> dict[str, Any]:
    """An event as plain values."""
    entries = {"after": event.after, "window": event.window, "alarm": event.is_alarm}
    if event.shift is None:
        return entries
    errors = {"errors": list(event.errors)} if event.errors else {}
    return entries | {"p": round(event.p, 6)} | errors | {"shift": event.shift.to_json()}
