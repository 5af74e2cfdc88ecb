"""What the transfer was worth: arms on the same held-out items, gain over scratch, verdict."""

from headstart.evidence.arms import (
    Outcome,
    blended_arms,
    features_arm,
    head_arm,
    naive_arm,
    scratch_arm,
    scratch_at,
    strategy_arm,
)
from headstart.evidence.baseline import baseline_arm
from headstart.evidence.intervals import Interval, bootstrap, paired, verdict
from headstart.evidence.pricing import Price
from headstart.evidence.record import Arm, Evidence, choose, simplest
from headstart.evidence.target import Target

__all__ = [
    "Arm",
    "Evidence",
    "Interval",
    "Outcome",
    "Price",
    "Target",
    "baseline_arm",
    "blended_arms",
    "bootstrap",
    "choose",
    "features_arm",
    "head_arm",
    "naive_arm",
    "paired",
    "scratch_arm",
    "scratch_at",
    "simplest",
    "strategy_arm",
    "verdict",
]
