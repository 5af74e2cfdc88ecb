"""A saved model opened again: it must answer raw files as the model in memory does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.frozen import FrozenModel, Network, as_model
from headstart.data import FileSource, Item
from headstart.errors import HeadstartError
from headstart.evidence import Experiment
from headstart.evidence.fitting import answers
from headstart.features import prepared
from headstart.pipeline.opening import load
from headstart.serve import Predictor, places

CHECKED = 8  # raw files that the saved model is compared on
TOLERANCE = 1e-4  # of a probability, between the process that trained and a fresh one


def check(folder: Path, experiment: Experiment, model: Network, fresh: bool) -> None:
    """Compare the model in this process with the saved one, on raw files.

    What was fitted to frozen features answers by those that are stored, which another engine made.
    The last is opened in a `fresh` process, whose start takes seconds; others here. Raises
    HeadstartError where it can't be opened or answers otherwise.
    """
    items = (experiment.dataset.split("test") or experiment.dataset.items)[:CHECKED]
    task, labels, reader = experiment.task, experiment.labels, experiment.reader
    expected = places.answers(_outputs(experiment, model, items), items, task, labels, reader)
    if fresh:
        experiment.progress.say(
            "Opening the saved model in a fresh process to compare its answers."
        )
        verify(folder, items, expected, min(experiment.reader.modality.suffixes))
        return
    there = load(folder, experiment.compute.device)
    again = places.answers(there.outputs(items), items, there.task, there.labels, there.reader)
    _demand_alike(folder, items, again, expected)


def _outputs(experiment: Experiment, model: Network, items: Sequence[Item]) -> np.ndarray:
    """What the model in this process answers to items, (N, labels)."""
    if isinstance(model, FrozenModel) and experiment.dataset.split("test"):
        return answers(model.head, experiment.examples(model.backbone)["test"][0][: len(items)])
    if isinstance(model, FrozenModel) and model.backbone.is_late and not experiment.reader.others:
        engine, reader = prepared.engine(model.backbone), experiment.reader.in_arrays()
        if engine is not None:
            inputs = reader.collated([reader.decode(item) for item in items])
            return answers(model.head, engine.run(inputs))
    device = experiment.accelerator.device
    own = as_model(model)
    here = Predictor(own, experiment.task, experiment.reader, experiment.labels, device)
    return here.outputs(items)


def verify(
    folder: Path, items: Sequence[Item], expected: Sequence[Mapping[str, Any]], suffix: str
) -> None:
    """Open the artifact in a fresh process and compare its answers on raw files.

    `suffix` is that of files whose items have no name of their own. Raises HeadstartError where
    the fresh process fails or answers otherwise.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files = []
        for position, item in enumerate(items):
            own = item.source.path.suffix if isinstance(item.source, FileSource) else ""
            file = Path(scratch) / f"{position:03}{own or suffix}"
            file.write_bytes(item.read())
            files.append(str(file))
        command = [sys.executable, "-m", "headstart", "predict", str(folder), *files, "--json"]
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False
        )
    if ended.returncode != 0:
        raise HeadstartError(f"{folder} can't be opened in a fresh process: {ended.stderr.strip()}")
    _demand_alike(folder, items, json.loads(ended.stdout)["predictions"], expected)


def _demand_alike(
    folder: Path,
    items: Sequence[Item],
    answers: Sequence[Mapping[str, Any]],
    expected: Sequence[Mapping[str, Any]],
) -> None:
    """Raise HeadstartError where a saved model's answers are not those of the model in memory."""
    for item, answer, reference in zip(items, answers, expected, strict=True):
        common = {name: answer.get(name) for name in reference}
        if not _close(common, reference):
            raise HeadstartError(
                f"{folder} answers otherwise when it is opened again for {item.id}: {common}, "
                f"not {dict(reference)}. Please report this; nothing was saved."
            )


def _close(answer: Any, reference: Any) -> bool:
    """Whether all numbers in two answers agree; words may differ where two are as likely.

    Words that have no numbers beside them, as translations have none, are the same.
    """
    if isinstance(reference, Mapping):
        if all(isinstance(each, str) for each in reference.values()):
            return bool(answer == reference)
        return isinstance(answer, Mapping) and all(
            _close(answer.get(n), reference[n]) for n in reference
        )
    if isinstance(reference, int | float):
        return isinstance(answer, int | float) and (
            abs(answer - reference) <= TOLERANCE * max(1.0, abs(reference))
        )
    return type(answer) is type(reference)
