"""The form of a saved model that answers without torch: made, and held to the network in torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart import artifact
from headstart.artifact import Record
from headstart.contracts import Task
from headstart.contracts.references import parse
from headstart.errors import WeightsError, reason
from headstart.evidence import Experiment
from headstart.features.engine import EngineError
from headstart.features.engine.freezing import frozen
from headstart.loading import arrays, engine_form
from headstart.serve.running import InTorch, WithoutTorch

if TYPE_CHECKING:  # so that frozen features need no torch
    from headstart.contracts.model import Model

TRUST = "trust"  # the option of networks that are code
TOLERANCE = 1e-4  # of a probability, or of a number in its own size
CHECKED = 8  # items that both forms are compared on


@dataclass(frozen=True)
class Earlier:
    """A model that this run wrote before, and its record."""

    folder: Path
    record: Record


def with_engine(
    folder: Path, record: Record, experiment: Experiment, model: Model, earlier: Earlier | None
) -> Record:
    """The record of a saved model whose engine form is written, or as it was where it has none.

    An earlier model may be the same: then its form is taken.
    """
    try:
        files = _known(record, earlier) or _made(folder, record, experiment, model)
    except (EngineError, engine_form.UnusableError) as error:
        experiment.progress.say(f"The saved model answers through torch alone: {error}.")
        return record
    return artifact.add_engine(folder, record, files)


def _known(record: Record, earlier: Earlier | None) -> dict[str, bytes] | None:
    """The form of the same weights."""
    if earlier is None or replace(earlier.record, engine={}) != record:
        return None
    try:
        return engine_form.read(earlier.folder, earlier.record.engine)
    except WeightsError:
        return None


def _made(folder: Path, record: Record, experiment: Experiment, model: Model) -> dict[str, bytes]:
    """The form, if it answers the first items as torch does. Raises EngineError where not."""
    import torch

    changes = type(experiment.task).for_backbone is not Task.for_backbone
    if TRUST in parse(record.architecture).options:
        raise EngineError("its network is code of its own")
    if changes or experiment.reader.preprocess.get("crop_mode") == "whole":
        raise EngineError("its answers depend on more than weights")
    items = (experiment.dataset.split("test") or experiment.dataset.items)[:CHECKED]
    reader = replace(experiment.reader, plain=True)
    decoded = [reader.decode(item) for item in items]
    batch, inputs = reader.collated(decoded), experiment.reader.collated(decoded)
    if batch is None:
        raise EngineError("its items are read by torch")
    network = InTorch(model.cpu().eval(), experiment.reader, torch.device("cpu"))
    features, outputs = network.features(inputs), network.outputs(inputs)
    names = (artifact.WEIGHTS, *((artifact.HEAD,) if record.head else ()))
    tensors = [arrays.read(folder / name) for name in names]
    files = frozen(model, features.shape[1], inputs, tensors)
    form = engine_form.EngineForm.of(files, [each.content for each in tensors])
    running = WithoutTorch(form, reader, lambda: model)
    try:
        own = running.features(batch), running.outputs(batch)
    except RuntimeError as error:  # as where looks are of several sizes, and its inputs of one
        raise EngineError(reason(error)) from error
    _demand_alike(own[0], features)
    _demand_alike(*map(experiment.task.predictions, (own[1], outputs)))
    return files


def _demand_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """Raise EngineError where a number is off by more than is allowed."""
    allowed = TOLERANCE * np.maximum(1.0, np.abs(expected).max())
    if found.shape != expected.shape or not bool((np.abs(found - expected) <= allowed).all()):
        raise EngineError("OpenVINO computes something else")
