"""The end of a run: evidence and model written, checked in a fresh process, and put in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from headstart import artifact
from headstart.artifact import Record
from headstart.contracts import Backbone
from headstart.evidence import Evidence, Outcome, Target
from headstart.model import Model
from headstart.pipeline.prepare import MODALITY, TASK, rebuild
from headstart.results import Result
from headstart.serve import Predictor
from headstart.workspace import Workspace

CHECKED = 8  # raw files that the saved model is compared on in a fresh process


def finish(
    target: Target,
    source: Backbone,
    workspace: Workspace,
    arms: Mapping[str, Outcome],
    kept: str,
    protocol: str,
) -> Result:
    """Write evidence and the winner on validation, check both, put them in place."""
    winner, asked = arms[kept], arms["asked"]
    found = Evidence(
        metric=target.task.metric,
        arms={name: outcome.arm for name, outcome in arms.items() if name != "asked"},
        backbone=source.origin.reference,
        data=target.dataset.report.to_json() | {"fingerprint": target.dataset.fingerprint},
        seed=target.settings.seed,
        protocol=protocol,
        checks=dict(asked.checks),
        warnings=list(target.dataset.report.warnings),
    )
    found.arms["chosen"] = winner.arm
    if kept != "asked":
        note = (
            f"{asked.arm.strategy} scored {asked.arm.merit[0]:.3f} on validation, "
            "below the simpler "
            f"{winner.arm.strategy} at {winner.arm.merit[0]:.3f}: the simpler one is handed over."
        )
        if asked.arm.note:
            note += f" ({asked.arm.strategy} was {asked.arm.note}.)"
        found.dropped = replace(asked.arm, note=note)
    folder = workspace.draft()
    backbone = rebuild(source)() if winner.arm.strategy == "scratch" else source
    record = _record(target, backbone, found)
    artifact.save(folder, winner.model, backbone, record, found.to_json())
    artifact.write_splits(folder, target.dataset)
    _check(folder, target, winner.model)
    found.checks["equal in a fresh process"] = True
    artifact.write_evidence(folder, found.to_json())
    return Result(workspace.publish(), found)


def _record(target: Target, backbone: Backbone, found: Evidence) -> Record:
    return Record(
        task=TASK,
        modality=MODALITY,
        architecture=str(backbone.architecture),
        labels=tuple(target.labels),
        preprocess=dict(backbone.preprocess),
        origin=asdict(backbone.origin),
        strategy=found.strategy,
        settings=asdict(target.settings),
        data=found.data,
        weights_sha256="",
        versions=artifact.versions(),
    )


def _check(folder: Path, target: Target, model: Model) -> None:
    """Compare the model in this process with the saved one in a fresh process, on raw files."""
    items = target.dataset.split("test")[:CHECKED]
    target.progress.say("Opening the saved model in a fresh process to compare its answers.")
    here = Predictor(model, target.task, target.reader, target.labels, target.accelerator.device)
    answers = target.task.decode(here.outputs(items), target.labels)
    artifact.verify(folder, items, [answer["probabilities"] for answer in answers])
