"""What is known of a backbone without its network: its card, its origin, how it is fed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Preprocess = Mapping[str, Any]  # declarative and JSON: for images size, crop, mean, std …


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
    accuracy: float | None = None  # published top-1 of these weights on ImageNet-1k, in percent
    year: int | None = None  # of publication
    path: str | None = None  # at hand, where given: exactly if a file matches this shell pattern


@dataclass(frozen=True)
class Origin:
    """Where a backbone comes from; kept in every artifact made with it."""

    reference: str
    licence: str | None
    trained_on: str | None
    weights_hash: str  # of the stages' tensors, whatever file they came in
    pretrained: bool


class Fed(Protocol):
    """How a network's inputs must look, and the files that it needs for that, network or not."""

    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def origin(self) -> Origin: ...
    @property
    def files(self) -> Mapping[str, bytes]: ...


@dataclass(frozen=True)
class Feeding:
    """The same of a saved model whose network is not made."""

    preprocess: Preprocess
    origin: Origin
    files: Mapping[str, bytes]
