"""What the transfer was worth: arms on the same held-out items, gain over scratch, verdict."""

from headstart.evidence.arms import (
    Outcome,
    blended_arm,
    features_arm,
    head_arm,
    naive_arm,
    scratch_arm,
    scratch_at,
    strategy_arm,
)
from headstart.evidence.intervals import Interval, bootstrap, paired, verdict
from headstart.evidence.pricing import Price
from headstart.evidence.record import Arm, Evidence, choose, simplest, undecided
from headstart.evidence.target import Target
from headstart.evidence.words import words_arm

__all__ = [
    "Arm",
    "Evidence",
    "Interval",
    "Outcome",
    "Price",
    "Target",
    "blended_arm",
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
    "undecided",
    "verdict",
    "words_arm",
]
