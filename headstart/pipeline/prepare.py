"""The start of a run: its settings and clock, the data, the task, and what is to be transferred."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Self, final

from headstart import catalog, defaults
from headstart.contracts import Backbone, Modality, Strategy, Task
from headstart.contracts.executor import Executor, Local
from headstart.contracts.references import Reference
from headstart.data import Data, Dataset, InMemory
from headstart.data import load as load_data
from headstart.data.targets import kind_named
from headstart.defaults import Recipe, Settings
from headstart.errors import HeadstartError
from headstart.evidence import Experiment
from headstart.features.extract import BATCH, Prefix
from headstart.features.reading import Reader
from headstart.pipeline import known_backbones
from headstart.pipeline.executing import executor_of
from headstart.pipeline.metrics import demand_metric, fitting, weighed
from headstart.pipeline.rows import fitted_to_rows
from headstart.pipeline.schema import demand_targets, schema
from headstart.pipeline.sources import beside
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.results.ranking import Ranking
from headstart.runtime import installed, machine
from headstart.runtime.budget import Budget, age, earlier, warm
from headstart.runtime.progress import Progress
from headstart.runtime.workspace import Workspace
from headstart.training import seed_everything

_NOT_THE_RUN = ("budget", "track", "on", "workers")  # which another run of its kind may change
SPARE = 1.5  # times what saving and checking the model is reckoned to take
# What a fresh process takes to come this far; a notebook's process may have waited for hours.
IMPORTED = warm(age(), time.process_time())


@dataclass(frozen=True)
class RunContext:
    """What a run has besides data and backbone."""

    settings: Settings
    budget: Budget
    progress: Progress
    workspace: Path | None = None
    started_in: float = 0.0  # seconds that a process takes until here, where they count
    loads: list[float] = field(default_factory=list)  # seconds that each backbone takes once more
    backbones: dict[str, Backbone] | None = None  # of all runs, where none changes weights
    executor: Executor = field(default_factory=Local)

    def __getstate__(self) -> dict[str, Any]:
        """Without backbones; a worker keeps those that it loads."""
        return vars(self) | {"backbones": {}}

    @classmethod
    def of(cls, settings: Settings, progress: Progress, workspace: Path | None = None) -> Self:
        """Start the clock. Raises HeadstartError for settings that no run can have."""
        before = earlier()
        clock = Budget(settings.budget, before)
        defaults.check(settings)
        demand_metric(settings)
        demand_targets(settings.targets)
        again = warm(before, time.process_time())
        return cls(settings, clock, progress, workspace, again, executor=executor_of(settings))

    def load(self, backbone: str) -> Backbone:
        """A backbone, with the weights that the seed draws where they are to be random."""
        if self.backbones is not None and backbone in self.backbones:
            return self.backbones[backbone]

        def load() -> Backbone:
            seed_everything(self.settings.seed)
            return catalog.load_backbone(backbone)

        started, computed = time.monotonic(), time.process_time()
        loaded = known_backbones.recall(backbone, load)
        if loaded is None:
            network = load()
            seconds, busy = time.monotonic() - started, time.process_time() - computed
            loaded = known_backbones.Loaded(network, warm(seconds, busy))
            known_backbones.remember(backbone, network, min(seconds, busy))
        self.loads.append(loaded.seconds)
        network = loaded.backbone
        for note in network.notes:
            self.progress.say(note)
        if self.backbones is not None:
            self.backbones[backbone] = network
        return network

    def keep_time(self) -> None:
        """Leave time in the budget to save the model, and to open it in a fresh process.

        That takes what starting and loading take once more, and writing and hashing about as much
        as loading. Raises HeadstartError where the budget can't hold that, before any work.
        """
        if not self.budget.limited:
            return
        load = max(self.loads, default=0.0)
        if self.budget.left() <= self.started_in + load:
            spent = self.budget.elapsed()
            raise HeadstartError(
                f"A budget of {self.settings.budget:g} s can't be kept: starting and reading took "
                f"{spent:.1f} s, and checking the saved model would begin once more. Give "
                f"--budget {ceil((spent + self.started_in + load) / 5) * 10}s or more."
            )
        most = 0.9 if self.started_in else 0.5  # as imports are known, or only reckoned
        self.budget.keep(SPARE * (max(self.started_in, IMPORTED) + 2 * load), most)

    def read(self, data: Data, modality: Modality) -> Dataset:
        """The data set, checked and split; what it holds is said."""
        settings, progress = self.settings, self.progress
        if self.workspace and not isinstance(data, InMemory):
            out = self.workspace.with_suffix("")
            if self.workspace.resolve().is_relative_to(data.resolve()):
                progress.warn(f"{out} lies inside {data}, and is left out of the data.")
        dataset = load_data(data, modality, schema(settings), progress=progress)
        fitting(settings, dataset.kind)
        progress.say(str(dataset.report))
        return dataset

    def prepared(self, backbone: Backbone, dataset: Dataset) -> Backbone:
        """The backbone with what items to learn from say of its inputs, where they say anything."""
        modality, settings = catalog.modality(backbone.modality), self.settings
        if not modality.whole_rows:
            demand_no_sources(settings, f"{backbone.origin.reference} reads no rows of tables")
            train, name = dataset.split("train"), task_name(backbone, dataset, settings)
            task: Task = catalog.task(name)
            if type(task).prepared is Task.prepared:  # so that no item is read for nothing
                return backbone
            own = task.prepared(
                backbone, [item.read() for item in train], [item.label for item in train]
            )
            for note in own.notes[len(backbone.notes) :]:
                self.progress.say(note)
            return own
        if settings.sources:
            if backbone.parts:
                raise HeadstartError(
                    f"{backbone.origin.reference} reads texts or files in cells, and other tables "
                    "are read by their plain columns. Name -b table:columns, or leave out --from."
                )
            if settings.judge == "holdout":
                raise HeadstartError(
                    "--judge holdout can't go with --from, whose worth is judged by folds. "
                    "Leave it out."
                )
            return beside(backbone, dataset, settings.sources, settings.map, self.progress)
        demand_no_sources(settings, "--map has no table to map")
        items = dataset.split("train") + dataset.split("validation")
        prefix = self.prefix(backbone)
        return fitted_to_rows(backbone, modality.fitted(backbone), items, prefix, self.progress)

    def backbone_for_task(
        self, dataset: Dataset, backbone: Backbone, alone: bool = True
    ) -> Backbone:
        """A backbone as the task that these targets make reads it.

        Raises HeadstartError where it isn't `alone`, and has no row of features to be compared by.
        """
        task: Task = catalog.task(task_name(backbone, dataset, self.settings))
        own = task.backbone(backbone)
        if own.summary is not None and not alone:
            raise HeadstartError(
                "Backbones are compared by a row of features for each item, which says nothing of "
                f"{dataset.kind}. Name one to headstart fit, such as -b {own.origin.reference}."
            )
        return own

    def experiment(self, dataset: Dataset, backbone: Backbone) -> Experiment:
        """The data set as this backbone is to be transferred to it."""
        settings = self.settings
        metric = fitting(settings, dataset.kind)
        trained, weigh = dataset.targets("train"), weighed(settings, metric)
        name = task_name(backbone, dataset, settings)
        offered = kind_named(dataset.kind).task_settings(trained, len(dataset.labels), weigh)
        offered |= {"metric": metric} if metric else {}
        task_settings = catalog.task_settings(name, offered)
        return Experiment(
            dataset=dataset,
            task=catalog.task(name, **task_settings).for_backbone(backbone),
            task_settings=task_settings,
            reader=Reader(
                fitted_modality(backbone, settings),
                backbone.preprocess,
                defaults.looks(settings.tta),
            ),
            settings=settings,
            compute=machine.Compute.of(settings, backbone.parameters),
            budget=self.budget,
            progress=self.progress,
            workspace=self.workspace,
            executor=self.executor,
        )

    def prefix(self, backbone: Backbone) -> Prefix:
        """A whole backbone, frozen, run the way the settings say."""
        precision = "fp32" if self.settings.precision == "auto" else self.settings.precision
        device, batch = machine.device(self.settings.device), self.settings.batch_size or BATCH
        engine = self.settings.engine, precision, batch, None
        return Prefix(backbone, len(backbone.stages), device, *engine, self.executor)


@final
@dataclass(frozen=True)
class Transfer:
    """One backbone, what it is to be transferred to, and how; `ranking` is what chose it."""

    experiment: Experiment
    backbone: Backbone
    strategy: StrategySpec
    ranking: Ranking | None = None

    @property
    def identity(self) -> dict[str, object]:
        """What must be equal, with data and settings, for a killed run to be gone on with."""
        return {
            "weights": self.backbone.origin.weights_hash,
            "architecture": str(self.backbone.architecture),
            "strategy": str(self.strategy),
        }


def demand_no_sources(settings: Settings, why: str) -> None:
    """Raise HeadstartError where other tables, or how they are read, are named for nothing."""
    if settings.sources or settings.map is not None:
        flag = "--from" if settings.sources else "--map"
        raise HeadstartError(f"{why}. Leave out {flag}, or name both of --from and --map.")


def fitted_modality(backbone: Backbone, settings: Settings) -> Modality:
    """The backbone's modality. Raises HeadstartError for settings that it can't have."""
    modality = catalog.modality(backbone.modality).fitted(backbone)
    if settings.views and not modality.varied:
        raise HeadstartError(
            f"views {settings.views} can't be: {backbone.modality} has no random views. "
            "Leave it out."
        )
    return modality


def task_name(backbone: Backbone, dataset: Dataset, settings: Settings) -> str:
    """The task that this backbone's modality and these targets make.

    It is the one that the settings name, ours for the kind of target, or another package's for a
    kind of its own. Raises HeadstartError where there is none.
    """
    names, modality = catalog.names("tasks"), backbone.modality
    own_name = f"{modality}-{settings.targets}"
    if own_name in names:
        return own_name
    ordered = [*catalog.TASKS, *sorted(names.keys() - catalog.TASKS.keys())]
    fitting = (name for name in ordered if name.startswith(f"{modality}-"))
    kind = dataset.kind
    match = next((name for name in fitting if catalog.part("tasks", name).kind == kind), None)
    if match is None:
        raise HeadstartError(
            f"No task answers with {dataset.kind} for the modality {backbone.modality}. Install a "
            "package that brings one, or name another kind with --targets."
        )
    return match


def register_run(
    workspace: Workspace, experiment: Experiment, identity: Mapping[str, object]
) -> None:
    """Say what this run is, so that one that was killed is gone on with."""
    settings = asdict(experiment.settings)
    shared = {
        "data": experiment.dataset.fingerprint,
        "settings": {name: settings[name] for name in settings if name not in _NOT_THE_RUN},
        "versions": installed.versions(),
    }
    if workspace.claim({**identity, **shared}):
        experiment.progress.say("An unfinished run of the same kind is here; going on with it.")


def scratch_recipe(experiment: Experiment, strategy: Strategy, backbone: Backbone) -> Recipe:
    """The recipe that the scratch arm doubles: the strategy's, or full fine-tuning's."""
    recipe = experiment.recipe(strategy, "scratch", backbone)
    if recipe.epochs:
        return recipe
    return experiment.recipe(catalog.strategy("full-fine-tuning"), "scratch", backbone)


def random_init(backbone: Backbone) -> Callable[[], Backbone]:
    """A maker of the same network with random weights, drawn from torch's generator."""
    return partial(_random, backbone.architecture, backbone.for_task)


def _random(architecture: Reference, for_task: Callable[[Backbone], Backbone] | None) -> Backbone:
    network = catalog.load_backbone(architecture)
    return for_task(network) if for_task else network
