"""Answers, and how they print: in a terminal, in a notebook, as JSON and as a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from headstart.contracts.several import EACH
from headstart.drift import UNFAMILIAR, UNLIKE
from headstart.errors import DataError, HeadstartError
from headstart.report import as_columns, as_table
from headstart.serve.written import Written, destination, table_rows, write

_SHOWN = 1000  # answers in a notebook
_LONGEST = 160  # signs of an input's name in a line
_TITLES = ("input", "answer", "probability", "familiarity", "truth in 90 %")
_NAMED = 5  # labels of a set in a line


@final
@dataclass(frozen=True)
class Prediction:
    """What a model says of one input: `path` is the file, the text itself, or its place.

    `answer` is the task's: for classes `label`, `probability` and `probabilities`. `id` is what a
    table calls its row, empty elsewhere. `error` says why there is no answer; `label` then raises.
    `limits` are what can be said of the answer: `familiarity`, `set` or `range`, and `abstained`
    where the input is unlike anything seen and so has no answer.
    """

    path: str
    answer: Mapping[str, Any]
    id: str = ""
    error: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The likeliest label, the labels, or the number, as a person reads it.

        Raises DataError where the input could not be read.
        """
        if self.error:
            raise self.unusable()
        if self.abstained:
            return UNLIKE
        if self.tasks:
            return ", ".join(f"{name} {each.label}" for name, each in self.tasks.items())
        if "boxes" in self.answer:
            return _counted(self.answer["boxes"])
        for name in ("label", "labels", "value", "values", "text"):
            if name in self.answer:
                return _read(self.answer[name])
        return _read(dict(self.answer))

    @property
    def tasks(self) -> dict[str, Prediction]:
        """The answer to each task by name, where the model answers several."""
        return {
            name: replace(self, answer=own, limits=self.limits.get(name, {}))
            for name, own in self.answer.get(EACH, {}).items()
        }

    @property
    def familiarity(self) -> float | None:
        """The share of usual inputs that are as far out as this one; None where it isn't known."""
        return self.limits.get("familiarity")

    @property
    def abstained(self) -> bool:
        """Whether it was not answered, as it is unlike anything seen."""
        return bool(self.limits.get("abstained"))

    def or_abstained(self) -> Prediction:
        """The same, without an answer where the input is less familiar than 95 % of usual ones."""
        if self.tasks:
            each = {name: own.or_abstained() for name, own in self.tasks.items()}
            answer = {EACH: {name: own.answer for name, own in each.items()}}
            return replace(self, answer=answer, limits={n: own.limits for n, own in each.items()})
        unlike = self.familiarity is not None and self.familiarity <= UNFAMILIAR
        limits = {**self.limits, "abstained": unlike}
        if not unlike:
            return replace(self, limits=limits)
        unanswered = {
            name: dict.fromkeys(value) if isinstance(value, Mapping) else None
            for name, value in self.answer.items()
        }
        return replace(self, answer=unanswered, limits=limits)

    @property
    def probability(self) -> float | None:
        """The probability of the likeliest label, where the task has one."""
        return self.answer.get("probability")

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each label, where the task has any."""
        return dict(self.answer.get("probabilities") or {})

    def unusable(self, others: int = 0) -> DataError:
        """The error of an input that could not be read, as well as so many others."""
        path = self.path if len(self.path) <= _LONGEST else f"{self.path[:_LONGEST]}…"
        plain = path.isprintable() and not path.isspace() and path
        more = f", as well as {others} more" if others else ""
        advice = "" if ". " in self.error else " Give another."  # which some reasons hold already
        return DataError(
            f"{path if plain else repr(path)} can't be used{more}: {self.error}.{advice}"
        )

    def to_json(self) -> dict[str, Any]:
        """The prediction as plain values: {"path", "label", …}, or {"path", "error"}."""
        row_id = {"id": self.id} if self.id else {}
        content = {"error": self.error} if self.error else self.content()
        return {"path": self.path, **row_id, **content}

    def content(self) -> dict[str, Any]:
        """The answer with its limits; of several tasks each by its name, in `tasks`."""
        if self.tasks:
            return {EACH: {name: each.content() for name, each in self.tasks.items()}}
        return {**self.answer, **self.limits}

    def cells(self) -> tuple[str, ...]:
        """The input, the answer, its probability, its familiarity, and what holds the truth."""
        path = " ".join(self.path.split())
        path = "".join(sign if sign.isprintable() else "?" for sign in path)
        path = path if len(path) <= _LONGEST else f"{path[:_LONGEST]}…"
        if self.error:
            return path, f"no answer: {self.error}", "", "", ""
        numbers = (self.probability, self.familiarity)
        likely, usual = ("" if number is None else f"{number:.3f}" for number in numbers)
        return path, self.label, likely, usual, "" if self.abstained else self._around()

    def _around(self) -> str:
        """What holds the truth in 90 %, as a person reads it; empty where it isn't known."""
        if "set" in self.limits:
            names = list(self.limits["set"])
            return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
        ranges = self.limits.get("ranges") or {"": self.limits.get("range")}
        neighbours = [
            f"{name} {_read(b[0])} to {_read(b[1])}".strip() for name, b in ranges.items() if b
        ]
        return ", ".join(neighbours)

    def __str__(self) -> str:
        path, text, probability, *_ = self.cells()
        return f"{path}: {text}" + (f" ({probability})" if probability else "")


@final
class Predictions(list[Prediction]):
    """The answers of a model, in the order of the inputs."""

    @property
    def failed(self) -> Sequence[Prediction]:
        """Those that have an error in the place of an answer."""
        return [prediction for prediction in self if prediction.error]

    def write(self, path: str | Path) -> Written:
        """Write a table, .csv, .parquet or .jsonl. Raises HeadstartError where that is taken."""
        return write(destination(Path(path)), self)

    def to_frame(self) -> Any:
        """A data frame of pandas with the columns that `write` has.

        Raises HeadstartError where pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise HeadstartError(
                "A data frame needs pandas, which is not installed. Run: pip install pandas, or "
                "write a table with write()."
            ) from error
        return pd.DataFrame(table_rows(self))

    def to_json(self) -> dict[str, Any]:
        """{"predictions": [{"path", "label", "probability", …}]}."""
        return {"predictions": [prediction.to_json() for prediction in self]}

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} without an answer" if self.failed else ""
        return f"<Predictions: {len(self)} inputs{failed}>"

    def __str__(self) -> str:
        return as_columns(*_table(self))

    def _repr_html_(self) -> str:
        more = len(self) - _SHOWN
        notes = [f"… and {more} more."] if more > 0 else []
        return as_table("", *_table(self[:_SHOWN]), notes)


def _table(predictions: Sequence[Prediction]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Titles and rows, without the columns that no answer has anything for."""
    rows = [prediction.cells() for prediction in predictions]
    width = 3 + any(row[3] for row in rows) + any(row[4] for row in rows)  # a set comes with both
    return _TITLES[:width], [row[:width] for row in rows]


def demand_any(predictions: Iterable[Prediction]) -> None:
    """Raise DataError where not one of some inputs could be read, or there is none."""
    errors = 0
    first: Prediction | None = None
    for prediction in predictions:
        if not prediction.error:
            return
        errors, first = errors + 1, first or prediction
    if first is None:
        raise DataError("No input was given to predict on. Name files, folders, texts or tables.")
    raise first.unusable(errors - 1)


def _read(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_read(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _counted(boxes: Sequence[Mapping[str, Any]]) -> str:
    """How many boxes there are of each class, with their scores."""
    scores: dict[str, list[str]] = {}
    for box in boxes:
        scores.setdefault(str(box["label"]), []).append(f"{box['score']:.2f}")
    counts = (f"{len(own)} {label} ({', '.join(own[:_NAMED])})" for label, own in scores.items())
    return ", ".join(counts) or "no object"
