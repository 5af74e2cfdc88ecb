"""What a part must offer to join Headstart; its constructor only stores, a catalog names it.

Names are imported when they are first used, so that cards and references need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contracts.exports import exports

if TYPE_CHECKING:
    from headstart.contracts.backbone import Backbone as Backbone
    from headstart.contracts.head import HeadFitter as HeadFitter
    from headstart.contracts.hub import Hub as Hub
    from headstart.contracts.metric import Mean as Mean
    from headstart.contracts.metric import Metric as Metric
    from headstart.contracts.modality import Check as Check
    from headstart.contracts.modality import Modality as Modality
    from headstart.contracts.model import Batch as Batch
    from headstart.contracts.model import Model as Model
    from headstart.contracts.model import Step as Step
    from headstart.contracts.origin import Card as Card
    from headstart.contracts.origin import Fed as Fed
    from headstart.contracts.origin import Origin as Origin
    from headstart.contracts.origin import Preprocess as Preprocess
    from headstart.contracts.strategy import Strategy as Strategy
    from headstart.contracts.targets import Encoding as Encoding
    from headstart.contracts.targets import Targets as Targets
    from headstart.contracts.task import Array as Array
    from headstart.contracts.task import Examples as Examples
    from headstart.contracts.task import Labels as Labels
    from headstart.contracts.task import Task as Task
    from headstart.contracts.tracker import Tracker as Tracker

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
    return [name for names in _FILES.values() for name in names]
