"""A training that kills the process it runs in once, to see another go on with it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts import Strategy
from headstart.evidence import strategy_arm
from headstart.evidence.trials import Start, Trial
from headstart.training import loop

FATAL = 2  # the epoch that the first process doesn't survive


class Dying(Strategy):
    """Full fine-tuning that notes its epochs in a folder, and dies once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """None."""
        return 0

    def on_epoch_start(self, epoch: int, model: Any) -> None:
        """Note the epoch; die in one of them, once."""
        with open(self.folder / f"{epoch}", "a", encoding="utf-8") as file:
            file.write("x")
        if epoch == FATAL and (self.folder / f"{epoch}").read_text(encoding="utf-8") == "x":
            os.kill(os.getpid(), signal.SIGKILL)


def trained(start: Start, folder: Path, trial: Trial) -> np.ndarray:
    """Outputs for the test items, of a training that keeps a checkpoint after each epoch."""
    loop.CHECKPOINT_EVERY = -1.0
    place, name = folder / f"{trial.what}", f"dying-{trial.what}"
    place.mkdir(exist_ok=True)
    experiment = replace(start.experiment, budget=trial.budget)
    arm = strategy_arm(experiment, start.backbone, Dying(place), name, start.probe, trial.until)
    return arm.arm.outputs["test"]
