"""The source's classes found again in the target as clouds, however large each of them is."""

from __future__ import annotations

from typing import final

from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains


@final
class MixtureAdaptation(Adaptation):
    """The source's classifier, plus where a mixture of Gaussians finds its classes in the target.

    Both domains are standardised by their own statistics; means may move, shares of classes are
    free, so that a class that is not there takes no items from others.

    Reference: Dempster et al. 1977; Gauvain and Lee 1994 (MAP adaptation), on a layer's outputs.
    Use when: classes are told apart well in the source, and some may be missing or rare.
    """

    def head(self, domains: Domains) -> nn.Linear:
        """The sum of both layers, the target's statistics folded in."""
        (weight, bias), (own, offset) = domains.start, domains.mixture.layer
        return domains.target_scale.folded(weight + own, bias + offset)
