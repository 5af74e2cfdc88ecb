"""The start of a run: names, weights, data and machine, everything that can fail before work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from headstart import artifact, catalog, defaults, machine
from headstart.budget import Budget
from headstart.contracts import Backbone, Strategy, Task
from headstart.data import Dataset
from headstart.data import load as load_data
from headstart.defaults import Recipe, Settings
from headstart.errors import HeadstartError
from headstart.evidence import Target
from headstart.features.reading import Reader
from headstart.progress import Progress
from headstart.training import seed_everything
from headstart.workspace import Workspace

TASK, MODALITY = "image-classification", "image"
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
    budget = settings.budget
    clock = Budget(None if budget is None else max(budget / 2, budget - SAVING))
    defaults.check(settings)
    if strategy is not None:
        _try_out(catalog.strategy(strategy))
    modality = catalog.modality(MODALITY)
    seed_everything(settings.seed)  # where the weights are asked to be random
    source = _suitable(catalog.load_backbone(backbone))
    dataset = load_data(data, modality, label=settings.label, progress=progress)
    progress.say(str(dataset.report))
    name = strategy or defaults.strategy(len(dataset.split("train")))
    moves = catalog.strategy(name)
    if moves.epochs(1) and not source.differentiable:
        raise HeadstartError(f"{backbone} can't be trained by {name}. Use -s feature-extraction.")
    parameters = sum(p.numel() for stage in source.stages.values() for p in stage.parameters())
    target = Target(
        dataset=dataset,
        task=_task(dataset, settings),
        reader=Reader(modality, source.preprocess),
        settings=settings,
        accelerator=machine.accelerator(settings, parameters),
        budget=clock,
        progress=progress,
        workspace=workspace,
    )
    return target, source, (name, moves)


def claim(workspace: Workspace, target: Target, source: Backbone, strategy: str) -> None:
    """Say what this run is, so that one that was killed is gone on with."""
    if workspace.claim(_run(target.dataset, source, strategy, target.settings)):
        target.progress.say("An unfinished run of the same kind is here; going on with it.")


def _try_out(strategy: Strategy) -> None:
    """Ask a strategy everything once, so that a bad option is known before any work."""
    strategy.epochs(1)
    strategy.rate(0, 1)
    strategy.frozen_stages(0, 1)


def _suitable(source: Backbone) -> Backbone:
    if source.modality == MODALITY:
        return source
    raise HeadstartError(
        f"{TASK} reads {MODALITY}s; {source.origin.reference} reads {source.modality}s. "
        "Give another backbone."
    )


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


def _task(dataset: Dataset, settings: Settings) -> Task:
    """The task as the policy sets it for this much data, with the labels' weights."""
    task = catalog.task(TASK, smoothing=defaults.smoothing(len(dataset.split("train"))))
    targets = dataset.targets("train").tolist()
    weights = defaults.class_weights(tuple(targets.count(n) for n in range(len(dataset.labels))))
    return task if weights is None or settings.class_weights == "none" else task.weighted(weights)


def reference(target: Target, moves: Strategy) -> Recipe:
    """The recipe that the scratch arm doubles: the strategy's, or full fine-tuning's."""
    recipe = target.recipe(moves, "scratch")
    if recipe.epochs:
        return recipe
    return target.recipe(catalog.strategy("full-fine-tuning"), "scratch")


def rebuild(source: Backbone) -> Callable[[], Backbone]:
    """A maker of the same network with random weights, drawn from torch's generator."""
    return lambda: catalog.load_backbone(source.architecture)
