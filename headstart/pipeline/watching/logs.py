"""A log of answers, as `predict --out` or a server writes it: rows that need not be answered anew.

A row is an object, or a line of a table. It is of a log where it has the probability of each label,
as `probability_LABEL` each or in one object `probabilities`, or `features`, a list of numbers.
`familiarity` counts where it stands beside probabilities; `path`, `id`, `text` or `input` name it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from headstart.contracts import Encoding
from headstart.data.targets import kind_named
from headstart.drift import Reference
from headstart.drift.answers import answers_of, as_answers
from headstart.drift.watching import Rows
from headstart.errors import DataError
from headstart.serve import Prediction, Predictor

_EACH, _ALL, _FEATURES, _FAMILIARITY = (
    *("probability_", "probabilities"),
    *("features", "familiarity"),
)
_NAMES: Final = ("id", "path", "text", "input")
_SUM: Final = 0.02  # by which probabilities may miss 1, as they were rounded
_LEAST: Final = 1e-6

Row = Mapping[str, Any]


def row_of(thing: Any) -> Row | None:
    """A row of a log, if a thing is one: an object, an answer, or a line of JSON."""
    if isinstance(thing, Prediction):
        return thing.to_json()
    if isinstance(thing, bytes | str):
        text = thing.decode("utf-8", "replace") if isinstance(thing, bytes) else thing
        if not text.lstrip().startswith("{"):
            return None
        try:
            thing = json.loads(text)
        except (ValueError, RecursionError):
            return None
    return thing if isinstance(thing, Mapping) else None


@final
@dataclass(frozen=True)
class AnswerLog:
    """How rows of a log are read for a model: by features, or by probabilities and familiarity."""

    predictor: Predictor
    features: bool
    familiarity: bool

    @classmethod
    def of(cls, row: Row, predictor: Predictor) -> AnswerLog | None:
        """By the first row; None where it is no log's.

        Raises DataError where it holds probabilities of other labels.
        """
        names, by_features = [*map(str, row)], cls(predictor, True, False)
        if _FEATURES in names and by_features._numbers(row) is not None:
            return by_features
        if kind_named(predictor.task.kind).encoding is not Encoding.INDEX:
            return None
        own = {f"{_EACH}{label}" for label in predictor.labels}
        theirs = {name for name in names if name.startswith(_EACH)}
        if theirs and theirs != own:
            odd = min(theirs ^ own).removeprefix(_EACH)
            raise DataError(
                f"The log's rows and the model don't have the same labels: {odd!r} is in one of "
                "them. Give a log of this model."
            )
        if not theirs and _ALL not in names:
            return None
        return cls(predictor, False, _FAMILIARITY in names)

    @property
    def remark(self) -> str:
        """What can't be seen by it, empty where all can."""
        if self.features:
            return ""
        beside = "answers and their familiarity" if self.familiarity else "answers alone"
        return f"The log holds {beside}; what leaves these as they were is not seen."

    def reference(self, reference: Reference) -> Reference:
        """What the model was held to, as such a log would have shown it."""
        if self.features:
            return reference
        predictions = self.predictor.task.predictions(reference.outputs)
        return as_answers(reference, predictions, self.familiarity)

    def rows(self, rows: Sequence[Row]) -> tuple[list[str], Rows, np.ndarray]:
        """Names, and what is watched, of those rows that can be read; which these are, (N,)."""
        numbers = [self._numbers(row) for row in rows]
        sound = np.array([each is not None for each in numbers], dtype=bool)
        names = [_name(row) for row, right in zip(rows, sound, strict=True) if right]
        values = np.array([each for each in numbers if each is not None], dtype=np.float64)
        values = values.reshape(len(names), self._width)
        count = len(self.predictor.labels)
        if self.features:
            features, outputs = values.astype(np.float32), np.empty((0, count), np.float32)
            if names:
                outputs = self.predictor.headed(features)
            return names, (features, outputs, self.predictor.task.predictions(outputs)), sound
        chances = np.maximum(values[:, :count], _LEAST)
        chances = chances / chances.sum(axis=1, keepdims=True)
        usual = values[:, count] if self.familiarity else None
        return names, (answers_of(chances, usual), np.log(chances), chances), sound

    def _numbers(self, row: Row) -> list[float] | None:
        """A row's numbers; None where they are not all there."""
        try:
            return self._features(row) if self.features else self._answer(row)
        except (KeyError, TypeError, ValueError):  # an input without an answer, or torn
            return None

    @property
    def _width(self) -> int:
        """How many numbers of a row are looked at."""
        if not self.features:
            return len(self.predictor.labels) + self.familiarity
        reference = self.predictor.reference
        return 0 if reference is None else reference.features.shape[1]

    def _features(self, row: Row) -> list[float] | None:
        own = [float(each) for each in _parsed(row[_FEATURES])]
        return own if len(own) == self._width and np.isfinite(own).all() else None

    def _answer(self, row: Row) -> list[float] | None:
        labels = self.predictor.labels
        chances = _parsed(row.get(_ALL)) or {label: row[f"{_EACH}{label}"] for label in labels}
        own = [float(chances[label]) for label in labels]
        if not (abs(sum(own) - 1) <= _SUM and min(own) >= 0):
            return None
        usual = [float(row[_FAMILIARITY])] if self.familiarity else []
        return [*own, *usual] if np.isfinite(usual).all() else None


def _parsed(cell: Any) -> Any:
    """What a cell holds, where it is JSON in a table of texts."""
    return json.loads(cell) if isinstance(cell, str) else cell


def _name(row: Row) -> str:
    return str(next((row[name] for name in _NAMES if row.get(name)), ""))
