"""A saved model, opened with everything it needs to read raw files, and what was measured of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

import torch
from torch import nn

from headstart import artifact, catalog, defaults
from headstart.artifact import Record
from headstart.contracts import Backbone, Task
from headstart.contracts.head import Shape
from headstart.contracts.model import Model
from headstart.contracts.references import Reference
from headstart.data import Columns, Schema
from headstart.data.targets import kind_named
from headstart.drift import FILE as REFERENCE
from headstart.errors import HeadstartError, WeightsError
from headstart.features.reading import Reader
from headstart.loading import record as records
from headstart.loading import weights
from headstart.pipeline.options import demand_known
from headstart.report.page import FILE, write_page
from headstart.results import Reported
from headstart.runtime import machine
from headstart.serve import Predictor


def load(folder: str | Path, device: str = "auto") -> Predictor:
    """Open a saved model. Raises HeadstartError where there is none or it was changed.

    The folder may be a stranger's: whatever goes wrong with what stands in it is its own fault. A
    model that a run replaces meanwhile is opened once more.
    """
    place, where = Path(folder), machine.device(device)
    while True:
        before, failure = _stamp(place), None
        try:
            predictor = _load(place, where)
        except HeadstartError as error:
            failure = error
        if before == _stamp(place):
            if failure is not None:
                raise failure
            return predictor


def _stamp(folder: Path) -> tuple[int, int] | None:
    """What changes when another model takes a folder's place."""
    try:
        stat = (folder / records.FILE).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _load(place: Path, where: torch.device) -> Predictor:
    record = artifact.read(place)
    try:
        return _opened(place, record, where)
    except HeadstartError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")[:200]
        raise HeadstartError(
            f"{place} can't be opened ({type(error).__name__}: {reason}). "
            "Copy it again, or make the model again."
        ) from error


def _opened(folder: Path, record: Record, device: torch.device) -> Predictor:
    """The model, its answer to features of zeros seen."""
    backbone = catalog.load_backbone(Reference("checkpoint", str(folder)))
    if (backbone.modality, dict(backbone.preprocess)) != (record.modality, record.preprocess):
        raise HeadstartError(
            f"{folder} says that its inputs are prepared otherwise than its network wants. "
            "Copy it again, or make the model again."
        )
    modality = catalog.modality(record.modality).fitted(backbone)
    task = catalog.task(record.task, **record.task_settings).for_backbone(backbone)
    model = Model.of(backbone, _head(folder, record, backbone, task))
    with torch.inference_mode():
        outputs = model.head(torch.zeros(1, backbone.feature_dim)).numpy()
    if outputs.shape != (1, len(record.labels)):
        raise HeadstartError(
            f"{folder} answers {outputs.shape[-1]} numbers for {len(record.labels)} labels. "
            "Copy it again, or make the model again."
        )
    json.dumps(task.decode(outputs, record.labels), allow_nan=False)
    looks = defaults.looks(record.settings.get("tta", "none"))
    reader = Reader(modality, record.preprocess, looks)
    reference, schema = artifact.read_reference(folder, record), _schema(record, Schema())
    if reference is not None and reference.features.shape[1] != backbone.feature_dim:
        raise HeadstartError(
            f"{folder / REFERENCE} holds other features than the network has. "
            "Copy it again, or make the model again."
        )
    return Predictor(model, task, reader, record.labels, device, schema, reference)


class DataOptions(TypedDict, total=False):
    """The columns of a manifest, what stands between labels, and which folders are the classes."""

    label: str | None
    text: str | Sequence[str]
    image: str | None
    delimiter: str | None
    class_level: int | None


def schema_for(model: Path, options: DataOptions) -> Schema:
    """How data are to be read for a saved model: as in its training, where nothing else is said.

    Raises UnknownNameError for a keyword that names no such thing.
    """
    demand_known(options, get_type_hints(DataOptions))
    text = options.get("text") or ()
    schema = Schema(
        label=options.get("label"),
        content=(text,) if isinstance(text, str) else tuple(text),
        delimiter=options.get("delimiter"),
        files=options.get("image"),
        class_level=options.get("class_level"),
    )
    return fitted_schema(model, schema)


def fitted_schema(folder: str | Path, options: Schema | None = None) -> Schema:
    """How a saved model's data were read: their columns, where a table has them, and their words.

    What the `options` say counts first. Raises HeadstartError where there is no model.
    """
    return _schema(artifact.read(Path(folder)), options or Schema())


def _schema(record: Record, options: Schema) -> Schema:
    kind = catalog.task(record.task, **record.task_settings).kind
    return columns_of(record.settings, record.data, kind, options)


def columns_of(
    settings: Mapping[str, Any], data: Mapping[str, Any], kind: str, options: Schema | None = None
) -> Schema:
    """How further data are to be read, by the settings and the report of those before."""
    options, columns = options or Schema(), data.get("columns", {})
    own = settings.get("label")
    before = Columns(
        content=tuple(columns.get("content") or settings.get("text") or ()),
        labels=tuple(columns.get("label") or ([own] if own else ())),
        group=settings.get("group"),
    )
    level = settings.get("class_level")
    return replace(
        options,
        class_level=options.class_level or (level if isinstance(level, int) else None),
        kind=kind,
        delimiter=options.delimiter or settings.get("delimiter"),
        missing=settings.get("missing") if options.missing is None else options.missing,
        before=before,
    )


def _head(folder: Path, record: Record, backbone: Backbone, task: Task) -> nn.Module:
    """The head as its hub read it, or the one that the record names."""
    if record.head:
        shape = Shape(kind_named(task.kind).encoding, backbone.feature_dim, len(record.labels))
        state = weights.read(folder / artifact.HEAD).state
        try:
            if record.head["name"] != artifact.OF_TASK:
                return catalog.head(record.head["name"]).restored(state, shape)
            head = task.head(backbone.feature_dim, record.labels)
            head.load_state_dict(state)
            return head
        except (RuntimeError, WeightsError) as error:
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
    content = artifact.read_evidence(place)
    page = place / FILE
    try:
        result = Reported(content, page)
        str(result)
        if not page.exists():
            write_page(place, content, {})
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise HeadstartError(
            f"{place / artifact.EVIDENCE} is not what `fit` writes ({type(error).__name__}: "
            f"{error}). Copy it again, or make the model again."
        ) from error
    return result
