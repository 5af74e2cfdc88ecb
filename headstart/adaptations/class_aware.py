"""The target standardised as what its classes are, not as if it held all of the source's."""

from __future__ import annotations

from typing import final

import numpy as np
from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains


@final
class ClassAwareStandardising(Adaptation):
    """The source's classifier on a target that has the statistics of a source with its class mix.

    The mix is estimated first; the bias is moved to it, too.

    Reference: Li et al. 2016 (AdaBN) for the statistics, Saerens et al. 2002 for the mix.
    Use when: the target may hold only some of the classes, or others more often.
    """

    def head(self, domains: Domains) -> nn.Linear:
        """The source's layer, statistics and mix folded in."""
        (weight, bias), (mix, scale) = domains.start, domains.aligned
        return scale.folded(weight, bias + np.log(mix / domains.shares))
