"""The form of a saved model that answers without torch: made, and held to the network in torch.

What of it depends on the backbone alone is made and compared once; later models of the same one
take it as it is kept, and are compared with the features that they were fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart import artifact
from headstart.artifact import Record
from headstart.contracts import Task
from headstart.contracts.frozen import FrozenModel, LinearHead, Network, as_model
from headstart.contracts.references import parse
from headstart.data import Item
from headstart.errors import WeightsError, reason
from headstart.evidence import Experiment
from headstart.features import prepared
from headstart.features.engine import EngineError, openvino
from headstart.features.engine.graphs import Written, linear, placed
from headstart.features.reading import Reader
from headstart.loading import arrays, engine_form
from headstart.serve.running import InTorch, WithoutTorch

TRUST = "trust"  # the option of networks that are code
TOLERANCE = 1e-4  # of a probability, or of a number in its own size
CHECKED = 8  # items that both forms are compared on


@dataclass(frozen=True)
class Earlier:
    """A model that this run wrote before, and its record."""

    folder: Path
    record: Record


def with_engine(
    folder: Path,
    record: Record,
    experiment: Experiment,
    model: Network,
    earlier: Earlier | None,
) -> Record:
    """The record of a saved model whose engine form is written, or as it was where it has none.

    An earlier model may be the same: then its form is taken.
    """
    try:
        files = _earlier_form(record, earlier)
        if files is None:
            making = _Making(folder, record, experiment, model)
            making.demand_possible()
            files = making.from_prepared() or making.from_network()
    except (EngineError, engine_form.UnusableError) as error:
        experiment.progress.say(f"The saved model answers through torch alone: {error}.")
        return record
    return artifact.add_engine(folder, record, files)


def _earlier_form(record: Record, earlier: Earlier | None) -> dict[str, bytes] | None:
    """The form of the same weights."""
    if earlier is None or replace(earlier.record, engine={}) != record:
        return None
    try:
        return engine_form.read(earlier.folder, earlier.record.engine)
    except WeightsError:
        return None


@dataclass(frozen=True)
class _Making:
    """A saved model that is to get a form, and what it was fitted to."""

    folder: Path
    record: Record
    experiment: Experiment
    model: Network

    def demand_possible(self) -> None:
        """Raise EngineError where no form can answer as the network does."""
        experiment = self.experiment
        changes = type(experiment.task).for_backbone is not Task.for_backbone
        if TRUST in parse(self.record.architecture).options:
            raise EngineError("its network is code of its own")
        if changes or experiment.reader.preprocess.get("crop_mode") == "whole":
            raise EngineError("its answers depend on more than weights")
        if experiment.reader.modality.holds():
            raise EngineError("its rows hold items of other networks")
        if self._reader is experiment.reader:
            raise EngineError("its items are read by torch")

    def from_prepared(self) -> dict[str, bytes] | None:
        """The form from what is kept of the backbone, if it has the features that were stored."""
        model = self.model
        if not isinstance(model, FrozenModel) or not isinstance(model.head, LinearHead):
            return None
        cached = prepared.recall(model.backbone) if model.backbone.is_late else None
        if cached is None:
            return None
        graphs = {engine_form.BODY: cached.body, engine_form.HEAD: linear(model.head)}
        files = placed(graphs, self._tensors)
        test = self.experiment.dataset.split("test")[:CHECKED]
        split = "test" if test else "train"
        features = self.experiment.examples(model.backbone)[split][0][:CHECKED]
        items = test or self.experiment.dataset.split("train")[:CHECKED]
        running = self._running(files)
        if test:  # others may have been computed less exactly
            _demand_alike(running.features(self._batch(items)), features)
        self._demand_answers(running.headed(features), model.head(features))
        return files

    def from_network(self) -> dict[str, bytes]:
        """The form, if it answers the first items as torch does. Raises EngineError where not."""
        import torch

        from headstart.features.engine.converting import as_graph

        experiment, model = self.experiment, as_model(self.model).cpu().eval()
        items = (experiment.dataset.split("test") or experiment.dataset.items)[:CHECKED]
        inputs = experiment.reader.collated([experiment.reader.decode(item) for item in items])
        network = InTorch(model, experiment.reader, torch.device("cpu"))
        features, outputs = network.features(inputs), network.outputs(inputs)
        body = self._of_engine(inputs) or as_graph(model.body(), inputs)
        graphs = {engine_form.BODY: body}
        if isinstance(self.model.head, LinearHead):
            graphs[engine_form.HEAD] = linear(self.model.head)
        else:
            zeros = torch.zeros(2, features.shape[1])
            graphs[engine_form.HEAD] = as_graph(torch.nn.Sequential(model.head), zeros)
        files = placed(graphs, self._tensors)
        running = self._running(files)
        batch = self._batch(items)
        try:
            own = running.features(batch), running.outputs(batch)
        except RuntimeError as error:  # as where looks are of several sizes, and its inputs of one
            raise EngineError(reason(error)) from error
        _demand_alike(own[0], features)
        self._demand_answers(own[1], outputs)
        self._keep(body)
        return files

    def _of_engine(self, inputs: Any) -> Written | None:
        """The frozen body that the features' engine was converted to; None where it wasn't."""
        if not isinstance(self.model, FrozenModel):
            return None
        backbone, reader = self.model.backbone, self.experiment.reader
        prefix = self.experiment.prefix(backbone, len(backbone.stages))
        return openvino.body(inputs, prefix.key(reader, "fp32"))

    def _keep(self, body: Written) -> None:
        """Let later models of the same frozen backbone have its weights and its body."""
        if not isinstance(self.model, FrozenModel) or self.record.head:
            return
        backbone = self.model.backbone
        with suppress(TypeError):  # numbers that NumPy has no kind for
            tensors = self._tensors[0].arrays()
            head = {f"{backbone.head_name}.{name}" for name in ("weight", "bias")}
            prepared.keep(backbone, {n: own for n, own in tensors.items() if n not in head}, body)

    @property
    def _reader(self) -> Reader:
        return self.experiment.reader.in_arrays()

    @property
    def _tensors(self) -> list[arrays.Tensors]:
        """The saved files of weights."""
        names = (artifact.WEIGHTS, *((artifact.HEAD,) if self.record.head else ()))
        return [arrays.read(self.folder / name) for name in names]

    def _running(self, files: dict[str, bytes]) -> WithoutTorch:
        form = engine_form.EngineForm.of(files, [each.content for each in self._tensors])
        return WithoutTorch(form, self._reader, lambda: as_model(self.model))

    def _batch(self, items: Sequence[Item]) -> Any:
        return self._reader.collated([self._reader.decode(item) for item in items])

    def _demand_answers(self, own: np.ndarray, expected: np.ndarray) -> None:
        _demand_alike(*map(self.experiment.task.predictions, (own, expected)))


def _demand_alike(outputs: np.ndarray, expected: np.ndarray) -> None:
    """Raise EngineError where a number is off by more than is allowed."""
    allowed = TOLERANCE * np.maximum(1.0, np.abs(expected).max())
    if outputs.shape != expected.shape or not bool((np.abs(outputs - expected) <= allowed).all()):
        raise EngineError("OpenVINO computes something else")
