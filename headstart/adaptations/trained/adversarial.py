"""Features in which nobody can tell the domains apart, learned against a classifier of domains."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.adaptations.trained import RATE, STEPS, as_tensor
from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.contracts.standardisation import principal_axes

_WIDTH, _HIDDEN = 64, 64  # of the learned features, and of the classifier of domains
_STEEPNESS = 10.0  # of the schedule by which the classifier of domains comes to count


@final
class DomainAdversarial(Adaptation):
    """A linear map to 64 features, a classifier on them, and a classifier of domains against it.

    The map begins as the principal axes of both domains, each standardised by its own statistics;
    the gradient of the classifier of domains reaches it reversed, with a weight that grows to 1.

    Reference: Ganin et al. 2016 (DANN), with a linear map, as features are frozen.
    Use when: it is what others report; on stored features `mcc` gains more.
    """

    by_name: ClassVar[bool] = True

    def head(self, domains: Domains) -> nn.Linear:
        """The classifier and the map as one layer, the target's statistics folded in."""
        return _adversarial(domains, conditional=False)


@final
class ConditionalAdversarial(Adaptation):
    """The same, where the classifier of domains sees features together with answers.

    Reference: Long et al. 2018 (CDAN), with a linear map, as features are frozen.
    Use when: it is what others report; on stored features `mcc` gains more.
    """

    by_name: ClassVar[bool] = True

    def head(self, domains: Domains) -> nn.Linear:
        """The classifier and the map as one layer, the target's statistics folded in."""
        return _adversarial(domains, conditional=True)


def _adversarial(domains: Domains, conditional: bool) -> nn.Linear:
    directions, classifier = _beginning(domains)
    inputs = as_tensor(np.concatenate([domains.inputs, domains.inside]))
    labels, n_labelled = torch.from_numpy(domains.targets), len(domains.inputs)
    domain = (torch.arange(len(inputs)) < n_labelled).float()
    even = torch.where(domain > 0, 1 / (2 * n_labelled), 1 / (2 * (len(inputs) - n_labelled)))
    width = directions.shape[1] * (domains.classes if conditional else 1)
    judge = _judge(width, domains.seed)
    learned = [directions, *classifier.parameters(), *judge.parameters()]
    optimiser = torch.optim.Adam(learned, lr=RATE)
    for step in range(STEPS):
        optimiser.zero_grad()
        features = inputs @ directions
        outputs = classifier(features)
        weight = 2 / (1 + float(np.exp(-_STEEPNESS * step / STEPS))) - 1
        reversed_features = (
            1 + weight
        ) * features.detach() - weight * features  # reverses the gradient
        if conditional:
            shares = outputs.softmax(dim=1).detach()
            reversed_features = (shares[:, :, None] * reversed_features[:, None, :]).flatten(1)
        chance = functional.binary_cross_entropy_with_logits(
            judge(reversed_features)[:, 0], domain, even, reduction="sum"
        )
        total = functional.cross_entropy(outputs[:n_labelled], labels) + chance
        total.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        optimiser.step()
    rows = (classifier.weight.detach() @ directions.detach().T).double().numpy()
    return domains.target_scale.folded(rows, classifier.bias.detach().double().numpy())


def _beginning(domains: Domains) -> tuple[Tensor, nn.Linear]:
    """Principal axes (D, R) of both domains, and the source's layer on them."""
    both = np.concatenate([domains.inputs, domains.inside])
    axes = principal_axes(both)[1][:, -_WIDTH:]
    weight, bias = domains.start
    classifier = nn.Linear(axes.shape[1], domains.classes)
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(weight @ axes))
        classifier.bias.copy_(torch.from_numpy(bias))
    return as_tensor(axes).requires_grad_(), classifier


def _judge(width: int, seed: int) -> nn.Sequential:
    """What tells the domains apart, its weights drawn by a seed of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))
