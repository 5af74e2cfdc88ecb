"""A saved model, opened with everything it needs to read raw files, and what was measured of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, get_type_hints

import numpy as np

from headstart import artifact, catalog, defaults
from headstart.artifact import Record
from headstart.contracts import Task
from headstart.contracts.backbone import Feeding, Origin
from headstart.data import Columns, Schema
from headstart.drift import FILE as REFERENCE
from headstart.drift import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.features.reading import Reader
from headstart.loading import engine_form
from headstart.loading import record as records
from headstart.pipeline.options import demand_known
from headstart.runtime.accelerators import here
from headstart.serve import Predictor
from headstart.serve.running import WithoutTorch

if TYPE_CHECKING:  # so that a saved model answers without torch
    from headstart.contracts.model import Model
    from headstart.results import Reported


def load(folder: str | Path, device: str = "auto") -> Predictor:
    """Open a saved model. Raises HeadstartError where there is none or it was changed.

    The folder may be a stranger's: whatever goes wrong with what stands in it is its own fault. A
    model that a run replaces meanwhile is opened once more.
    """
    place = Path(folder)
    where = device_for(device)
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


def device_for(device: str) -> str:
    """The kind of device that is meant; torch is asked only where there may be another."""
    if device != "auto":
        return device
    if not here():
        return "cpu"
    from headstart.runtime import machine

    return machine.device(device).type


def _stamp(folder: Path) -> tuple[int, int] | None:
    """What changes when another model takes a folder's place."""
    try:
        stat = (folder / records.FILE).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _load(place: Path, device: str) -> Predictor:
    record, contents = artifact.read_whole(place)
    try:
        return _frozen(place, record, contents, device) or _in_torch(place, record, device)
    except HeadstartError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")[:200]
        raise HeadstartError(
            f"{place} can't be opened ({type(error).__name__}: {reason}). "
            "Copy it again, or make the model again."
        ) from error


def _frozen(
    place: Path, record: Record, contents: list[np.ndarray], device: str
) -> Predictor | None:
    """The model as it answers without torch; None where it can't, here or at all."""
    files = engine_form.read(place, record.engine) if device == "cpu" else None
    stated = record.engine.get(engine_form.BELONGS)
    if not files or stated != artifact.belonging(record, contents):
        return None  # as where the weights were written anew by another library
    content = {name: (place / name).read_bytes() for name in record.files}
    feeding = Feeding(record.preprocess, Origin(**record.origin), content)
    modality = catalog.modality(record.modality)
    if not modality.accepts(record.preprocess):
        raise HeadstartError(
            f"{place} says that its inputs are prepared as no network wants them. "
            "Copy it again, or make the model again."
        )
    modality, task = modality.fitted(feeding), catalog.task(record.task, **record.task_settings)
    try:
        form = engine_form.EngineForm.of(files, contents)
        outputs = form.outputs(np.zeros((1, form.width), np.float32))
    except engine_form.ForeignError as error:
        raise WeightsError(
            f"{place / engine_form.FOLDER / str(error)}, which no saved model has. "
            "Give a folder that Headstart saved."
        ) from error
    except engine_form.UnusableError:
        return None
    demand_right(place, record, task, outputs)
    looks = defaults.looks(record.settings.get("tta", "none"))
    reader = Reader(modality, record.preprocess, looks)
    schema = _schema(record, Schema())
    running = WithoutTorch(form, replace(reader, plain=True), lambda: _network(place, record))
    reference = _reference(place, record, form.width)
    return Predictor(running, task, reader, record.labels, device, schema, reference)


def _in_torch(place: Path, record: Record, device: str) -> Predictor:
    from headstart.pipeline.assembling import assembled
    from headstart.runtime import machine

    model, task, modality, width = assembled(place, record)
    looks = defaults.looks(record.settings.get("tta", "none"))
    reader, schema = Reader(modality, record.preprocess, looks), _schema(record, Schema())
    reference, where = _reference(place, record, width), machine.device(device)
    return Predictor(model, task, reader, record.labels, where, schema, reference)


def _reference(place: Path, record: Record, width: int) -> Reference | None:
    """The held-out items that a model keeps; None for one of an earlier version.

    Raises WeightsError where they have changed, or are not those of this model.
    """
    if not record.reference:
        return None
    reference = Reference.read(place, record.reference.get("sha256", ""))
    if (reference.features.shape[1], reference.outputs.shape[1]) != (width, len(record.labels)):
        raise WeightsError(
            f"{place / REFERENCE} holds items of another model. "
            "Copy it again, or make the model again."
        )
    return reference


def _network(place: Path, record: Record) -> Model:
    from headstart.pipeline.assembling import assembled

    artifact.read(place)  # it may have changed since
    return assembled(place, record)[0]


def demand_right(place: Path, record: Record, task: Task, outputs: np.ndarray) -> None:
    """Raise HeadstartError unless the answer to features of zeros is one for these labels."""
    if outputs.shape != (1, task.output_dim(record.labels)):
        raise HeadstartError(
            f"{place} answers {outputs.shape[-1]} numbers for {len(record.labels)} labels. "
            "Copy it again, or make the model again."
        )
    json.dumps(task.decode(outputs, record.labels), allow_nan=False)


class DataOptions(TypedDict, total=False):
    """The columns of a manifest, what stands between labels, and which folders are the classes."""

    label: str | None
    text: str | Sequence[str]
    image: str | None
    delimiter: str | None
    class_level: int | None
    group: str | None


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
        group=options.get("group"),
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


def reported(folder: str | Path) -> Reported:
    """The evidence that a saved model keeps; its page is written where it is missing.

    Raises HeadstartError where there is no model, or its evidence can't be read.
    """
    from headstart.report.page import FILE, write_page
    from headstart.results import Reported

    place = Path(folder)
    artifact.read(place)
    content = artifact.read_evidence(place)
    page = place / FILE
    with artifact.as_written(place):
        result = Reported(content, page)
        str(result)
        if not page.exists():
            write_page(place, content, {})
    return result
