"""A model that answers about raw files, texts, tables and pictures in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Task
from headstart.data import Input, Item, Schema, inputs_of
from headstart.data.targets import kind_named
from headstart.drift import MOST, AnswerLimits, Limits, Reference, demand_refusing
from headstart.errors import DataError, HeadstartError
from headstart.features.reading import Reader
from headstart.report.notebook import Printed
from headstart.serve.batches import BATCH, Run, over_items, over_values
from headstart.serve.decoding import Decoded, batch_of, decoded, decoded_ahead
from headstart.serve.events import Events, events_of
from headstart.serve.places import demand_rows, placed
from headstart.serve.predictions import Prediction, Predictions, demand_any
from headstart.serve.running import InTorch, Running
from headstart.serve.windowing import Windowing

if TYPE_CHECKING:  # so that a saved model answers without torch
    import torch
    from torch import nn

    from headstart.contracts.model import Model

_WINDOW, _RAGGED_WINDOW = 2 * BATCH, 32 * BATCH  # decoded at a time; many short ones of like length
_SHOWN = 5  # labels in a line
_ENDLESS = "the model's answer to it is no finite number, as its weights are too large or damaged"


@final
class Predictor(Printed):
    """A model with everything it needs to read raw files. Made by `headstart.load`.

    It answers with `labels`; `module` is the network alone. Where there is a form that runs without
    torch, that one answers until the network is asked for.
    """

    def __init__(
        self,
        model: Model | Running,
        task: Task,
        reader: Reader,
        labels: Sequence[str],
        device: torch.device | str,
        schema: Schema | None = None,
        reference: Reference | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.task = task
        self.reader = reader
        self.schema = schema or Schema()  # the columns of tables, as in training
        self.reference = reference  # what it answered to held-out items
        self.recent: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MOST)  # answered last
        self.outside: deque[Mapping[str, str]] = deque(maxlen=MOST)  # their columns out of range
        self.texts: deque[Item] = deque(maxlen=MOST)  # the same where they are texts
        self._device = device
        self._running = model if isinstance(model, Running) else InTorch(model, reader, device)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        import torch

        return torch.device(self._device)

    @property
    def running(self) -> Running:
        """What computes its answers."""
        return self._running

    @property
    def model(self) -> Model:
        """The network in torch, which answers from now on."""
        if not isinstance(self._running, InTorch):
            self.model = self._running.opened()
        return self._running.opened()

    @model.setter
    def model(self, model: Model) -> None:
        self._running = InTorch(model, self.reader, self.device)

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: with the network of torch, as compiled ones can't be."""
        self.model  # noqa: B018  # opens it
        return self.__dict__

    def outputs(self, items: Sequence[Item], features: np.ndarray | None = None) -> np.ndarray:
        """Head outputs (N, labels) for items, in their order, from their features where known.

        Raises DataError where one is not finite.
        """
        if self.task.reads_maps:
            rows = over_items(self._running.outputs, items, self._running.reader)
        else:
            rows = self.headed(self.features(items) if features is None else features)
        for item, row in zip(items, rows, strict=True):
            if not np.isfinite(row).all():
                raise DataError(f"{item.id} can't be used: {_ENDLESS}. Make the model again.")
        return rows

    def features(self, items: Sequence[Item]) -> np.ndarray:
        """Pooled features (N, D), what the head reads, for items in their order.

        Raises HeadstartError where it reads maps.
        """
        demand_rows(self.task)
        return over_items(self._running.features, items, self._running.reader)

    def predict(
        self,
        data: Any,
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
        predictions = Predictions(self.stream(data, text=text, image=image, abstain=abstain))
        demand_any(predictions)
        return predictions

    def stream(
        self,
        data: Any,
        *,
        text: Sequence[str] = (),
        image: str | None = None,
        abstain: bool = False,
    ) -> Iterator[Prediction]:
        """The same, one after the other in bounded memory; each input is read once."""
        if abstain:
            demand_refusing(self.limits)
        for window in self._windows(self.inputs(data, text=text, image=image)):
            for each in self.answered(window):
                yield each.or_abstained() if abstain and not each.error else each

    def inputs(
        self, data: Any, *, text: Sequence[str] = (), image: str | None = None
    ) -> Iterator[Input]:
        """What `data` stands for, not yet read. Raises DataError as `predict` does."""
        schema = replace(self.schema, content=tuple(text)) if text else self.schema
        schema = replace(schema, files=image) if image else schema
        return inputs_of(data, self.reader.modality, schema)

    def predict_proba(
        self, data: Any, *, text: Sequence[str] = (), image: str | None = None
    ) -> np.ndarray:
        """Probabilities (N, labels) float64, columns as in `labels`, of whatever `predict` takes.

        Raises DataError for the first input that can't be read, and HeadstartError where the task
        has no probabilities.
        """
        rows = []
        for each in self.stream(data, text=text, image=image):
            if each.error:
                raise each.unusable()
            if not each.probabilities:
                raise HeadstartError(
                    f"The model answers with {self.task.kind}, which have no probabilities. "
                    "Use predict."
                )
            rows.append([each.probabilities[label] for label in self.labels])
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.labels))

    def embed(self, data: Any, *, text: Sequence[str] = (), image: str | None = None) -> np.ndarray:
        """Features (N, D) float32, what the head reads, of whatever `predict` takes.

        Raises DataError for the first input that can't be read.
        """
        demand_rows(self.task)
        parts = []
        for window in self._windows(self.inputs(data, text=text, image=image)):
            for each in window:
                if each.problem:
                    raise each.input.unusable(each.problem)
            parts.append(self._rows([each.value for each in window]))
        if not parts:
            demand_any(())
        return np.concatenate(parts)

    @property
    def module(self) -> nn.Module:
        """The network alone, an ordinary module in evaluation mode on `device`.

        It takes batches of what `preprocess` answers and answers with numbers (N, labels); for
        classes these are logits. Its weights are the predictor's own.
        """
        from headstart.features.engine import on_device
        from headstart.serve.network import Network

        network = Network(self.model, self.reader.looks, self.reader.modality.look).eval()
        on_device(network, self.device)
        return network

    def preprocess(self, item: Any) -> Any:
        """One thing that `predict` takes, as the network takes it in, on `device`.

        For pictures a tensor (C, H, W) float32, so that `module(preprocess(picture)[None])` is a
        batch of one; for texts a mapping of tensors (T,), each of which needs the same `[None]`.
        Raises DataError for what can't be read, and for several things.
        """
        from headstart.features.engine import to_device

        batch = to_device(batch_of(list(self.inputs(item)), self.reader), self.device)
        return {k: v[0] for k, v in batch.items()} if isinstance(batch, Mapping) else batch[0]

    def events(self, items: Any, abstain: bool = False, **windowing: float) -> Events:
        """What recordings hold and when, by `Windowing`. Raises HeadstartError as `events_of`."""
        return events_of(self, self.inputs(items), Windowing(**windowing), abstain)

    def __str__(self) -> str:
        names = ", ".join(self.labels[:_SHOWN]) + (", …" if len(self.labels) > _SHOWN else "")
        what = f"{len(self.labels)} {self.task.kind}" if len(self.labels) > 1 else self.task.kind
        return f"{what} ({names}), on {self._device}"

    def find(self, data: Any) -> tuple[list[str], list[Item]]:
        """The items that inputs name, each with its file's name or the text itself.

        Raises DataError as `predict` does, and for the first one that can't be read.
        """
        if not (inputs := list(self.inputs(data))):
            demand_any(())
        for each in inputs:
            if problem := self.problem(each):
                raise each.unusable(problem)
        return [each.name for each in inputs], [each.item for each in inputs]

    def problem(self, each: Input) -> str:
        """Why an input can't be read, empty where it can."""
        return decoded(each, self.reader).problem

    def _windows(self, inputs: Iterable[Input]) -> Iterator[list[Decoded]]:
        ragged = self.reader.modality.keeps_decoded
        return decoded_ahead(inputs, self.reader, _RAGGED_WINDOW if ragged else _WINDOW)

    def answered(self, window: Sequence[Decoded]) -> Iterator[Prediction]:
        """Answers to decoded inputs, in their order."""
        usable = [each.value for each in window if not each.problem]
        if self.reader.modality.keeps_decoded:
            self.texts.extend(each.input.item for each in window if not each.problem)
        answers = iter(self._answers(usable) if usable else ())
        for each in window:
            answer, limits = ({}, {}) if each.problem else next(answers)
            answer = placed(answer, each.input.item, self.task, self.reader) if answer else {}
            problem = each.problem or ("" if answer else _ENDLESS)
            self.outside.extend([] if problem else [each.outside])
            yield Prediction(each.input.name, answer, each.input.id, problem, limits)

    def _answers(self, values: Sequence[Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """An answer with its limits for each value, empty where its numbers are not finite."""
        maps = self.task.reads_maps
        features = self._rows(values, self._running.outputs if maps else None)
        rows = features if maps else self.headed(features)
        finite = np.isfinite(rows).all(axis=1)
        answers: Iterator[dict[str, Any]] = iter(())
        around: Iterator[dict[str, Any]] = repeat({})
        if finite.any():
            sound = rows[finite]
            answers = iter(self.task.decode(sound, self.labels))
            if self.limits is not None:
                predictions = self.task.predictions(sound)
                around = iter(self.limits.of(features[finite], sound, predictions))
                self.recent.extend(zip(features[finite], sound, strict=True))
        return [(next(answers), next(around)) if usable else ({}, {}) for usable in finite]

    def headed(self, features: np.ndarray) -> np.ndarray:
        """Head outputs (N, labels) for pooled features (N, D)."""
        return self._running.headed(features)

    @cached_property
    def limits(self) -> AnswerLimits | None:
        """How far answers can be trusted; None where the model keeps no held-out items."""
        if self.reference is None:
            return None
        predictions = self.task.predictions(self.reference.outputs)
        return Limits(self.reference, predictions, self.labels, kind_named(self.task.kind).encoding)

    def _rows(self, values: Sequence[Any], run: Run | None = None) -> np.ndarray:
        """The features of decoded items, or what else is made of them, in their order."""
        return over_values(run or self._running.features, values, self._running.reader)
