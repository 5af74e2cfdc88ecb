"""From hidden states to one row of features a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, final

import torch
from torch import Tensor, nn

from headstart.hubs.huggingface.parts import Part


def _first(hidden: Tensor, mask: Tensor) -> Tensor:
    last = mask.shape[1] - 1
    return _at(hidden, last - ((last - _places(mask)) * mask).amax(1))


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    return _at(hidden, (_places(mask) * mask).amax(1))


def _places(mask: Tensor) -> Tensor:
    return torch.arange(mask.shape[1], device=mask.device)


def _at(hidden: Tensor, places: Tensor) -> Tensor:
    """One token of each text."""
    return hidden.gather(1, places[:, None, None].expand(-1, 1, hidden.shape[2])).squeeze(1)


def _highest(hidden: Tensor, mask: Tensor) -> Tensor:
    lowest = torch.finfo(hidden.dtype).min
    return hidden.masked_fill((mask == 0).unsqueeze(-1), lowest).amax(1)


def _mean(hidden: Tensor, mask: Tensor, power: float = 1.0) -> Tensor:
    """The sum over tokens by a power of their number, in full precision."""
    weights = mask.unsqueeze(-1).float()
    count = weights.sum(1).clamp(min=1e-9)
    return ((hidden.float() * weights).sum(1) / count**power).to(hidden.dtype)


def _mean_by_place(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean that counts a token by its place, the first once (Muennighoff 2022)."""
    return _mean(hidden, mask * (_places(mask) + 1))


# By the names of sentence-transformers (Reimers and Gurevych 2019).
POOLS: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "cls": _first,
    "max": _highest,
    "mean": _mean,
    "mean_sqrt_len_tokens": partial(_mean, power=0.5),
    "weightedmean": _mean_by_place,
    "lasttoken": _last,
}


@final
@dataclass(frozen=True)
class TokenPooling(Part):
    """Tokens pooled in one or several ways, side by side, the first `without` of them left out."""

    ways: tuple[str, ...]
    steps: tuple[str, ...] = ()  # modules before it: the norm of the last hidden states
    without: int = 0

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The modules before it."""
        return self.steps

    def run(self, stage: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
        """Hidden states (N, T, D) and mask to features (N, ways · D)."""
        hidden, mask = inputs["hidden"], inputs["mask"]
        for name in self.steps:
            hidden = stage.get_submodule(name)(hidden)
        if self.without:
            mask = mask * (_places(mask) >= self.without)
        return torch.cat([POOLS[way](hidden, mask) for way in self.ways], dim=-1)


@final
@dataclass(frozen=True)
class OwnPooling(Part):
    """What stands between hidden states and the final layer in transformers' own classifier."""

    reads: str  # tokens, or one of POOLS
    own: tuple[str, ...]
    steps: tuple[str, ...] = ()
    ways: tuple[str, ...] = ("own",)  # one, whose features are as many as hidden states

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """All modules it runs."""
        return self.steps + tuple(name for name in self.own if name != "relu")

    def run(self, stage: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
        """Hidden states (N, T, D) and mask to features (N, D)."""
        rows, mask = inputs["hidden"], inputs["mask"]
        for name in self.steps:
            rows = stage.get_submodule(name)(rows)
        if self.reads != "tokens":
            rows = POOLS[self.reads](rows, mask)
        for name in self.own:
            rows = torch.relu(rows) if name == "relu" else stage.get_submodule(name)(rows)
        return rows
