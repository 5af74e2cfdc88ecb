"""A model that answers about raw files, texts, tables and pictures in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch import nn

from headstart.contracts import Task
from headstart.contracts.model import Model
from headstart.data import Input, Item, Schema, inputs_of
from headstart.drift import Reference
from headstart.errors import DataError, HeadstartError
from headstart.features.engine import Averaged, Engine, TorchEngine
from headstart.features.engine.interface import on_device, to_device
from headstart.features.reading import Reader, alike, in_order
from headstart.report.notebook import Printed
from headstart.serve.decoding import Decoded, reason, windows
from headstart.serve.network import Network
from headstart.serve.predictions import Prediction, Predictions, demand_any
from headstart.serve.yardstick import Yardstick

BATCH = 32
_WINDOW = 2 * BATCH  # inputs decoded at a time, and as many ahead
_RAGGED_WINDOW = 32 * BATCH  # short ones, so that those of like length meet
_SHOWN = 5  # labels in a line
_ENDLESS = "the model's answer to it is no finite number, as its weights are too large or damaged"


@final
class Predictor(Printed):
    """A model with everything it needs to read raw files. Made by `headstart.load`.

    Attributes: `labels`, what it answers with; `device`; `module`, the network alone.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        reader: Reader,
        labels: Sequence[str],
        device: torch.device,
        schema: Schema | None = None,
        reference: Reference | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.model = model
        self.task = task
        self.reader = reader
        self.device = device
        self.schema = schema or Schema()  # the columns of tables, as in training
        self._engine = self._answering(model.head)
        self.yardstick = Yardstick(reference, task, self.labels)  # what it was held to

    def outputs(self, items: Sequence[Item], features: np.ndarray | None = None) -> np.ndarray:
        """Head outputs (N, labels) for items, in their order, from their features where known.

        Raises DataError where one is not finite.
        """
        rows = self._run(self._engine, items) if features is None else self.headed(features)
        for item, row in zip(items, rows, strict=True):
            if not np.isfinite(row).all():
                raise DataError(f"{item.id} can't be used: {_ENDLESS}. Make the model again.")
        return rows

    def features(self, items: Sequence[Item]) -> np.ndarray:
        """Pooled features (N, D), what the head reads, for items in their order."""
        return self._run(self._body, items)

    @cached_property
    def _body(self) -> Engine:
        return self._answering(nn.Identity())

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
        parts = [engine.run(inputs) for inputs in reader.batches(items, groups)]
        return in_order(groups, parts)

    def predict(
        self,
        given: Any,
        *,
        text: Sequence[str] = (),
        image: str | None = None,
        abstain: bool = False,
    ) -> Predictions:
        """Answer about anything that `headstart.data.inputs_of` reads, in its order.

        That is one of, or a list, tuple, array or iterator of: paths of files, folders or
        manifests; texts as strings; bytes, opened files, PIL images, arrays of pixels; tables and
        columns of pandas, polars and pyarrow, whose rows are read by the columns of training unless
        `text` names others. Where texts are wanted a string is a text, and a file is given as a
        `Path`. What can't be read gets an error in the place of an answer. Raises DataError for
        what is none of these, and where nothing can be read. With `abstain` inputs that are less
        familiar than 95 % of the usual ones have no answer; it needs a model with a reference.
        """
        given = self.stream(given, text=text, image=image, abstain=abstain)
        predictions = Predictions(given)
        demand_any(predictions)
        return predictions

    def stream(
        self,
        given: Any,
        *,
        text: Sequence[str] = (),
        image: str | None = None,
        abstain: bool = False,
    ) -> Iterator[Prediction]:
        """The same, one after the other in bounded memory; each input is read once."""
        if abstain:
            self.yardstick.demand()
        for window in self._decoded(self.inputs(given, text=text, image=image)):
            for each in self._answered(window):
                yield each.or_abstained() if abstain and not each.error else each

    def inputs(
        self, given: Any, *, text: Sequence[str] = (), image: str | None = None
    ) -> Iterator[Input]:
        """What `given` stands for, not yet read. Raises DataError as `predict` does."""
        schema = replace(self.schema, content=tuple(text)) if text else self.schema
        schema = replace(schema, files=image) if image else schema
        return inputs_of(given, self.reader.modality, schema)

    def predict_proba(
        self, given: Any, *, text: Sequence[str] = (), image: str | None = None
    ) -> np.ndarray:
        """Probabilities (N, labels) float64, columns as in `labels`, of whatever `predict` takes.

        Raises DataError for the first input that can't be read, and HeadstartError where the task
        has no probabilities.
        """
        rows = []
        for each in self.stream(given, text=text, image=image):
            if each.error:
                raise each.unusable()
            if not each.probabilities:
                raise HeadstartError(
                    f"The model answers with {self.task.kind}, which have no probabilities. "
                    "Use predict."
                )
            rows.append([each.probabilities[label] for label in self.labels])
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.labels))

    def embed(
        self, given: Any, *, text: Sequence[str] = (), image: str | None = None
    ) -> np.ndarray:
        """Features (N, D) float32, what the head reads, of whatever `predict` takes.

        Raises DataError for the first input that can't be read.
        """
        engine, parts = self._body, []
        for window in self._decoded(self.inputs(given, text=text, image=image)):
            for each in window:
                if each.problem:
                    raise each.input.unusable(each.problem)
            parts.append(self._rows(engine, [each.value for each in window]))
        if not parts:
            demand_any(())
        return np.concatenate(parts)

    @property
    def module(self) -> nn.Module:
        """The network alone, an ordinary module in evaluation mode on `device`.

        It takes batches of what `preprocess` answers and answers with numbers (N, labels); for
        classes these are logits. Its weights are the predictor's own.
        """
        network = Network(self.model, self.reader.looks, self.reader.modality.look).eval()
        on_device(network, self.device)
        return network

    def preprocess(self, item: Any) -> Any:
        """One thing that `predict` takes, as the network takes it in, on `device`.

        For pictures a tensor (C, H, W) float32, so that `module(preprocess(picture)[None])` is a
        batch of one; for texts a mapping of tensors (T,), each of which needs the same `[None]`.
        Raises DataError for what can't be read, and for several things.
        """
        inputs = list(self.inputs(item))
        if len(inputs) != 1:
            raise DataError(f"{len(inputs)} inputs were given to preprocess. Give one at a time.")
        value = self._decode(inputs[0])
        if value.problem:
            raise inputs[0].unusable(value.problem)
        batch = self.reader.modality.collate([value.value], self.reader.preprocess)
        batch = to_device(batch, self.device)
        return {k: v[0] for k, v in batch.items()} if isinstance(batch, Mapping) else batch[0]

    def __str__(self) -> str:
        names = ", ".join(self.labels[:_SHOWN]) + (", …" if len(self.labels) > _SHOWN else "")
        what = f"{len(self.labels)} {self.task.kind}" if len(self.labels) > 1 else self.task.kind
        return f"{what} ({names}), on {self.device}"

    def find(self, given: Any) -> tuple[list[str], list[Item]]:
        """The items that inputs name, each with its file's name or the text itself.

        Raises DataError as `predict` does, and for the first one that can't be read.
        """
        inputs = list(self.inputs(given))
        if not inputs:
            demand_any(())
        for each in inputs:
            problem = self.problem(each)
            if problem:
                raise each.unusable(problem)
        return [each.name for each in inputs], [each.item for each in inputs]

    def problem(self, each: Input) -> str:
        """Why an input can't be read, empty where it can."""
        return self._decode(each).problem

    def _decode(self, each: Input) -> Decoded:
        if each.problem:
            return Decoded(each, problem=each.problem)
        modality = self.reader.modality
        try:
            raw = each.item.read()
            problem = modality.check(raw).problem
            value = None if problem else modality.decode(raw, self.reader.preprocess)
        except DataError as error:
            return Decoded(each, problem=reason(error))
        return Decoded(each, value, problem or "")

    def _decoded(self, inputs: Iterable[Input]) -> Iterator[list[Decoded]]:
        """Windows of decoded inputs; threads decode the next one meanwhile."""
        size = _RAGGED_WINDOW if self.reader.modality.ragged else _WINDOW
        waiting: deque[list[Future[Decoded]]] = deque()
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            try:
                for window in windows(inputs, size):
                    waiting.append([pool.submit(self._decode, each) for each in window])
                    if len(waiting) > 1:
                        yield [future.result() for future in waiting.popleft()]
                while waiting:
                    yield [future.result() for future in waiting.popleft()]
            finally:
                for futures in waiting:
                    for future in futures:
                        future.cancel()

    def _answered(self, window: Sequence[Decoded]) -> Iterator[Prediction]:
        usable = [each.value for each in window if not each.problem]
        answers = iter(self._answers(usable) if usable else ())
        for each in window:
            answer, limits = ({}, {}) if each.problem else next(answers)
            problem = each.problem or ("" if answer else _ENDLESS)
            yield Prediction(each.input.name, answer, each.input.id, problem, limits)

    def _answers(self, values: Sequence[Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """An answer with its limits for each value, empty where its numbers are not finite."""
        features = self._rows(self._body, values)
        rows = self.headed(features)
        finite = np.isfinite(rows).all(axis=1)
        if not finite.any():
            return [({}, {})] * len(rows)
        answers = iter(self.task.decode(rows[finite], self.labels))
        around = self.yardstick.around(features[finite], rows[finite])
        return [(next(answers), next(around)) if usable else ({}, {}) for usable in finite]

    def headed(self, features: np.ndarray) -> np.ndarray:
        """Head outputs (N, labels) for pooled features (N, D)."""
        from headstart.evidence.fitting import answers

        return answers(self.model.head.cpu().eval(), features)

    def _rows(self, engine: Engine, values: Sequence[Any]) -> np.ndarray:
        """What an engine makes of decoded items, in their order."""
        modality = self.reader.modality
        lengths = [modality.size(value) for value in values] if modality.ragged else None
        sizes = None if lengths is None else np.array(lengths, dtype=np.int64)
        groups = alike(np.arange(len(values)), BATCH, sizes)
        outputs = [
            engine.run(modality.collate([values[place] for place in group], self.reader.preprocess))
            for group in groups
        ]
        return in_order(groups, outputs)
