"""Each method's layer, what it answers on the target, and what validators say of that."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.adaptation.validators import VALIDATORS, Answers
from headstart.contracts import Examples
from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.contracts.frozen import as_module
from headstart.errors import HeadstartError
from headstart.evidence.calibration import scaled, temperature
from headstart.evidence.fitting import answers
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Progress

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

SOURCE = "source only"


@dataclass(frozen=True)
class Candidate:
    """A way to answer on the target: its layer, outputs (T, classes), and validators' scores.

    `temperature` is what calibrates its answers to the source's held-out items.
    """

    name: str
    head: nn.Module
    outputs: np.ndarray
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    temperature: float = 1.0

    def calibrated(self) -> Candidate:
        """The same with the temperature in its layer and outputs."""
        head = as_module(scaled(self.head, self.temperature))
        outputs = (self.outputs / self.temperature).astype(np.float32)
        return replace(self, head=head, outputs=outputs, temperature=1.0)

    @property
    def answered(self) -> np.ndarray:
        """The number of the class that each target item is answered with, (T,)."""
        return np.asarray(self.outputs.argmax(axis=1))


def candidates_on(
    domains: Domains,
    held_out: Examples,
    source: nn.Module,
    methods: Mapping[str, Adaptation],
    budget: Budget,
    progress: Progress,
    required: str | None = None,
) -> list[Candidate]:
    """Source only, and each method for which there is time; no label of the target is seen.

    Raises HeadstartError where the `required` method can't be fitted; others are left out then.

    `held_out` are source items that no method learns from, `source` is the layer without
    adaptation.
    """
    weights = domains.odds(held_out[0])
    plain = _scored(SOURCE, source, domains, (held_out[0], held_out[1], weights), 0.0)
    candidates = [plain]
    moved = domains.target_scale.mean + domains.target_scale.spread * domains.source_scale(
        held_out[0]
    )
    for name, method in methods.items():
        if budget.over():
            progress.say(f"{name} and what follows it are left out: the budget has no time left.")
            break
        began = time.monotonic()
        progress.say(f"Adapting to the target ({name}).")
        try:
            head = method.head(domains)
        except HeadstartError as error:
            if name == required:
                raise
            progress.say(f"{name} is left out: {error}")
            continue
        features = moved.astype(np.float32) if method.per_domain else held_out[0]
        spent = time.monotonic() - began
        candidates.append(_scored(name, head, domains, (features, held_out[1], weights), spent))
    return candidates


def _scored(
    name: str,
    head: nn.Module,
    domains: Domains,
    held_out: tuple[np.ndarray, np.ndarray, np.ndarray],
    seconds: float,
) -> Candidate:
    outputs = answers(head, domains.target)
    features, targets, weights = held_out
    held_out_outputs = answers(head, features)
    right = held_out_outputs.argmax(axis=1) == targets
    target_answers = Answers(outputs.astype(np.float64), right, weights)
    scores = {validator: score(target_answers) for validator, score in VALIDATORS.items()}
    return Candidate(name, head, outputs, scores, seconds, temperature(held_out_outputs, targets))
