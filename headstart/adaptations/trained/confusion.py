"""Answers on the target that don't confuse its classes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from headstart.adaptations.trained import entropies, trained
from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains


@final
class MinimumClassConfusion(Adaptation):
    """The source's loss plus how much answers on the target waver between classes.

    Answers are softened by `temperature`, sure items count more, and each class counts as much as
    another. Both domains are standardised by their own statistics.

    Reference: Jin et al. 2020 (MCC).
    Use when: the target holds the same classes about as often; the best of all on most pairs.
    """

    def __init__(self, temperature: float = 2.5) -> None:
        self.temperature = temperature

    def head(self, domains: Domains) -> nn.Linear:
        """The trained layer."""
        return domains.target_scale.folded(*trained(domains, domains.inside, self._confusion))

    def _confusion(self, outputs: Tensor) -> Tensor:
        """The share of confusion between classes, from outputs (T, classes)."""
        shares = torch.softmax(outputs / self.temperature, dim=1)
        sure = 1 + torch.exp(-entropies(shares))
        weighted = shares * (sure * len(sure) / sure.sum())[:, None]
        confusion = weighted.T @ shares
        confusion = confusion / confusion.sum(dim=1, keepdim=True)
        return (confusion.sum() - confusion.trace()) / len(confusion)
