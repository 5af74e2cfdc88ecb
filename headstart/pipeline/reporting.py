"""A saved model on labelled data it was not made with: scores, mistakes, and their page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart import artifact
from headstart.artifact import Record
from headstart.contracts import Encoding
from headstart.data import Dataset, InMemory, Schema, data_of, load_labelled, named
from headstart.data.targets import kind_named
from headstart.evidence import Assessor, Draws, families
from headstart.evidence.by_class import by_class, by_group, within
from headstart.evidence.calibration import calibration
from headstart.evidence.inspection import ambiguous, feature_map, mistakes, suspects
from headstart.pipeline.metrics import others
from headstart.pipeline.opening import fitted_schema, load
from headstart.pipeline.pictures import pictured
from headstart.pipeline.provenance import Name, called, provenance
from headstart.plan import overlap
from headstart.report.page import write_page
from headstart.results import Reported
from headstart.runtime.places import demand_path
from headstart.runtime.progress import Show, as_progress
from headstart.serve import Predictor
from headstart.serve.noticing import between


def report_on(
    model: str | Path,
    data: Any,
    out: str | Path | None = None,
    *,
    schema: Schema | None = None,
    progress: Show = None,
) -> Reported:
    """How a saved model does on other labelled data: everything `evaluate` says, and why.

    Classes, groups, calibration, confident mistakes, close calls, likely label errors and a map,
    on a page in the folder `out`, by default `report-` and the data's name, here. Columns, and what
    stands between labels, are as they were in training unless `schema` says otherwise. Raises
    HeadstartError where there is no model, or the data can't be read.
    """
    data, progress = data_of(data), as_progress(progress)
    predictor = load(model)
    demand_path(out or "")
    record, schema = artifact.read(Path(model)), fitted_schema(model, schema)
    dataset = load_labelled(
        data, predictor.reader.modality, predictor.labels, schema, progress=progress
    )
    progress.say(f"Asking {model} about {len(dataset.items)} items.")
    started = time.monotonic()
    features = predictor.features(dataset.items)
    outputs = predictor.headed(features)
    seconds = time.monotonic() - started
    content = _content(record, predictor, dataset, (outputs, features))
    content |= {"model": str(model), "evaluated": named(data)}
    place = Name("data") if isinstance(data, InMemory) else named(data)
    call = called("report_on", str(model), place)
    content["made"] = provenance(record.origin, record.modality, named(data), call)
    content["warnings"] += _doubts(Path(model), dataset)
    content["shift"] = between(predictor, dataset.items, features, outputs)
    content["arms"]["chosen"] |= {"seconds": round(seconds, 2), "steps": 0}
    folder = Path(out) if out is not None else Path(f"report-{Path(named(data)).stem}")
    folder.mkdir(parents=True, exist_ok=True)
    artifact.write_evidence(folder, content)
    pictures = pictured(content, dataset.items, predictor.reader.modality)
    return Reported(content, write_page(folder, content, pictures))


def _content(
    record: Record,
    predictor: Predictor,
    dataset: Dataset,
    answers: tuple[np.ndarray, np.ndarray],
) -> dict[str, Any]:
    """The evidence record of one model on one data set."""
    task = predictor.task
    outputs, features = answers
    targets, balanced = dataset.targets("test"), bool(record.task_settings.get("balanced"))
    groups, draws = [i.group for i in dataset.items], Draws(clusters=families(dataset.items))
    parts: dict[str, Any] = {
        "classes": by_class(task, predictor.labels, outputs, targets, draws=draws),
        "calibration": calibration(
            {"test": outputs}, {"test": targets}, kind=dataset.kind, balanced=balanced
        ),
        "groups": by_group(
            within(task, outputs, targets, groups), groups, draws=draws, sign=task.sign
        )
        if any(groups)
        else None,
        "items": _items(dataset, outputs, features),
        "metrics": others(task, outputs, targets, draws),
        "less_is_better": True if task.sign < 0 else None,
    }
    return {
        "metric": task.metric,
        "arms": {"chosen": Assessor(task, targets, draws).interval(outputs).to_json()},
        "gain": None,
        "verdict": "evaluated",
        "strategy": record.strategy,
        "backbone": record.origin["reference"],
        "data": dataset.report.to_json() | {"fingerprint": dataset.fingerprint},
        "held_out": len(targets),
        "protocol": "",
        "checks": {},
        "warnings": list(dataset.report.warnings),
    } | {name: part for name, part in parts.items() if part is not None}


def _doubts(model: Path, dataset: Dataset) -> list[str]:
    count = overlap(model, dataset.items)
    if count is None:
        return ["What the model was trained on is not recorded."]
    return [f"{count} of the items were used in training; the score flatters."] if count else []


def _items(dataset: Dataset, outputs: np.ndarray, features: np.ndarray) -> Mapping[str, Any]:
    targets, names = dataset.targets("test"), [item.id for item in dataset.items]
    findings: dict[str, Any] = {"map": feature_map(features, targets, dataset.items), "nearest": {}}
    if kind_named(dataset.kind).encoding is Encoding.INDEX:
        findings["mistakes"] = mistakes(outputs, targets, names, dataset.labels)
        findings["ambiguous"] = ambiguous(outputs, targets, names, dataset.labels)
        findings["suspects"] = suspects(features, targets, names, dataset.labels)
    return findings
