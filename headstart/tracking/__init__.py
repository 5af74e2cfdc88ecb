"""Runs written into an experiment tracker while they go on, each through its own library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from headstart.contracts.tracker import Run, Tracker
from headstart.defaults import Settings
from headstart.errors import UnknownNameError
from headstart.runtime.progress import Progress
from headstart.tracking.tracked import Tracked

__all__ = ["TRACKERS", "Followed", "Run", "Tracker", "follow"]

TRACKERS = {
    "mlflow": "headstart.tracking.mlflow:MLflow",
    "tensorboard": "headstart.tracking.tensorboard:TensorBoard",
    "wandb": "headstart.tracking.wandb:WeightsAndBiases",
}


@dataclass(frozen=True)
class Followed:
    """A run that is followed: what to run it with, and whom to tell its result.

    `settings` name no tracker any more, as what comes of a run doesn't depend on it.
    """

    settings: Settings
    progress: Progress
    result: Callable[[Callable[[], Mapping[str, Any]]], None]


@contextmanager
def follow(
    settings: Settings, progress: Progress, out: Path, arguments: Mapping[str, Any]
) -> Iterator[Followed]:
    """Follow a run by the tracker that the settings name, if any, until the block ends.

    `arguments` holds what the settings don't say: data, backbone, strategy. Raises
    UnknownNameError for a tracker that isn't known, and ModuleNotFoundError where its library is
    not installed; what fails afterwards is a warning.
    """
    if settings.track is None:
        yield Followed(settings, progress, lambda tell: None)
        return
    kind = _kind(settings.track)
    plain = replace(settings, track=None)
    config = {name: value for name, value in asdict(plain).items() if name != "track"}
    offline = settings.offline or os.environ.get("HF_HUB_OFFLINE") == "1"
    run = Run(Path(os.path.abspath(out)), {**arguments, **config}, offline)
    tracked = Tracked(progress, settings.track, partial(kind.begin, run))
    try:
        yield Followed(plain, tracked, tracked.result)
    except BaseException:
        tracked.end(failed=True)
        raise
    tracked.end(failed=False)


def _kind(name: str) -> type[Tracker]:
    if name not in TRACKERS:
        raise UnknownNameError("tracker", name, TRACKERS)
    module, _, attribute = TRACKERS[name].partition(":")
    kind: type[Tracker] = getattr(import_module(module), attribute)
    return kind
