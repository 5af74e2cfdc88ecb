"""Several tasks that train one network together, beside each that trains one of its own.

The network that tasks share is handed over where validation says that none is clearly worse for
it; otherwise each keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, final

from headstart import evidence
from headstart.errors import HeadstartError
from headstart.evidence import ArmResult, Experiment
from headstart.pipeline.findings import Proof
from headstart.pipeline.finish import finish
from headstart.pipeline.proving import UNTRAINED, baseline_of, choice, rivals
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.pipeline.several.fitting import Together
from headstart.pipeline.several.joining import demand_free, put_together
from headstart.pipeline.several.members import folders
from headstart.pipeline.several.merging import Merged
from headstart.pipeline.strategy_spec import FEATURES, StrategySpec
from headstart.results.several import Results
from headstart.runtime import installed
from headstart.runtime.workspace import Workspace

Arms = Mapping[str, ArmResult]


def fit_jointly(run: Together) -> Results:
    """Train each task alone, all together and every two, compare, and save the better.

    Raises HeadstartError for a strategy that trains nothing, and where OUT holds anything.
    """
    spec = StrategySpec.of(run.strategy, run.settings)
    if not spec.trains or spec.auto:
        raise HeadstartError(
            f"joint {run.settings.joint!r} trains a network, and {spec} does not say how. Name a "
            "strategy that does, such as -s lp-ft, or leave it out."
        )
    demand_free(run.out)
    tasks = Merged.read(run.members, run.backbone, run.progress)
    trial = _Trial(tasks, spec, run)
    alone, joint = trial.alone(), trial.joint(tuple(tasks.each))
    behind = [name for name in alone if _is_behind(joint[name], alone[name])]
    compared = {
        "weights": run.settings.joint,
        "behind": behind,
        "together": {name: trial.gain(name, joint[name], alone[name]) for name in alone},
        "affinity": trial.affinity(alone, joint),
    }
    names = folders(tasks.each)
    for name, arm in (alone if behind else joint).items():
        with Workspace(run.out / names[name], shares=True) as workspace:
            _save(trial, name, arm, workspace)
    record = {"backbone": run.backbone, "versions": installed.versions(), "joint": compared}
    return put_together(run.out, names, record, tasks.each, run.progress)


def _is_behind(joint: ArmResult, alone: ArmResult) -> bool:
    """Whether a task is better off alone by more than validation's standard error."""
    better = alone.arm.selection_key > joint.arm.selection_key
    return better and not evidence.undecided(alone.arm, joint.arm)


@final
@dataclass
class _Trial:
    """The trainings that are compared, each from the probe on frozen features."""

    tasks: Merged
    spec: StrategySpec
    run: Together

    def features(self, experiment: Experiment) -> ArmResult:
        """The frozen features' arm; features themselves come from the store."""
        return evidence.features_arm(experiment, self.tasks.backbone)

    def alone(self) -> dict[str, ArmResult]:
        """Each task with a network of its own."""
        return {name: self._trained(own) for name, own in self.tasks.each.items()}

    def joint(self, names: tuple[str, ...]) -> dict[str, ArmResult]:
        """What one network that some tasks train is to each of them."""
        self.run.progress.say(f"Training one network for {', '.join(names)}.")
        trained = self._trained(self.tasks.joint(self.run.progress, names))
        return self.tasks.apart(trained, names)

    def affinity(self, alone: Arms, joint: Arms) -> dict[str, dict[str, Any]]:
        """What training with one other task is to each task, over training alone."""
        rows: dict[str, dict[str, Any]] = {name: {} for name in alone}
        for pair in combinations(alone, 2):
            both = joint if len(alone) == 2 else self.joint(pair)
            for own, other in (pair, pair[::-1]):
                rows[own][other] = self.gain(own, both[own], alone[own])
        return rows

    def gain(self, name: str, arm: ArmResult, other: ArmResult) -> dict[str, float]:
        """How much better one arm is than another on a task's held-out items."""
        ours, theirs = (own.arm.outputs["test"] for own in (arm, other))
        return evidence.Assessor.of(self.tasks.each[name]).gain(ours, theirs).to_json()

    def _trained(self, experiment: Experiment) -> ArmResult:
        name, backbone = str(self.spec), self.tasks.backbone
        features = self.features(experiment)
        return evidence.strategy_arm(experiment, backbone, self.spec.build(), name, features)


def _save(trial: _Trial, name: str, arm: ArmResult, workspace: Workspace) -> None:
    """Write one task's model: the network that was trained, unless a simpler one is as good."""
    experiment, backbone = trial.tasks.each[name], trial.tasks.backbone
    arms = {FEATURES: trial.features(experiment), str(trial.spec): arm}
    search = StrategySearch(experiment, backbone, trial.spec, arms)
    every = rivals(search)
    winner, own = choice(search, every)
    finish(Proof(search, every, winner, own, UNTRAINED, baseline_of(search)), workspace)
