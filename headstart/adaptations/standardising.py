"""Each domain standardised by its own statistics."""

from __future__ import annotations

from typing import final

from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains


@final
class Standardising(Adaptation):
    """The source's classifier, on features standardised by the target's own mean and spread.

    Reference: Li et al. 2016 (AdaBN), on stored features in place of each BatchNorm.
    Use when: the domains differ in brightness, contrast, loudness or sensor, and hold the same
    classes about as often.
    """

    def head(self, domains: Domains) -> nn.Linear:
        """The source's layer, the target's statistics folded in."""
        return domains.target_scale.folded(*domains.start)
