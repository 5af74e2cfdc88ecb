"""What a part must offer to join Headstart; its constructor only stores, a catalog names it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator as Rng
from torch import Tensor, nn

from headstart.backbone import Backbone as Backbone
from headstart.backbone import Card as Card
from headstart.backbone import Origin as Origin
from headstart.backbone import Preprocess as Preprocess
from headstart.model import Batch as Batch
from headstart.model import Model as Model
from headstart.model import Step as Step
from headstart.references import Reference

Labels = Sequence[str]
Array = np.ndarray
Examples = tuple[Array, Array]  # features (N, D) float32 and targets (N,) or (N, outputs)


@dataclass(frozen=True)
class Check:
    """What a modality found in one item: why it can't be used, if so, and its peculiarities."""

    problem: str | None = None
    notes: tuple[str, ...] = ()
    identity: str = ""  # equal for items that count as identical, where bytes say too little
    sketch: str = ""  # 256 bits as hex, of which near copies share all but 10; empty for near none


class Hub(ABC):
    """A place where pretrained weights come from. `cards` opens no connection."""

    @abstractmethod
    def cards(self, pattern: str) -> Iterable[Card]: ...
    def cards_depend_on(self) -> Sequence[str] | None: ...  # packages, $VARIABLES, ./files; or any
    @abstractmethod
    def load(self, reference: Reference) -> Backbone: ...
    def resolve(self, reference: Reference) -> Reference:
        """The reference this one stands for; itself, unless the hub only points elsewhere."""
        return reference


class Modality(ABC):
    """A kind of raw input. `decode` draws a random view when given a generator. Items of a `ragged`
    modality differ in `size`: inputs are then mappings with a `mask` (N, T), 1 before padding, and
    what stages but the last answer is `hidden` (N, T, D) with that mask.
    """

    suffixes: ClassVar[frozenset[str]]  # files that count as items, lower case with the dot
    columns: ClassVar[tuple[str, ...]]  # manifest columns that may hold the content, best first
    version: ClassVar[int] = 1  # raised when check or decode answers otherwise than before
    inline: ClassVar[bool] = False  # a manifest's column holds the content itself, not a path
    ragged: ClassVar[bool] = False

    def recognises(self, head: bytes) -> bool | None: ...  # as an item, by its first KiB
    @abstractmethod
    def check(self, raw: bytes) -> Check: ...
    @abstractmethod
    def decode(self, raw: bytes, preprocess: Preprocess, rng: Rng | None = None) -> Any: ...
    @abstractmethod
    def collate(self, items: Sequence[Any], preprocess: Preprocess) -> Any: ...
    def fitted(self, backbone: Backbone) -> Modality:
        """The same modality with what the backbone's files hold, such as a tokenizer."""
        return self

    def size(self, item: Any) -> int:
        """How long a decoded item is."""
        return 1

    def remarks(self, items: Sequence[Any], preprocess: Preprocess) -> Sequence[str]:
        """Sentences on what of these decoded items the backbone can't take in."""
        return ()

    def look(self, inputs: Any, name: str) -> Any | None: ...  # a batch by `flip` or `scales`
    def text(self, raw: bytes) -> str | None: ...  # the words of an item: what a cheap arm goes by
    def statistics(self, raw: bytes) -> Mapping[str, Array] | None: ...  # the same without words
    def pieces(self, raw: bytes) -> Sequence[tuple[str, int]]:
        """What each unit of a ragged item stands for, and its word's number, -1 for no word."""
        return ()


class Task(ABC):
    """A kind of answer. It owns the step, because some networks compute their loss inside.

    `probe` fits a head on frozen features, its settings picked on validation, or by folds of the
    training items; `naive` is one output for any input; the mean of `scores` is the metric; scores
    and losses have one row an item.
    """

    metric: ClassVar[str]
    kind: ClassVar[str] = "classes"  # of targets: classes, numbers, or label sets
    cross_validates: ClassVar[bool] = False  # `probe` does not look at validation

    @abstractmethod
    def head(self, feature_dim: int, labels: Labels) -> nn.Module: ...
    @abstractmethod
    def step(self, model: Model, batch: Batch) -> Step: ...
    @abstractmethod
    def probe(self, train: Examples, validation: Examples, labels: Labels) -> nn.Module: ...
    @abstractmethod
    def naive(self, targets: Array, labels: Labels) -> Array: ...
    @abstractmethod
    def scores(self, outputs: Array, targets: Array) -> Array: ...
    @abstractmethod
    def losses(self, outputs: Array, targets: Array) -> Array: ...
    @abstractmethod
    def decode(self, outputs: Array, labels: Labels) -> list[dict[str, Any]]: ...


class Strategy(ABC):
    """How weights move. Docstrings say Reference, Relations and Use when."""

    @abstractmethod
    def frozen_stages(self, epoch: int, stages: int) -> int: ...  # of the first ones, in this epoch
    def starts_from_probe(self) -> bool:
        """Whether training begins with the head fitted on frozen features."""
        return False

    def ends_with_probe(self) -> bool:
        """Whether the head is fitted once more, on the trained features."""
        return False

    def epochs(self, default: int) -> int:
        """How many epochs to train, given the policy's number."""
        return default

    def prepare(self, model: Model) -> None: ...  # once, before the optimiser is made
    def trained(self, model: Model) -> None: ...  # once, after it: merge what was added
    def epoch_started(self, epoch: int, model: Model) -> None: ...  # after every model.train()
    def rate(self, stage: int, stages: int) -> float:
        """What multiplies the base rate in this stage; the head is number `stages`."""
        return 1.0

    def loss(self, step: Step) -> Tensor:
        """What to minimise."""
        return step.loss

    def parameters(self) -> Iterable[nn.Parameter]:
        """Parameters of its own that the optimiser must move too."""
        return ()
