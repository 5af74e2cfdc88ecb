"""The start of a run: names, weights, data and machine, everything that can fail before work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from headstart import artifact, catalog, defaults, machine
from headstart.budget import Budget
from headstart.contracts import Backbone, Modality, Strategy
from headstart.data import Dataset, Schema
from headstart.data import load as load_data
from headstart.defaults import Recipe, Settings
from headstart.errors import HeadstartError
from headstart.evidence import Target
from headstart.features.reading import Reader
from headstart.progress import Progress
from headstart.training import seed_everything
from headstart.workspace import Workspace

TASKS = {"classes": "classification", "numbers": "regression", "label sets": "multi-label"}
SAVING = 20.0  # seconds of a budget kept for saving and checking the model, half at most


def prepare(
    data: str | Path,
    backbone: str,
    strategy: str | None,
    settings: Settings,
    progress: Progress,
    workspace: Path | None = None,
) -> tuple[Target, Backbone, tuple[str, Strategy]]:
    """Everything that can go wrong before work begins: names, weights, data, machine."""
    clock = _clock(settings.budget)
    defaults.check(settings)
    if strategy is not None:
        _try_out(catalog.strategy(strategy))
    seed_everything(settings.seed)  # where the weights are asked to be random
    source = catalog.load_backbone(backbone)
    modality = _modality(source, settings)
    dataset = load_data(data, modality, schema(settings), progress=progress)
    progress.say(str(dataset.report))
    name = strategy or defaults.strategy(len(dataset.split("train")))
    moves = catalog.strategy(name)
    if moves.epochs(1) and not source.differentiable:
        raise HeadstartError(f"{backbone} can't be trained by {name}. Use -s feature-extraction.")
    parameters = sum(p.numel() for stage in source.stages.values() for p in stage.parameters())
    weigh = settings.class_weights == "auto"
    trained = dataset.targets("train")
    given = defaults.task_settings(dataset.kind, trained, len(dataset.labels), weigh)
    target = Target(
        dataset=dataset,
        task=catalog.task(task_name(source, dataset), **given),
        task_settings=given,
        reader=Reader(modality, source.preprocess),
        settings=settings,
        accelerator=machine.accelerator(settings, parameters),
        budget=clock,
        progress=progress,
        workspace=workspace,
    )
    for sentence in target.remarks():
        progress.warn(sentence)
    return target, source, (name, moves)


def _clock(budget: float | None) -> Budget:
    """Started now, so that reading counts too, and ending early enough to save the model."""
    return Budget(None if budget is None else max(budget / 2, budget - SAVING))


def _modality(source: Backbone, settings: Settings) -> Modality:
    modality = catalog.modality(source.modality).fitted(source)
    if settings.views and modality.ragged:
        raise HeadstartError(
            f"views {settings.views} can't be: {source.modality} has no random views. Leave it out."
        )
    return modality


def schema(settings: Settings) -> Schema:
    """How the settings say that a manifest is to be read."""
    kind = None if settings.targets == "auto" else settings.targets.replace("-", " ")
    return Schema(settings.label, settings.text, kind, settings.delimiter)


def task_name(source: Backbone, dataset: Dataset) -> str:
    """The task that this backbone's modality and these targets make."""
    return f"{source.modality}-{TASKS[dataset.kind]}"


def claim(workspace: Workspace, target: Target, source: Backbone, strategy: str) -> None:
    """Say what this run is, so that one that was killed is gone on with."""
    if workspace.claim(_run(target.dataset, source, strategy, target.settings)):
        target.progress.say("An unfinished run of the same kind is here; going on with it.")


def _try_out(strategy: Strategy) -> None:
    """Ask a strategy everything once, so that a bad option is known before any work."""
    strategy.epochs(1)
    strategy.rate(0, 1)
    strategy.frozen_stages(0, 1)


def _run(
    dataset: Dataset, source: Backbone, strategy: str, settings: Settings
) -> Mapping[str, object]:
    """What must be equal for a killed run to be gone on with."""
    return {
        "data": dataset.fingerprint,
        "weights": source.origin.weights_hash,
        "architecture": str(source.architecture),
        "strategy": strategy,
        "settings": {key: value for key, value in asdict(settings).items() if key != "budget"},
        "versions": artifact.versions(),
    }


def reference(target: Target, moves: Strategy, source: Backbone) -> Recipe:
    """The recipe that the scratch arm doubles: the strategy's, or full fine-tuning's."""
    recipe = target.recipe(moves, "scratch", source)
    if recipe.epochs:
        return recipe
    return target.recipe(catalog.strategy("full-fine-tuning"), "scratch", source)


def rebuild(source: Backbone) -> Callable[[], Backbone]:
    """A maker of the same network with random weights, drawn from torch's generator."""
    return lambda: catalog.load_backbone(source.architecture)
