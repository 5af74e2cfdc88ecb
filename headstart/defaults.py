"""The policy: what size, rate, epochs and strategy for this much data. Pure functions, one table each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What a user may set for a run; None and "auto" leave it to the policy below.

    `budget` is in seconds of wall-clock time for the whole run; `rate` is the base learning rate.
    """

    seed: int = 0
    budget: float | None = None
    scratch: bool = True
    cache: bool = True
    epochs: int | None = None
    batch: int | None = None
    rate: float | None = None
    precision: str = "auto"  # auto, fp32, bf16
    device: str = "auto"  # auto, cpu, cuda, mps
    augment: str = "auto"  # auto, yes, no
    class_weights: str = "auto"  # auto, none
    label: str | None = None  # the label column of a manifest
    offline: bool = False
