"""The start of a run: names, weights, data and machine, everything that can fail before work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from headstart.pipeline.heads import demand_head, headed, moves
from headstart.progress import Progress
from headstart.training import seed_everything
from headstart.workspace import Workspace

TASKS = {"classes": "classification", "numbers": "regression", "label sets": "multi-label"}
AUTO = "auto"  # the strategy's name that stands for the policy's ladder
_NOT_THE_RUN = ("budget", "track")  # settings that another run of the same kind may change
SAVING = 20.0  # seconds of a budget kept for saving and checking the model, half at most


@dataclass(frozen=True)
class Surroundings:
    """What a run has besides data and backbone."""

    settings: Settings
    budget: Budget
    progress: Progress
    workspace: Path | None = None

    @classmethod
    def of(
        cls, settings: Settings, progress: Progress, workspace: Path | None = None
    ) -> Surroundings:
        """Start the clock. Raises HeadstartError for settings that no run can have."""
        clock = _clock(settings.budget)
        defaults.check(settings)
        return cls(settings, clock, progress, workspace)

    def load(self, backbone: str) -> Backbone:
        """A backbone, with the weights that the seed draws where they are to be random."""
        seed_everything(self.settings.seed)
        loaded = catalog.load_backbone(backbone)
        for note in loaded.notes:
            self.progress.say(note)
        return loaded

    def read(self, data: str | Path, modality: Modality) -> Dataset:
        """The data set, checked and split; what it holds is said."""
        settings, progress = self.settings, self.progress
        dataset = load_data(data, modality, schema(settings), progress=progress)
        progress.say(str(dataset.report))
        return dataset

    def target(self, dataset: Dataset, source: Backbone) -> Target:
        """The data set as this backbone is to be transferred to it."""
        settings = self.settings
        stages = source.stages.values()
        parameters = sum(p.numel() for stage in stages for p in stage.parameters())
        weigh = settings.class_weights == "auto"
        trained = dataset.targets("train")
        given = defaults.task_settings(dataset.kind, trained, len(dataset.labels), weigh)
        return Target(
            dataset=dataset,
            task=catalog.task(task_name(source, dataset), **given),
            task_settings=given,
            reader=Reader(fitted_modality(source, settings), source.preprocess),
            settings=settings,
            accelerator=machine.accelerator(settings, parameters),
            budget=self.budget,
            progress=self.progress,
            workspace=self.workspace,
        )


def prepare(
    data: str | Path,
    backbone: str,
    strategy: str | None,
    settings: Settings,
    progress: Progress,
    workspace: Path | None = None,
) -> tuple[Target, Backbone, str]:
    """Everything that can go wrong before work begins: names, weights, data, machine."""
    around = Surroundings.of(settings, progress, workspace)
    strategy = headed(strategy, settings)
    try_out(strategy)
    source = around.load(backbone)
    dataset = around.read(data, fitted_modality(source, settings))
    name = strategy or defaults.strategy(len(dataset.split("train")))
    if name != AUTO and moves(name).epochs(1) and not source.differentiable:
        onnx = source.architecture.name.lower().endswith(".onnx")  # which may become trainable
        advice = "Use -s feature-extraction" + (", or write ?trainable=true" if onnx else "")
        raise HeadstartError(f"{backbone} can't be trained by {name}. {advice}.")
    target = around.target(dataset, source)
    for sentence in target.remarks():
        progress.warn(sentence)
    return target, source, name


def _clock(budget: float | None) -> Budget:
    """Started now, so that reading counts too, and ending early enough to save the model."""
    return Budget(None if budget is None else max(budget / 2, budget - SAVING))


def fitted_modality(source: Backbone, settings: Settings) -> Modality:
    """The backbone's modality. Raises HeadstartError for settings that it can't have."""
    modality = catalog.modality(source.modality).fitted(source)
    if settings.views and modality.ragged:
        raise HeadstartError(
            f"views {settings.views} can't be: {source.modality} has no random views. Leave it out."
        )
    return modality


def schema(settings: Settings) -> Schema:
    """How the settings say that a manifest is to be read."""
    kind = None if settings.targets == "auto" else settings.targets.replace("-", " ")
    return Schema(settings.label, settings.text, kind, settings.delimiter, settings.group)


def task_name(source: Backbone, dataset: Dataset) -> str:
    """The task that this backbone's modality and these targets make."""
    return f"{source.modality}-{TASKS[dataset.kind]}"


def claim(workspace: Workspace, target: Target, source: Backbone, strategy: str) -> None:
    """Say what this run is, so that one that was killed is gone on with."""
    run = {"weights": source.origin.weights_hash, "architecture": str(source.architecture)}
    _claim(
        workspace, target.dataset, target.settings, run | {"strategy": strategy}, target.progress
    )


def claim_many(
    workspace: Workspace,
    dataset: Dataset,
    references: Sequence[str],
    strategy: str | None,
    around: Surroundings,
) -> None:
    """The same for a run that chooses among backbones."""
    run = {"backbones": sorted(references), "strategy": strategy or AUTO}
    _claim(workspace, dataset, around.settings, run, around.progress)


def try_out(name: str | None) -> None:
    """Ask a strategy everything once, so that a bad option is known before any work."""
    if name in (None, AUTO):
        return
    demand_head(str(name))
    strategy = moves(str(name))
    strategy.epochs(1)
    strategy.rate(0, 1)
    strategy.frozen_stages(0, 1)


def _claim(
    workspace: Workspace,
    dataset: Dataset,
    settings: Settings,
    run: Mapping[str, object],
    progress: Progress,
) -> None:
    """`run` and what is here added to it must be equal for a killed run to be gone on with."""
    given = {key: value for key, value in asdict(settings).items() if key not in _NOT_THE_RUN}
    shared = {"data": dataset.fingerprint, "settings": given, "versions": artifact.versions()}
    if workspace.claim({**run, **shared}):
        progress.say("An unfinished run of the same kind is here; going on with it.")


def reference(target: Target, moves: Strategy, source: Backbone) -> Recipe:
    """The recipe that the scratch arm doubles: the strategy's, or full fine-tuning's."""
    recipe = target.recipe(moves, "scratch", source)
    if recipe.epochs:
        return recipe
    return target.recipe(catalog.strategy("full-fine-tuning"), "scratch", source)


def rebuild(source: Backbone) -> Callable[[], Backbone]:
    """A maker of the same network with random weights, drawn from torch's generator."""
    return lambda: catalog.load_backbone(source.architecture)
