"""Transferability: how well a pretrained network suits labelled items, without any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from headstart.transferability.combination import combined
from headstart.transferability.held_out import k_nn, linear, neighbours, ridge
from headstart.transferability.marginal import logme
from headstart.transferability.sample import Sample

SCORES: Mapping[str, Callable[[Sample], float]] = MappingProxyType(
    {"k-nn": k_nn, "ridge": linear, "logme": logme}
)


def scored(sample: Sample) -> dict[str, float | None]:
    """Each score by name, a finite number; None where all items have the same target.

    Higher is better. Numbers of one score compare networks on the same items, and nothing else.
    """
    varies = sample.varying.any()
    return {name: float(score(sample)) if varies else None for name, score in SCORES.items()}


__all__ = ["SCORES", "Sample", "combined", "neighbours", "ridge", "scored"]
