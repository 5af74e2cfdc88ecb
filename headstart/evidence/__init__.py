"""What the transfer was worth: arms on the same held-out items, gain over scratch, verdict."""

from headstart.evidence.arms import (
    ArmResult,
    arm_of,
    blended_arm,
    features_arm,
    head_arm,
    naive_arm,
    strategy_arm,
)
from headstart.evidence.baseline import baseline_arm
from headstart.evidence.bound import bounded
from headstart.evidence.experiment import Experiment
from headstart.evidence.intervals import Interval, average, bootstrap, gained, paired, verdict
from headstart.evidence.lookup import MEMORY, NEAREST
from headstart.evidence.pricing import Price
from headstart.evidence.record import Arm, Evidence, choose, interval, simplest, undecided
from headstart.evidence.resampling import (
    Draws,
    Resampling,
    metric_interval,
    resampling,
    task_interval,
)
from headstart.evidence.scratch import FINDINGS_SHARE, scratch_arm, scratch_at

__all__ = [
    "FINDINGS_SHARE",
    "MEMORY",
    "NEAREST",
    "Arm",
    "ArmResult",
    "Draws",
    "Evidence",
    "Experiment",
    "Interval",
    "Price",
    "Resampling",
    "arm_of",
    "average",
    "baseline_arm",
    "blended_arm",
    "bootstrap",
    "bounded",
    "choose",
    "features_arm",
    "gained",
    "head_arm",
    "interval",
    "metric_interval",
    "naive_arm",
    "paired",
    "resampling",
    "scratch_arm",
    "scratch_at",
    "simplest",
    "strategy_arm",
    "task_interval",
    "undecided",
    "verdict",
]
