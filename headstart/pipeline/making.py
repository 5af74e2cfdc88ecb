"""How a model was made: the call that stands for it, and the plan that does it again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart.pipeline.findings import Proof
from headstart.pipeline.provenance import Name, called, provenance
from headstart.pipeline.strategy_spec import FEATURES
from headstart.plan import FitPlan, splits_of
from headstart.runtime import installed
from headstart.runtime.workspace import Workspace


def making_record(proof: Proof, workspace: Workspace) -> dict[str, Any]:
    """How the model was made; as a call in Python where no command was typed."""
    search, fits = proof.search, FEATURES in proof.search.arms
    origin, dataset = search.backbone.origin, search.experiment.dataset
    out, here = workspace.out, Path.cwd()
    place = str(out.relative_to(here) if out.is_relative_to(here) else out)
    data = Name("data") if dataset.in_memory else str(dataset.root)
    strategy = {"strategy": search.winner} if fits else {}
    name, settings = "fit" if fits else "pretrain", search.experiment.settings
    call = called(name, data, origin.reference, place, settings=settings, **strategy)
    if proof.refit is not None:
        call = called("refit", Name("model"), proof.refit["data"], place)
    return provenance(asdict(origin), search.backbone.modality, dataset.root, call)


def plan_of(proof: Proof) -> FitPlan:
    """The plan that the folder of a model keeps."""
    search, dataset = proof.search, proof.search.experiment.dataset
    whole, used = search.whole or dataset, {item.identity for item in dataset.items}
    return FitPlan(
        data=dataset.place,
        backbone=search.backbone.origin.reference,
        weights=search.backbone.origin.weights_hash,
        strategy=search.winner,
        settings=asdict(search.experiment.settings),
        fingerprint=dataset.fingerprint,
        splits=splits_of(dataset),
        versions=installed.versions(),
        pace=tuple(proof.transfer.training.pace),
        left_out=sorted({item.identity for item in whole.items} - used),
        added=dataset.added,
    )
