"""Source items weighed by how much they look like the target's."""

from __future__ import annotations

from typing import ClassVar, final

from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains


@final
class ImportanceWeighting(Adaptation):
    """The source's classifier, its items weighed by the odds that they are of the target.

    None counts more than `most` times the average.

    Reference: Shimodaira 2000; odds by a classifier as Bickel et al. 2009.
    Use when: the target looks like a part of the source.
    """

    per_domain: ClassVar[bool] = False

    def __init__(self, most: float = 10.0) -> None:
        self.most = most

    def head(self, domains: Domains) -> nn.Linear:
        """Logistic regression with weights."""
        weights = domains.odds(domains.source, self.most)
        return domains.source_scale.folded(*domains.logistic(domains.inputs, weights))
