"""A model that answers about raw files, texts, tables and pictures in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, final

import numpy as np
import torch
from torch import nn

from headstart.contracts import Task
from headstart.contracts.model import Model
from headstart.data import Input, Item, Schema, inputs_of
from headstart.errors import DataError
from headstart.features.engine import Averaged, Engine, TorchEngine
from headstart.features.reading import Reader, alike, in_order
from headstart.serve.predictions import Prediction, Predictions, demand_any

BATCH = 32
_WINDOW = 2 * BATCH  # inputs decoded at a time, and as many ahead
_RAGGED_WINDOW = 32 * BATCH  # short ones, so that those of like length meet
_ENDLESS = "the model's answer to it is no finite number, as its weights are too large or damaged"


@final
@dataclass(frozen=True)
class _Decoded:
    """An input as the network takes it in, or why it can't be."""

    input: Input
    value: Any = None
    problem: str = ""


@final
class Predictor:
    """A model with everything it needs to read raw files. Made by `headstart.load`."""

    def __init__(
        self,
        model: Model,
        task: Task,
        reader: Reader,
        labels: Sequence[str],
        device: torch.device,
        schema: Schema | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.model = model
        self.task = task
        self.reader = reader
        self.device = device
        self.schema = schema or Schema()  # the columns of tables, as in training
        self._engine = self._answering(model.head)

    def outputs(self, items: Sequence[Item]) -> np.ndarray:
        """Head outputs (N, labels) for items, in their order.

        Raises DataError where one is not finite.
        """
        found = self._run(self._engine, items)
        for item, row in zip(items, found, strict=True):
            if not np.isfinite(row).all():
                raise DataError(f"{item.id} can't be used: {_ENDLESS}. Make the model again.")
        return found

    def features(self, items: Sequence[Item]) -> np.ndarray:
        """Pooled features (N, D), what the head reads, for items in their order."""
        return self._run(self._answering(nn.Identity()), items)

    def _answering(self, head: nn.Module) -> Engine:
        """What a head makes of the features, over all looks that the reader averages."""
        looks = self.reader.looks
        if len(looks) == 1:
            return TorchEngine(self.model.with_head(head), self.device)
        body = TorchEngine(self.model.body(), self.device)
        return Averaged(dict.fromkeys(looks, body), head, self.reader.modality.look)

    def _run(self, engine: Engine, items: Sequence[Item]) -> np.ndarray:
        reader = Reader(self.reader.modality, self.reader.preprocess)  # keeps nothing for later
        groups = alike(np.arange(len(items)), BATCH, reader.sizes(items))
        found = [engine.run(inputs) for inputs in reader.batches(items, groups)]
        return in_order(groups, found)

    def predict(
        self, given: Any, *, text: Sequence[str] = (), image: str | None = None
    ) -> Predictions:
        """Answer about anything that `headstart.data.inputs_of` reads, in its order.

        That is one of, or a list, tuple, array or iterator of: paths of files, folders or
        manifests; texts as strings; bytes, opened files, PIL images, arrays of pixels; tables and
        columns of pandas, polars and pyarrow, whose rows are read by the columns of training unless
        `text` names others. Where texts are wanted a string is a text, and a file is given as a
        `Path`. What can't be read gets an error in the place of an answer. Raises DataError for
        what is none of these, and where nothing can be read.
        """
        found = Predictions(self.stream(given, text=text, image=image))
        demand_any(found)
        return found

    def stream(
        self, given: Any, *, text: Sequence[str] = (), image: str | None = None
    ) -> Iterator[Prediction]:
        """The same, one after the other in bounded memory; each input is read once."""
        for window in self._decoded(self.inputs(given, text=text, image=image)):
            yield from self._answered(window)

    def inputs(
        self, given: Any, *, text: Sequence[str] = (), image: str | None = None
    ) -> Iterator[Input]:
        """What `given` stands for, not yet read. Raises DataError as `predict` does."""
        schema = replace(self.schema, content=tuple(text)) if text else self.schema
        schema = replace(schema, files=image) if image else schema
        return inputs_of(given, self.reader.modality, schema)

    def find(self, given: Any) -> tuple[list[str], list[Item]]:
        """The items that inputs name, each with its file's name or the text itself.

        Raises DataError as `predict` does, and for the first one that can't be read.
        """
        found = list(self.inputs(given))
        if not found:
            demand_any(())
        for each in found:
            problem = self.problem(each)
            if problem:
                raise each.unusable(problem)
        return [each.name for each in found], [each.item for each in found]

    def problem(self, each: Input) -> str:
        """Why an input can't be read, empty where it can."""
        return self._decode(each).problem

    def _decode(self, each: Input) -> _Decoded:
        if each.problem:
            return _Decoded(each, problem=each.problem)
        modality = self.reader.modality
        try:
            raw = each.item.read()
            problem = modality.check(raw).problem
            value = None if problem else modality.decode(raw, self.reader.preprocess)
        except DataError as error:
            return _Decoded(each, problem=_reason(error))
        return _Decoded(each, value, problem or "")

    def _decoded(self, found: Iterable[Input]) -> Iterator[list[_Decoded]]:
        """Windows of decoded inputs; threads decode the next one meanwhile."""
        size = _RAGGED_WINDOW if self.reader.modality.ragged else _WINDOW
        waiting: deque[list[Future[_Decoded]]] = deque()
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            try:
                for window in _windows(found, size):
                    waiting.append([pool.submit(self._decode, each) for each in window])
                    if len(waiting) > 1:
                        yield [future.result() for future in waiting.popleft()]
                while waiting:
                    yield [future.result() for future in waiting.popleft()]
            finally:
                for futures in waiting:
                    for future in futures:
                        future.cancel()

    def _answered(self, window: Sequence[_Decoded]) -> Iterator[Prediction]:
        usable = [each.value for each in window if not each.problem]
        answers = iter(self._answers(usable) if usable else ())
        for each in window:
            answer = {} if each.problem else next(answers)
            problem = each.problem or ("" if answer else _ENDLESS)
            yield Prediction(each.input.name, answer, each.input.id, problem)

    def _answers(self, values: Sequence[Any]) -> list[dict[str, Any]]:
        """An answer for each value, empty where the model's numbers are not finite."""
        modality = self.reader.modality
        lengths = [modality.size(value) for value in values] if modality.ragged else None
        sizes = None if lengths is None else np.array(lengths, dtype=np.int64)
        groups = alike(np.arange(len(values)), BATCH, sizes)
        outputs = [
            self._engine.run(
                modality.collate([values[place] for place in group], self.reader.preprocess)
            )
            for group in groups
        ]
        rows = in_order(groups, outputs)
        finite = np.isfinite(rows).all(axis=1)
        answers = iter(self.task.decode(rows[finite], self.labels) if finite.any() else ())
        return [next(answers) if usable else {} for usable in finite]


def _windows(found: Iterable[Input], size: int) -> Iterator[list[Input]]:
    each = iter(found)
    while window := list(islice(each, size)):
        yield window


def _reason(error: DataError) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return f"it can't be read: {cause.strerror.lower()}"
    return str(error).rstrip(".")
