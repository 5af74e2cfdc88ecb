"""A saved model, opened with everything it needs to read raw files, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from headstart import artifact, catalog, machine, weights
from headstart.artifact import Record
from headstart.contracts import Backbone, Task
from headstart.data import Schema
from headstart.errors import HeadstartError, WeightsError
from headstart.features.reading import Reader
from headstart.head import Shape
from headstart.model import Model
from headstart.references import Reference
from headstart.report.page import FILE, write_page
from headstart.results.reported import Reported
from headstart.serve import Predictor


def load(folder: str | Path, device: str = "auto") -> Predictor:
    """Open a saved model. Raises HeadstartError where there is none or it was changed."""
    record = artifact.read(Path(folder))
    backbone = catalog.load_backbone(Reference("checkpoint", str(folder)))
    modality = catalog.modality(record.modality).fitted(backbone)
    reader = Reader(modality, record.preprocess)
    task = catalog.task(record.task, **record.task_settings)
    model = Model(backbone.stages, _head(Path(folder), record, backbone, task))
    return Predictor(
        model, task, reader, record.labels, machine.device(device), _columns(record.settings)
    )


def _columns(settings: Mapping[str, Any]) -> Schema:
    """The columns of a manifest that the model was fitted on, where they were named."""
    content = settings.get("text") or ()
    return Schema(settings.get("label"), tuple(content))


def _head(folder: Path, record: Record, backbone: Backbone, task: Task) -> nn.Module:
    """The head as its hub read it, or the one that the record names."""
    if record.head:
        shape = Shape(task.kind, backbone.feature_dim, len(record.labels))
        state = weights.read(folder / artifact.HEAD).state
        try:
            return catalog.head(record.head["name"]).restored(state, shape)
        except WeightsError as error:
            raise WeightsError(f"{folder / artifact.HEAD} can't be used: {error}") from None
    if backbone.head is None:
        raise HeadstartError(f"{folder} holds a backbone without a head. Fit it to data first.")
    return backbone.head


def reported(folder: str | Path) -> Reported:
    """The evidence that a saved model keeps; its page is written where it is missing.

    Raises HeadstartError where there is no model, or its evidence can't be read.
    """
    place = Path(folder)
    artifact.read(place)
    found = artifact.read_evidence(place)
    page = place / FILE
    return Reported(found, page if page.exists() else write_page(place, found, {}))
