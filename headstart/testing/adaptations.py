"""What the flow relies on in any way to answer on another domain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.evidence.fitting import answers
from headstart.testing.demands import checks_in, demand

CONTRACT: Final = Adaptation
CLASSES, WIDTH = 3, 12
_RIGHT = 0.8  # of the items, where nothing moved and classes lie far apart


def subject(adaptation: Adaptation, example: Any) -> Adaptation:
    """What the checks take. Raises HeadstartError where a package is missing."""
    adaptation.demand()
    return adaptation


def domains(shift: float = 0.0) -> tuple[Domains, np.ndarray]:
    """Three clouds in both domains, the target's moved by so much, and the target's classes."""
    rng = np.random.default_rng(0)
    classes = np.arange(90) % CLASSES
    clouds = rng.normal(0, 1, (2, len(classes), WIDTH)).astype(np.float32)
    clouds[:, np.arange(len(classes)), classes] += 4
    return Domains(clouds[0], classes, clouds[1] + np.float32(shift), CLASSES), classes


def is_one_layer(adaptation: Adaptation) -> None:
    """What it fits is a finite linear layer for features as they come."""
    head = adaptation.head(domains(2.0)[0])
    right = isinstance(head, nn.Linear) and head.weight.shape == (CLASSES, WIDTH)
    demand(right, "fits no linear layer (D) -> (classes). Fold all of it into one.")
    finite = all(bool(torch.isfinite(value).all()) for value in head.state_dict().values())
    demand(finite, "fits numbers that are not finite. Check them before.")


def is_equal_from_equal_inputs(adaptation: Adaptation) -> None:
    """Two fits to the same domains are equal bit for bit."""
    both = domains(1.0)[0]
    one, other = (adaptation.head(replace(both)).state_dict() for _ in range(2))
    same = all(torch.equal(one[name], other[name]) for name in one)
    demand(same, "fits otherwise to the same domains. Draw by `domains.seed`.")


def keeps_what_needs_no_change(adaptation: Adaptation) -> None:
    """Where nothing moved it goes on answering rightly."""
    both, classes = domains()
    right = (answers(adaptation.head(both), both.target).argmax(axis=1) == classes).mean()
    demand(right >= _RIGHT, f"answers {right:.2f} rightly where nothing moved. Mend it.")


CHECKS: Final = checks_in(__name__)
