"""Source items moved to where the target's are, at the least effort."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import final

import numpy as np
from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.contracts.logistic import logistic
from headstart.errors import HeadstartError

_MOST = 2000  # items of each domain, as the plan holds a number for each pair


@final
class OptimalTransport(Adaptation):
    """A classifier of source items that were moved to the target, each class kept together.

    The plan is entropic, by `entropy`, on costs divided by their largest, with a group lasso over
    the classes; at most 2,000 items of each domain are moved.

    Reference: Courty et al. 2016, as POT computes it (Flamary et al. 2021).
    Use when: classes move in ways of their own between the domains, which hold the same ones.
    """

    def __init__(self, entropy: float = 0.05, groups: float = 0.1) -> None:
        self.entropy = entropy
        self.groups = groups

    def demand(self) -> None:
        """Raise HeadstartError where POT is missing."""
        if find_spec("ot") is None:
            raise HeadstartError(
                "optimal-transport needs the library POT, which is not installed. "
                "Install headstart[adaptation], or name another adaptation."
            )

    def head(self, domains: Domains) -> nn.Linear:
        """Logistic regression on the moved source."""
        from ot.da import SinkhornL1l2Transport

        rng = np.random.default_rng(domains.seed)
        source = np.sort(rng.permutation(len(domains.inputs))[:_MOST])
        target = np.sort(rng.permutation(len(domains.outside))[:_MOST])
        plan = SinkhornL1l2Transport(
            reg_e=self.entropy, reg_cl=self.groups, norm="max", max_iter=5, max_inner_iter=100
        )
        with warnings.catch_warnings():  # a plan that is not exact serves as well
            warnings.simplefilter("ignore", UserWarning)
            moved = plan.fit_transform(
                Xs=domains.inputs[source], ys=domains.targets[source], Xt=domains.outside[target]
            )
        if not np.isfinite(moved).all():
            raise HeadstartError(
                "optimal-transport found no plan between these domains. Name another adaptation."
            )
        layer = logistic(moved, domains.targets[source], domains.classes, None, domains.strength)
        return domains.source_scale.folded(*layer)
