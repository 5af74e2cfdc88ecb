"""What a part must offer to join Headstart; its constructor only stores, a catalog names it.

Names are imported when they are first used, so that cards and references need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contracts.exports import exports

if TYPE_CHECKING:
    from headstart.contracts.backbone import Backbone
    from headstart.contracts.head import HeadFitter
    from headstart.contracts.hub import Hub
    from headstart.contracts.metric import Mean, Metric
    from headstart.contracts.modality import Check, Modality
    from headstart.contracts.model import Batch, Model, Step
    from headstart.contracts.origin import Card, Fed, Origin, Preprocess
    from headstart.contracts.strategy import Strategy
    from headstart.contracts.targets import Encoding, Targets
    from headstart.contracts.task import Array, Examples, Labels, Task
    from headstart.contracts.tracker import Tracker

__all__ = [
    "Array",
    "Backbone",
    "Batch",
    "Card",
    "Check",
    "Encoding",
    "Examples",
    "Fed",
    "HeadFitter",
    "Hub",
    "Labels",
    "Mean",
    "Metric",
    "Modality",
    "Model",
    "Origin",
    "Preprocess",
    "Step",
    "Strategy",
    "Targets",
    "Task",
    "Tracker",
]
_FILES = {
    "backbone": ("Backbone",),
    "head": ("HeadFitter",),
    "hub": ("Hub",),
    "metric": ("Mean", "Metric"),
    "modality": ("Check", "Modality"),
    "model": ("Batch", "Model", "Step"),
    "origin": ("Card", "Fed", "Origin", "Preprocess"),
    "strategy": ("Strategy",),
    "targets": ("Encoding", "Targets"),
    "task": ("Array", "Examples", "Labels", "Task"),
    "tracker": ("Tracker",),
}
__getattr__ = exports(__name__, _FILES)


def __dir__() -> list[str]:
    return __all__
