"""Runs in Weights & Biases, as WANDB_PROJECT, WANDB_MODE and its other variables say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, final

import wandb

from headstart.contracts.tracker import Run, Tracker

PROJECT = "headstart"


@final
class WeightsAndBiases(Tracker):
    """One run, its files in `wandb/` beside the folder of the model.

    Each training's curves run over its own steps. Without an account on this machine, and where no
    connection may be opened, the run stays in those files: `wandb sync` uploads it later.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._trainings: set[str] = set()
        self.where = str(run.dir if run.offline else run.url)

    @classmethod
    def begin(cls, run: Run) -> Tracker:
        """A new run, never one that asks for an account at the terminal."""
        mode = os.environ.get("WANDB_MODE")
        if run.offline or (mode is None and not wandb.login(prompt=False)):
            mode = "offline"
        run.out.parent.mkdir(parents=True, exist_ok=True)
        new = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            config=dict(run.arguments),
            dir=str(run.out.parent),
            mode=mode,
            reinit="create_new",
        )
        return cls(new)

    def row(self, training: str, step: int, numbers: Mapping[str, float]) -> None:
        """A point on each of the training's curves."""
        axis = f"{training}/steps"
        if training not in self._trainings:
            self._trainings.add(training)
            self._run.define_metric(axis)
            self._run.define_metric(f"{training}/*", step_metric=axis)
        rows = {f"{training}/{name}": value for name, value in numbers.items()}
        self._run.log({axis: step, **rows})

    def result(self, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        """Numbers and words into the run's summary."""
        self._run.summary.update({**numbers, **words})

    def end(self, failed: bool) -> None:
        """Finish the run, with the exit code of a failure where it failed."""
        self._run.finish(exit_code=int(failed))
