"""The class mix of the target, where inputs of a class look alike in both domains."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.contracts.logistic import class_mix, outputs_of, softmax


@final
class LabelShift(Adaptation):
    """The source's classifier with the target's shares of classes in place of the source's.

    The shares are those that make the target's inputs most likely.

    Reference: Saerens et al. 2002; Alexandari et al. 2020.
    Use when: classes are more or less frequent in the target, and look the same.
    """

    per_domain: ClassVar[bool] = False

    def head(self, domains: Domains) -> nn.Linear:
        """The source's layer, its bias moved by the logarithm of the shares' ratio."""
        weight, bias = domains.start
        probabilities = softmax(outputs_of(domains.start, domains.outside))
        mix = class_mix(probabilities, domains.shares)
        return domains.source_scale.folded(weight, bias + np.log(mix / domains.shares))
