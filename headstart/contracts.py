"""The whole extension surface: what a hub, modality, task or strategy must offer to join Headstart.

A part subclasses one of these, takes its settings as constructor arguments (constructors only
store), and gets one line in the catalog, or an entry point in its own package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from headstart.model import Model
from headstart.references import Reference

Preprocess = Mapping[str, Any]  # declarative and JSON: for images size, crop, mean, std …
Examples = tuple[np.ndarray, np.ndarray]  # features (N, D) float32 and targets (N,)


@dataclass(frozen=True)
class Card:
    """What a hub says of one backbone without loading it."""

    reference: str
    modality: str
    parameters: int | None
    input: str
    licence: str | None
    trained_on: str | None
    at_hand: bool


@dataclass(frozen=True)
class Origin:
    """Where a backbone comes from; kept in every artifact made with it."""

    reference: str
    licence: str | None
    trained_on: str | None
    weights_hash: str  # of the stages' tensors, whatever file they came in
    pretrained: bool


@dataclass
class Backbone:
    """A pretrained network without its old head, as stages from the input side to pooled features."""

    stages: Mapping[str, nn.Module]  # composed in order: input batch -> (N, feature_dim)
    feature_dim: int
    modality: str
    preprocess: Preprocess
    origin: Origin
    architecture: Reference  # rebuilds the same network and preprocessing with random weights
    head: nn.Module | None = None  # the pretrained head, where there is one
    head_name: str = "head"  # the prefix its own library gives the head's tensors
    differentiable: bool = True
    native: Mapping[str, Any] = field(
        default_factory=dict
    )  # its own library's config.json, for the artifact


@dataclass(frozen=True)
class Check:
    """What a modality found in one item: why it can't be used (or None), and what is peculiar about
    it.
    """

    problem: str | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Batch:
    """Model inputs at the boundary before stage `start`, and their targets."""

    inputs: Any
    targets: Tensor
    start: int = 0


@dataclass
class Step:
    """One forward pass: outputs, mean loss, and the pooled features under the head."""

    outputs: Tensor
    loss: Tensor
    features: Tensor


class Hub(ABC):
    """A place where pretrained weights come from."""

    @abstractmethod
    def cards(self, pattern: str) -> Iterable[Card]: ...  # what it has, by shell pattern, offline
    @abstractmethod
    def load(self, reference: Reference) -> Backbone: ...

    def resolve(self, reference: Reference) -> Reference:
        """The reference this one stands for; itself, unless the hub only points elsewhere."""
        return reference


class Modality(ABC):
    """A kind of raw input."""

    suffixes: ClassVar[frozenset[str]]  # files that count as items, lower case with the dot
    columns: ClassVar[tuple[str, ...]]  # manifest columns that may hold the content, best first

    @abstractmethod
    def check(self, raw: bytes) -> Check: ...
    @abstractmethod
    def decode(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None = None
    ) -> Any: ...  # one item, ready to collate; rng given: a random (augmented) view
    @abstractmethod
    def collate(self, items: Sequence[Any], preprocess: Preprocess) -> Any: ...  # model inputs


class Task(ABC):
    """A kind of answer. It owns the step, because some networks compute their loss inside."""

    metric: ClassVar[str]

    @abstractmethod
    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module: ...
    @abstractmethod
    def step(self, model: Model, batch: Batch) -> Step: ...
    @abstractmethod
    def probe(self, train: Examples, validation: Examples, labels: Sequence[str]) -> nn.Module: ...
    # ^ a head fitted on frozen features, its settings picked on validation
    @abstractmethod
    def naive(
        self, targets: np.ndarray, labels: Sequence[str]
    ) -> np.ndarray: ...  # one output, whatever the input
    @abstractmethod
    def scores(
        self, outputs: np.ndarray, targets: np.ndarray
    ) -> np.ndarray: ...  # (N,); the mean is the metric
    @abstractmethod
    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray: ...  # (N,)
    @abstractmethod
    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]: ...


class Strategy(ABC):
    """How weights move. Docstrings say Reference, Relations and Use when."""

    @abstractmethod
    def frozen_stages(self, epoch: int, stages: int) -> int: ...  # in this epoch, input side first

    def starts_from_probe(self) -> bool:
        """Whether training begins with the head fitted on frozen features."""
        return False

    def epochs(self, default: int) -> int:
        """How many epochs to train, given the policy's number."""
        return default

    def prepare(self, model: Model) -> None: ...  # once, before the optimiser is made
    def epoch_started(self, epoch: int, model: Model) -> None: ...
    def rate(self, stage: int, stages: int) -> float:
        """What multiplies the base rate in this stage; the head is number `stages`."""
        return 1.0

    def loss(self, step: Step) -> Tensor:
        return step.loss

    def parameters(self) -> Iterable[nn.Parameter]:
        return ()
