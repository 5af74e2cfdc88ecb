"""Ways to answer on a domain that has no labels, from another that has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from headstart.contracts.domains import Domains

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn


class Adaptation(ABC):
    """A way to answer on a target from a labelled source. Constructors only store.

    Docstrings say Reference and Use when. What comes out is one linear layer for features as they
    come from the backbone: whatever was standardised, mapped or shifted is folded into it.
    `per_domain` says that the target is standardised by statistics of its own, so that source items
    must be given those before the layer can answer for them. One that is only `by_name` is tried
    where it is named, and else left alone.
    """

    per_domain: ClassVar[bool] = True
    by_name: ClassVar[bool] = False

    def demand(self) -> None:
        """Raise HeadstartError where a package is missing that it needs."""
        return

    @abstractmethod
    def head(self, domains: Domains) -> nn.Linear:
        """The layer (D) -> (classes). Raises DataError where features are not finite."""
