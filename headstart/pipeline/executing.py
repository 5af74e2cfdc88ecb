"""Where the independent work of a run is done."""

from __future__ import annotations

import os

from headstart import catalog
from headstart.contracts.executor import Executor
from headstart.defaults import Settings


def executor_of(settings: Settings) -> Executor:
    """What `on` and `workers` name, ready. Raises HeadstartError where it can't run here."""
    name, _, address = settings.on.partition(":")
    offline = settings.offline or os.environ.get("HF_HUB_OFFLINE") == "1"
    executor: Executor = catalog.part("executors", name)(address, settings.workers, offline)
    executor.start()
    return executor
