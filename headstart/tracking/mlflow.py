"""Runs in MLflow: wherever MLFLOW_TRACKING_URI points, else `mlflow.db` in the current folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import final

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when the library is imported

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from headstart.contracts.tracker import Run, Tracker
from headstart.errors import HeadstartError

EXPERIMENT = "headstart"
_HERE = ("sqlite:", "file:")
_LONGEST = 500  # characters of a parameter, which every store takes
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@final
class MLflow(Tracker):
    """A run of the experiment MLFLOW_EXPERIMENT_NAME, `headstart` where that is not set.

    What was asked for are its parameters, histories and arms its metrics, the rest its tags. It is
    written through a client, which leaves a run alone that the caller has open.
    """

    def __init__(self, client: MlflowClient, run: str, where: str) -> None:
        self._client = client
        self._run = run
        self.where = where

    @classmethod
    def begin(cls, run: Run) -> Tracker:
        """A new run. Raises HeadstartError for a server where no connection may be opened."""
        place = mlflow.get_tracking_uri()
        if run.offline and "://" in place and not place.startswith(_HERE):
            raise HeadstartError(f"{place} is a server, and this run is offline")
        for name, value in _IMPATIENT.items():
            os.environ.setdefault(name, value)
        client = MlflowClient(tracking_uri=place)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        existing = client.get_experiment_by_name(name)
        experiment = client.create_experiment(name) if existing is None else existing.experiment_id
        new = client.create_run(experiment, run_name=run.name)
        params = [Param(key, str(value)[:_LONGEST]) for key, value in run.arguments.items()]
        client.log_batch(new.info.run_id, params=params)
        where = f"run {run.name} of experiment {name} in {place}"
        return cls(client, new.info.run_id, where)

    def row(self, training: str, step: int, numbers: Mapping[str, float]) -> None:
        """A point on each of the training's curves."""
        self._write({f"{training}/{name}": value for name, value in numbers.items()}, step)

    def result(self, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        """Numbers as metrics, words as tags."""
        self._write(numbers, 0)
        tags = [RunTag(name, value) for name, value in words.items()]
        self._client.log_batch(self._run, tags=tags)

    def end(self, failed: bool) -> None:
        """Mark the run as finished or failed."""
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")

    def _write(self, numbers: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in numbers.items()]
        self._client.log_batch(self._run, metrics=metrics)
