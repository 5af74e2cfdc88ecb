"""Heads that no gradient trains: what one offers, what it is fitted to, and what several share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from headstart.contracts.targets import Encoding
from headstart.errors import HeadstartError, WeightsError

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor, nn

    from headstart.contracts.related import Related

SURE = 30.0  # log odds of what training never contradicts


@dataclass(frozen=True)
class Shape:
    """What a head maps: `width` features to `labels` outputs, for targets encoded so."""

    encoding: Encoding
    width: int
    labels: int


@dataclass(frozen=True)
class TrainingSet:
    """Features (N, D) float32 with their targets, and how much each item counts, (N,).

    Targets are (N,) class numbers, (N, labels) standardised numbers, or (N, labels) of 0 and 1.
    """

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    shape: Shape

    def memberships(self) -> np.ndarray:
        """1 where an item has a label, else 0, (N, labels) float64; numbers as they are."""
        if self.shape.encoding is not Encoding.INDEX:
            return self.targets.astype(np.float64)
        marks = np.zeros((len(self.targets), self.shape.labels))
        marks[np.arange(len(marks)), self.targets] = 1.0
        return marks

    def columns(self) -> Iterator[np.ndarray]:
        """The same by label, (N,) each, without holding all of them."""
        for label in range(self.shape.labels):
            if self.shape.encoding is Encoding.INDEX:
                yield (self.targets == label).astype(np.float64)
            else:
                yield self.targets[:, label].astype(np.float64)


class HeadFitter(ABC):
    """A way to answer from frozen features, fitted at once. Constructors only store.

    What is fitted is a network from features (N, D) to outputs (N, labels): logits for classes, log
    odds for label sets, standardised numbers. It is `nn.Linear`, or `restored` makes it again from
    its `state_dict`; no code is kept beside those tensors.
    """

    margins: ClassVar[bool] = False  # outputs are distances from a border, not yet log odds
    cross_validates: ClassVar[bool] = False  # it has one candidate, and looks at no validation
    sourced: ClassVar[bool] = False  # it learns from other tables, too, and can't do without
    needs_weights: ClassVar[bool] = False  # it is named with a file, as `name@weights`

    @classmethod
    def stands_alone(cls) -> bool:
        """Whether it needs labelled features, and nothing else."""
        return not (cls.sourced or cls.needs_weights)

    def demand(self) -> None:
        """Raise HeadstartError where a package is missing that fitting needs."""
        return

    def demand_shape(self, shape: Shape, items: int) -> None:
        """Raise HeadstartError for what it can't be fitted to: asked before features are made."""
        return

    def from_weights(self, path: str) -> HeadFitter:
        """The same with pretrained weights of this file, which is not opened yet.

        Raises HeadstartError where it has none.
        """
        raise HeadstartError(f"A head has no pretrained weights to read. Leave out @{path}.")

    def related_to(self, related: Sequence[Related]) -> HeadFitter:
        """The same beside labelled rows of other tables; itself where it learns from none."""
        return self

    @abstractmethod
    def candidates(self, training: TrainingSet) -> Iterable[nn.Module]:
        """Fitted heads, one for each setting that is worth a try; validation picks one."""

    def restored(self, state: Mapping[str, Tensor], shape: Shape) -> nn.Module:
        """The head that was saved as these tensors. Raises WeightsError where they are none."""
        raise WeightsError(
            f"the head {type(self).__name__} is linear and kept with the backbone's weights. "
            "Copy the saved model again."
        )


def demand_tensors(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[str, ...]],
    sizes: Mapping[str, int],
    integers: Collection[str],
) -> dict[str, int]:
    """The length of every dimension, where the tensors are those that are wanted.

    `wanted` names each tensor's dimensions, of which `sizes` knows some; a tensor is of float32, or
    of int64 where it is one of `integers`. Raises WeightsError for tensors that are missing, left
    over, empty or not finite, and for those that don't fit one another.
    """
    import torch

    lengths = dict(sizes)
    differing = sorted(set(state) ^ set(shapes))
    if differing:
        raise damaged(f"{differing[0]} is missing or left over")
    for name, dimensions in shapes.items():
        own = tuple(state[name].shape)
        expected = tuple(
            lengths.setdefault(d, size) for d, size in zip(dimensions, own, strict=False)
        )
        if len(own) != len(dimensions) or expected != own or 0 in own:
            raise damaged(f"{name} has the shape {list(own)}")
        if state[name].dtype != (torch.int64 if name in integers else torch.float32):
            raise damaged(f"{name} is of {state[name].dtype}")
        if not torch.isfinite(state[name]).all():
            raise damaged(f"{name} holds numbers that are not finite")
    return lengths


def damaged(why: str) -> WeightsError:
    """The error for a saved head that can't be used."""
    return WeightsError(
        f"the tensors are no head of this kind ({why}). Copy the saved model again."
    )
