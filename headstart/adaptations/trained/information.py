"""Answers on the target that are sure, and are of all classes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from headstart.adaptations.trained import entropies, trained
from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains


@final
class InformationMaximisation(Adaptation):
    """The source's loss plus the entropy of each answer, minus that of all answers together.

    Both domains are standardised by their own statistics.

    Reference: Liang et al. 2020 (SHOT), for a linear head and with the source at hand.
    Use when: the target holds the same classes about as often, above all texts.
    """

    def head(self, domains: Domains) -> nn.Linear:
        """The trained layer."""
        return domains.target_scale.folded(*trained(domains, domains.inside, _uncertainty))


def _uncertainty(outputs: Tensor) -> Tensor:
    """What outputs (T, classes) don't say of the classes: minus their mutual information."""
    shares = torch.softmax(outputs, dim=1)
    return entropies(shares).mean() - entropies(shares.mean(dim=0, keepdim=True)).sum()
