"""Answers, and how they print: in a terminal, in a notebook, as JSON and as a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.errors import DataError, HeadstartError
from headstart.report import as_columns, as_table
from headstart.serve.written import Written, destination, table_rows, write

_SHOWN = 1000  # answers in a notebook
_LONGEST = 160  # signs of an input's name in a line
_TITLES = ("input", "answer", "probability")


@final
@dataclass(frozen=True)
class Prediction:
    """What a model says of one input: `path` is the file, the text itself, or its place.

    `answer` is the task's: for classes `label`, `probability` and `probabilities`. `id` is what a
    table calls its row, empty elsewhere. `error` says why there is no answer; `label` then raises.
    """

    path: str
    answer: Mapping[str, Any]
    id: str = ""
    error: str = ""

    @property
    def label(self) -> str:
        """The likeliest label, the labels, or the number, as a person reads it.

        Raises DataError where the input could not be read.
        """
        if self.error:
            raise self.unusable()
        for name in ("label", "labels", "value", "values"):
            if name in self.answer:
                return _read(self.answer[name])
        return _read(dict(self.answer))

    @property
    def probability(self) -> float | None:
        """The probability of the likeliest label, where the task has one."""
        return self.answer.get("probability")

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each label, where the task has any."""
        return dict(self.answer.get("probabilities", {}))

    def unusable(self, others: int = 0) -> DataError:
        """The error of an input that could not be read, as well as so many others."""
        path = self.path if len(self.path) <= _LONGEST else f"{self.path[:_LONGEST]}…"
        plain = path.isprintable() and not path.isspace() and path
        more = f", as well as {others} more" if others else ""
        return DataError(
            f"{path if plain else repr(path)} can't be used{more}: {self.error}. Give another."
        )

    def to_json(self) -> dict[str, Any]:
        """The prediction as plain values: {"path", "label", …}, or {"path", "error"}."""
        row_id = {"id": self.id} if self.id else {}
        content = {"error": self.error} if self.error else self.answer
        return {"path": self.path, **row_id, **content}

    def cells(self) -> tuple[str, str, str]:
        """The input, the answer and its probability, each in one short line."""
        shown = " ".join(self.path.split())
        shown = "".join(sign if sign.isprintable() else "?" for sign in shown)
        shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
        if self.error:
            return shown, f"no answer: {self.error}", ""
        return shown, self.label, "" if self.probability is None else f"{self.probability:.3f}"

    def __str__(self) -> str:
        shown, text, probability = self.cells()
        return f"{shown}: {text}" + (f" ({probability})" if probability else "")


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
        return as_columns(_TITLES, [prediction.cells() for prediction in self])

    def _repr_html_(self) -> str:
        more = len(self) - _SHOWN
        notes = [f"… and {more} more."] if more > 0 else []
        return as_table("", _TITLES, [each.cells() for each in self[:_SHOWN]], notes)


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
