"""The metric of a run: which one it is, whether it fits, and what the others say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart import catalog
from headstart.contracts import Task
from headstart.data import Item
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.evidence import metric_interval
from headstart.evidence.resampling import PLAIN, Draws


def demand_metric(settings: Settings) -> None:
    """Raise HeadstartError for a metric that is not known."""
    name = settings.metric
    if name is None or name in catalog.names("metrics"):
        return
    choices = "; ".join(
        f"for {kind} {', '.join(catalog.metrics_for(kind))}" for kind in sorted(catalog.TARGETS)
    )
    raise HeadstartError(f"Metric {name!r} is not known. Give one that fits: {choices}.")


def fitting(settings: Settings, kind: str) -> str | None:
    """The metric that was named, for this kind of target; None where none was.

    `f1` of classes is the mean over the classes. Raises HeadstartError for a metric that judges
    other kinds alone.
    """
    name, choices = settings.metric, catalog.metrics_for(kind)
    if name is None or name in choices:
        return name
    if f"macro-{name}" in choices:
        return f"macro-{name}"
    advice = f"Give one of {', '.join(choices)}" if choices else "Leave out --metric"
    raise HeadstartError(f"Metric {name!r} does not judge {kind}. {advice}.")


def weighed(settings: Settings, metric: str | None) -> bool:
    """Whether uneven classes are to count alike in fitting: where the metric counts them so."""
    alike = metric is None or catalog.metric_named(metric).each_class_alike
    return settings.class_weights == "auto" and alike


def others(
    task: Task, outputs: np.ndarray, targets: np.ndarray, draws: Draws = PLAIN
) -> list[dict[str, Any]]:
    """What the other metrics for the task's kind of target say, each with its interval.

    Those that need a package which is not installed are left out.
    """
    fitting_metrics, own = catalog.metrics_for(task.kind), task.judged_by()
    predictions = task.predictions(outputs)
    rows = []
    for name, metric in fitting_metrics.items():
        same = own is None or metric.name == own.name
        if same or (name, task.kind) == ("micro-f1", "classes"):  # which is the accuracy
            continue
        whole = np.ones((1, len(targets)))
        try:
            if np.isnan(metric.resamples(predictions, targets, whole)).all():
                continue  # as where no object is of that size
        except HeadstartError:  # a package is missing
            continue
        intervals = metric_interval(metric, predictions, targets, draws)
        row: dict[str, Any] = {"metric": metric.name} | intervals.to_json()
        row |= {"less_is_better": True} if metric.less_is_better else {}
        signature = metric.signature(targets)
        rows.append(row | ({"signature": signature} if signature else {}))
    return rows


def one_group(items: Sequence[Item]) -> str:
    """A sentence where all of several held-out items are of one group; empty where not."""
    names = {item.cluster for item in items}
    if len(items) < 2 or len(names) > 1:
        return ""
    group = f", {items[0].group!r}" if items[0].group else ""
    return (
        f"No interval: one group. All {len(items)} held-out items are of one{group}, so that "
        "nothing is known of others; intervals are at most of other items of it. Hold out more "
        "groups."
    )
