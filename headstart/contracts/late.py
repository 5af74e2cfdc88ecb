"""Stages of a backbone that is known before its network is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:  # so that a backbone is known without torch
    from torch import nn

    from headstart.contracts.backbone import Backbone


@final
class LateStages(Mapping[str, "nn.Module"]):
    """Stages whose names are known before their network is made."""

    def __init__(self, names: Sequence[str], whole: Callable[[], Backbone]) -> None:
        self._names, self._whole = names, whole

    def __getitem__(self, name: str) -> nn.Module:
        return self._whole().stages[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
