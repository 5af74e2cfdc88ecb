"""A saved model at work: raw files or texts in, predictions out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.contracts import Modality, Task
from headstart.data import FileSource, InlineSource, Item, Source, find_inputs
from headstart.errors import DataError
from headstart.features.engine import Engine, TorchEngine
from headstart.features.reading import Reader, alike, in_order
from headstart.model import Model

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """What a model says of one input: `path` is the file, or the text itself.

    `answer` is the task's: for classes `label`, `probability` and `probabilities`.
    """

    path: str
    answer: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The likeliest label, the labels, or the number, as a person reads it."""
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

    def to_json(self) -> dict[str, Any]:
        """The prediction as plain values."""
        return {"path": self.path, **self.answer}

    def __str__(self) -> str:
        sure = "" if self.probability is None else f" ({self.probability:.3f})"
        return f"{self.path}: {self.label}{sure}"


class Predictor:
    """A model with everything it needs to read raw files. Made by `headstart.load`."""

    def __init__(
        self, model: Model, task: Task, reader: Reader, labels: Sequence[str], device: torch.device
    ) -> None:
        self.labels = tuple(labels)
        self.model = model
        self.task = task
        self.reader = reader
        self.device = device
        self._engine = TorchEngine(model, device)

    def outputs(self, items: Sequence[Item]) -> np.ndarray:
        """Head outputs (N, labels) for items, in their order."""
        return self._run(self._engine, items)

    def features(self, items: Sequence[Item]) -> np.ndarray:
        """Pooled features (N, D), what the head reads, for items in their order."""
        return self._run(TorchEngine(nn.Sequential(*self.model.stages), self.device), items)

    def _run(self, engine: Engine, items: Sequence[Item]) -> np.ndarray:
        reader = Reader(self.reader.modality, self.reader.preprocess)  # keeps nothing for later
        groups = alike(np.arange(len(items)), BATCH, reader.sizes(items))
        found = [engine.run(inputs) for inputs in reader.batches(items, groups)]
        return in_order(groups, found)

    def predict(self, inputs: Sequence[str | Path]) -> list[Prediction]:
        """Predict for files and for all files in folders; for texts also those given themselves.

        Raises DataError for a path that is missing and a file that can't be read as this modality.
        """
        names, items = self.find(inputs)
        answers = self.task.decode(self.outputs(items), self.labels)
        return [Prediction(name, answer) for name, answer in zip(names, answers, strict=True)]

    def find(self, inputs: Sequence[str | Path]) -> tuple[list[str], list[Item]]:
        """The items that inputs name, each with its file's name or the text itself.

        Raises DataError as `predict` does.
        """
        items = [
            Item(f"{number}", "", None, source) for number, source in enumerate(self._find(inputs))
        ]
        if not items:
            raise DataError("No file was given to predict on. Name files or folders.")
        names = [
            str(item.source.path)
            if isinstance(item.source, FileSource)
            else item.read().decode("utf-8", "replace")
            for item in items
        ]
        for name, item in zip(names, items, strict=True):
            problem = self.reader.modality.check(item.read()).problem
            if problem:
                shown = name if isinstance(item.source, FileSource) else repr(name)
                raise DataError(f"{shown} can't be used: {problem}. Give another.")
        return names, items

    def _find(self, inputs: Sequence[str | Path]) -> list[Source]:
        """Where the content of each input lies."""
        modality = self.reader.modality
        found: list[Source] = []
        for given in inputs:
            if isinstance(given, str) and modality.inline and not _is_path(given, modality):
                found.append(InlineSource(given.encode()))
            else:
                found.extend(FileSource(path) for path in find_inputs([given], modality))
        return found


def _is_path(text: str, modality: Modality) -> bool:
    """Whether it is there, or looks like a file's name and nothing else."""
    named = os.path.splitext(text)[1].lower() in modality.suffixes and not set(text) & set(" \n")
    try:
        return named or os.path.exists(text)
    except ValueError:  # a zero byte
        return False


def _read(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_read(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
