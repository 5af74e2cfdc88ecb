"""A saved model at work: raw files in, predictions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.contracts import Task
from headstart.data import FileSource, Item, find_inputs
from headstart.errors import DataError
from headstart.features.engine import TorchEngine
from headstart.features.reading import Reader, groups_of
from headstart.model import Model

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """The likeliest label of one file."""

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The prediction as plain values."""
        return dict(vars(self))

    def __str__(self) -> str:
        return f"{self.path}: {self.label} ({self.probability:.3f})"


class Predictor:
    """A model with everything it needs to read raw files. Made by `headstart.load`."""

    def __init__(
        self, model: Model, task: Task, reader: Reader, labels: Sequence[str], device: torch.device
    ) -> None:
        self.labels = tuple(labels)
        self.model = model
        self.task = task
        self.reader = reader
        self._engine = TorchEngine(model, device)

    def outputs(self, items: Sequence[Item]) -> np.ndarray:
        """Head outputs (N, labels) for items, in their order."""
        groups = groups_of(np.arange(len(items)), BATCH)
        found = [self._engine.run(inputs) for inputs in self.reader.batches(items, groups)]
        return np.concatenate(found)

    def predict(self, inputs: Sequence[str | Path]) -> list[Prediction]:
        """Predict for files and for all files in folders.

        Raises DataError for a path that is missing and a file that can't be read as this modality.
        """
        paths = find_inputs(inputs, self.reader.modality)
        items = [Item(str(path), "", None, FileSource(path)) for path in paths]
        if not items:
            raise DataError("No file was given to predict on. Name files or folders.")
        for item in items:
            problem = self.reader.modality.check(item.read()).problem
            if problem:
                raise DataError(f"{item.id} can't be used: {problem}. Give another file.")
        answers = self.task.decode(self.outputs(items), self.labels)
        return [Prediction(item.id, **answer) for item, answer in zip(items, answers, strict=True)]
