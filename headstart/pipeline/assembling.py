"""A saved model's network in torch, made by the hub that its backbone is from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from headstart import artifact, catalog
from headstart.artifact import Record
from headstart.contracts import Backbone, Modality, Task
from headstart.contracts.head import Shape
from headstart.contracts.model import Model
from headstart.contracts.references import Reference
from headstart.data.targets import kind_named
from headstart.errors import HeadstartError, WeightsError
from headstart.loading import weights
from headstart.pipeline.opening import demand_right


def assembled(folder: Path, record: Record) -> tuple[Model, Task, Modality, int]:
    """The network with its task, modality and number of features, its answer to zeros seen.

    Raises HeadstartError where they don't fit one another.
    """
    backbone = catalog.load_backbone(Reference("checkpoint", str(folder)))
    task = catalog.task(record.task, **record.task_settings)
    backbone = task.backbone(backbone)
    if (backbone.modality, dict(backbone.preprocess)) != (record.modality, record.preprocess):
        raise HeadstartError(
            f"{folder} says that its inputs are prepared otherwise than its network wants. "
            "Copy it again, or make the model again."
        )
    modality = catalog.modality(record.modality).fitted(backbone)
    task = task.for_backbone(backbone)
    model = Model.of(backbone, _head(folder, record, backbone, task))
    with torch.inference_mode():
        if task.reads_maps:
            outputs = model.eval()(modality.blank(backbone.preprocess)).numpy()
        else:
            outputs = model.head(torch.zeros(1, backbone.feature_dim)).numpy()
    demand_right(folder, record, task, outputs)
    return model, task, modality, backbone.feature_dim


def _head(folder: Path, record: Record, backbone: Backbone, task: Task) -> nn.Module:
    """The head as its hub read it, or the one that the record names."""
    if record.head:
        shape = Shape(kind_named(task.kind).encoding, backbone.feature_dim, len(record.labels))
        state = weights.read(folder / artifact.HEAD).state
        try:
            if record.head["name"] != artifact.OF_TASK:
                return catalog.head(record.head["name"]).restored(state, shape)
            head = task.head(backbone.feature_dim, record.labels)
            if backbone.detector is not None:
                whole = weights.read(folder / artifact.WEIGHTS).state
                within = {f"{artifact.WITHIN}{name}": tensor for name, tensor in whole.items()}
                state |= {name: within[name] for name in head.state_dict().keys() & within.keys()}
            head.load_state_dict(state)
            return head
        except (RuntimeError, WeightsError) as error:
            raise WeightsError(f"{folder / artifact.HEAD} can't be used: {error}") from None
    if backbone.head is None:
        raise HeadstartError(f"{folder} holds a backbone without a head. Fit it to data first.")
    return backbone.head
