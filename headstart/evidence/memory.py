"""A translator beside a translation memory: texts that are nearly known are looked up.

As translators work with fuzzy matches: from some likeness on the memory's answer is taken, and the
network translates what is unlike all that is known (He et al. 2010, for choosing between the two).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from headstart.contracts.metric import Metric
from headstart.contracts.sequences import widened
from headstart.evidence.experiment import Experiment
from headstart.evidence.lookup import recollections
from headstart.evidence.resampling import Draws, Resampling

THRESHOLDS: Final = tuple(n / 20 for n in range(1, 21))  # of likeness, where a memory may begin


def beside_memory(
    experiment: Experiment, outputs: Mapping[str, np.ndarray], draws: Draws
) -> dict[str, Any] | None:
    """What outputs on test are worth with a memory of the training items, and from which likeness.

    The threshold is the one that is best on validation, where only training items are looked up; of
    equal ones the highest. `over_model` and `over_memory` are paired gains. None where items are no
    texts, nothing is held out, or the memory never helps there.
    """
    metric = experiment.task.judged_by()
    answers = recollections(experiment) if metric is not None else None
    if metric is None or answers is None or any(not len(rows) for rows in outputs.values()):
        return None
    targets = {name: experiment.dataset.targets(name) for name in outputs}
    threshold = _threshold(
        metric, outputs["validation"], answers["validation"], targets["validation"]
    )
    if threshold is None:
        return None
    ours, (recollection, likeness) = outputs["test"], answers["test"]
    both = mixed(ours, recollection, likeness >= threshold)
    judge = Resampling(metric, targets["test"], draws=draws)
    return {
        "threshold": threshold,
        "items": len(both),
        "matches": int((likeness >= threshold).sum()),
        **judge.interval(both).to_json(),
        "over_model": judge.gain(both, ours).to_json(),
        "over_memory": judge.gain(both, recollection).to_json(),
    }


def mixed(outputs: np.ndarray, recollection: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Rows of code points of `outputs` (N, L), and of `recollection` (N, M) where the mask is."""
    width = max(outputs.shape[1], recollection.shape[1])
    return np.where(mask[:, None], widened(recollection, width), widened(outputs, width))


def _threshold(
    metric: Metric, ours: np.ndarray, memory: tuple[np.ndarray, np.ndarray], targets: np.ndarray
) -> float | None:
    """The likeness from which on a memory helps most; None where it does nowhere."""
    recollection, likeness = memory
    sign = -1 if metric.less_is_better else 1
    best: float = sign * metric.of(ours, targets)
    at: float | None = None
    for threshold in sorted(THRESHOLDS, reverse=True):
        value = sign * metric.of(mixed(ours, recollection, likeness >= threshold), targets)
        if value > best:
            best, at = value, threshold
    return at
