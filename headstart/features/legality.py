"""Which activations may be stored at all."""

from __future__ import annotations

from headstart.contracts import Strategy


def cacheable_stages(strategy: Strategy, epochs: int, stages: int, augmented: bool) -> int:
    """How many first stages' output may be stored: the one place where caching is declared legal.

    A stored activation is right only while everything before the boundary stays frozen, in every
    epoch, and its input is not augmented, or augmented by a stored, finite set of views. Behind all
    stages is the pooling, which is frozen where they are. What a strategy fixes elsewhere, by a
    missing gradient, makes nothing more legal.
    """
    if augmented:
        return 0
    return min((strategy.frozen_stages(epoch, stages) for epoch in range(epochs)), default=stages)
