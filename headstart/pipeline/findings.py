"""What else a run finds out: labels saved, speed, calibration, classes, corruptions, odd items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from headstart import evidence
from headstart.contracts import Examples
from headstart.data.targets import kind_named
from headstart.drift import Reference
from headstart.drift.splits import Apart, apart
from headstart.errors import OutOfTimeError
from headstart.evidence import Arm, ArmResult, Experiment
from headstart.evidence.by_class import by_class, by_group, within
from headstart.evidence.calibration import calibration, folded
from headstart.evidence.convergence import Course, convergence
from headstart.evidence.inspection import Inspected, inspection
from headstart.evidence.judging import outputs_of
from headstart.evidence.memory import beside_memory
from headstart.evidence.resampling import Draws
from headstart.evidence.robustness import CORRUPTED, robustness
from headstart.evidence.sentences import Pairs, worth_a_look
from headstart.features.near import near_said
from headstart.pipeline.affordable import shortened
from headstart.pipeline.label_curves import labels, unlearned
from headstart.pipeline.metrics import one_group, others
from headstart.pipeline.pictures import pictured
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.pipeline.strategy_spec import FEATURES, learns_from_sources

FIRST = "first"  # the level of what is measured before a model is handed over
_DEAR = ("items", "robustness")  # which only a budget that is left has time for


@dataclass(frozen=True)
class Proof:
    """A search with all arms by name, and which of them is handed over.

    `arm` is what choosing that one was worth, where folds say more of it than the arm itself;
    `protocol` is how the scratch arm was trained, `baseline` what needs no network. `adaptation` is
    what adapting to a target came to: held-out source items then say nothing of the model, and
    `reference` are items of the target. `refit` is what later items changed, where the model was
    there before.
    """

    search: StrategySearch
    arms: Mapping[str, ArmResult]
    chosen: str
    arm: Arm | None = None
    protocol: str = ""
    baseline: Arm | None = None
    adaptation: Mapping[str, Any] | None = None
    reference: Reference | None = None
    refit: Mapping[str, Any] | None = None

    @property
    def sourced(self) -> Arm | None:
        """The best arm that learned from other tables, where one without is handed over."""
        arms = self.search.over_folds()
        names = [name for name in arms if learns_from_sources(name)]
        if not names or self.chosen in names:
            return None
        return arms[max(names, key=lambda name: arms[name].selection_key)]

    @property
    def experiment(self) -> Experiment:
        """What it was transferred to, with the items that arms are judged on held out."""
        return self.search.held_out_experiment

    @property
    def transfer(self) -> ArmResult:
        """What the search ends with, which is handed over unless another is better."""
        return self.arms[self.search.winner]

    @property
    def model(self) -> ArmResult:
        """The arm that is handed over."""
        result = self.arms[self.chosen]
        return result if self.arm is None else replace(result, arm=self.arm)

    def findings(self, level: str | None = None) -> dict[str, Any]:
        """The parts of the evidence by name; those that cost time only where all is asked for.

        At most those of a `level` are gathered, which may be FIRST: what the model itself needs.
        """
        most = self.experiment.settings.evidence
        level = level if level and most != "none" else most
        if self.adaptation is not None:
            return {"adaptation": dict(self.adaptation)}
        if level == "none" or FEATURES not in self.search.arms:
            return {}
        parts: dict[str, Callable[[], Any]] = {"calibration": lambda: self.calibrated}
        if level != FIRST:
            parts |= {"likeness": self._likeness, "convergence": self._convergence}
            parts["splits"] = lambda: self._apart.to_json() if self._apart else None
            parts |= {"sentences": self._sentences, "memory": self._memory}
            parts |= {"classes": self._classes, "groups": self._groups, "metrics": self._metrics}
        if level == "full":
            parts |= {
                "items": self._items,
                "labels": partial(labels, self),
                "robustness": self._robustness,
            }
        findings = {} if self.refit is None else {"refit": dict(self.refit)}
        findings |= self._of_task() if level != FIRST else {}
        for name, part in parts.items():
            if name in _DEAR and self.experiment.budget.over():
                continue
            finding = part()
            if finding is not None:
                findings[name] = finding
        return findings

    def _of_task(self) -> dict[str, Any]:
        """What the task itself finds worth a look, by its name."""
        dataset, outputs = self.experiment.dataset, self.model.arm.outputs
        parts = [
            (outputs[name], dataset.targets(name), [item.id for item in dataset.split(name)])
            for name in ("test", "validation")
        ]
        if self.search.folding:  # of which each item is both
            return {}
        finding = self.experiment.task.findings(parts[0], parts[1], self.experiment.labels)
        return {} if finding is None else {finding[0]: finding[1]}

    def doubts(self) -> list[str]:
        """Sentences on items that were left out, and on test items like or unlike training items.

        The latter where features were computed, a split is held out, and evidence is wanted.
        """
        experiment, whole = self.experiment, self.search.whole
        sentences = [shortened(experiment.dataset, whole or experiment.dataset)]
        examples = self._compared
        # rows are often alike
        if examples is not None and not experiment.reader.modality.whole_rows:
            parts = [(experiment.dataset.split(n), examples[n][0]) for n in ("test", "train")]
            sentences.append(near_said(*parts))
        sentences.append(self._apart.doubt if self._apart else "")
        sentences.append(one_group(experiment.dataset.split("test")))
        return [*filter(None, sentences)]

    @cached_property
    def _apart(self) -> Apart | None:
        """How far test items are from training items, where a split is held out."""
        experiment = self.experiment
        examples = self._compared
        if examples is None:
            return None
        return apart(examples["train"][0], examples["test"][0], experiment.dataset.has_test_split)

    @cached_property
    def _compared(self) -> Mapping[str, Examples] | None:
        """Features of all splits to compare; None where nobody wants it, or time is out.

        Where the task has no probe they were never needed before.
        """
        has_evidence = self.experiment.settings.evidence != "none" and not self.search.folding
        if not has_evidence or FEATURES not in self.search.arms:
            return None
        try:
            return self.experiment.examples(self.search.backbone)
        except OutOfTimeError:
            return None

    def pictures(self, findings: Mapping[str, Any]) -> dict[str, str]:
        """What a report shows of the items that the findings name: thumbnails, or the texts."""
        return pictured(findings, self.experiment.dataset.items, self.experiment.reader.modality)

    def _likeness(self) -> dict[str, Any] | None:
        """How alike source and target are, where there is a probe to say so."""
        return self.search.likeness() if self.experiment.task.has_probe else None

    def _scratch(self) -> np.ndarray | None:
        """Scratch's outputs for the test items, unless it is what is handed over."""
        if self.chosen == "scratch" or "scratch" not in self.arms:
            return None
        return self.arms["scratch"].arm.outputs["test"]

    def _convergence(self) -> dict[str, Any]:
        features, scratch = self.search.arms[FEATURES], self.arms.get("scratch")
        ours = self.transfer if self.chosen == "scratch" else self.model
        probed = self.search.chosen.build().starts_from_probe() or not ours.training.history
        before = features.arm.seconds if probed else 0.0
        course = Course(ours.arm.selection_key[0], ours.training.history, before)
        theirs = scratch and Course(scratch.arm.selection_key[0], scratch.training.history)
        naive = self.arms["naive"].arm.selection_key[0]
        return convergence(course, theirs or None, naive, self.experiment.task.sign)

    @cached_property
    def calibrated(self) -> dict[str, Any] | None:
        """Whether the model handed over is as sure as it is right; None for other targets."""
        dataset, settings = self.experiment.dataset, self.experiment.settings
        checked = "test" if self.search.folding else "validation"  # folds hold all items out once
        truth = {"validation": dataset.targets(checked), "test": dataset.targets("test")}
        ours = self.model.arm.outputs
        balanced = bool(self.experiment.task_settings.get("balanced"))
        return calibration(ours, truth, self._scratch(), dataset.kind, settings.seed, balanced)

    def _classes(self) -> dict[str, Any] | None:
        experiment, seed = self.experiment, self.experiment.settings.seed
        test, ours = experiment.dataset.targets("test"), self.model.arm.outputs["test"]
        # a network that always says one class does not do better on that class
        scratch = None if unlearned(self) else self._scratch()
        draws = Draws(seed, evidence.families(experiment.dataset.split("test")))
        return by_class(experiment.task, experiment.labels, ours, test, scratch, draws)

    def _metrics(self) -> list[dict[str, Any]]:
        """What the metrics that nothing was chosen by say of the model handed over."""
        experiment, dataset = self.experiment, self.experiment.dataset
        clusters = evidence.families(dataset.split("test"))
        draws = Draws(experiment.settings.seed, clusters, self.search.spread)
        return others(experiment.task, self._as_saved(), dataset.targets("test"), draws)

    def _sentences(self) -> dict[str, Any] | None:
        """Answers that are texts beside the right ones; None for other answers."""
        experiment, metric = self.experiment, self.experiment.task.judged_by()
        if kind_named(experiment.dataset.kind).constant or metric is None:
            return None
        modality = experiment.reader.modality
        test, train = (
            Pairs.of(experiment.dataset.split(name), modality) for name in ("test", "train")
        )
        answers = experiment.task.predictions(self.model.arm.outputs["test"])
        return worth_a_look(metric, answers, test, train)

    def _memory(self) -> dict[str, Any] | None:
        """What answers that are texts are worth beside a memory; None for other answers."""
        experiment = self.experiment
        if kind_named(experiment.dataset.kind).constant or self.search.folding:
            return None
        draws = Draws(experiment.settings.seed, evidence.families(experiment.dataset.split("test")))
        return beside_memory(experiment, self.model.arm.outputs, draws)

    def _groups(self) -> list[dict[str, Any]] | None:
        """What is reached in each group of the test items, where a column names groups."""
        items = self.experiment.dataset.split("test")
        if not any(groups := [item.group for item in items]):
            return None
        names, scratch = [group or "(none)" for group in groups], self._scratch()
        task, targets = self.experiment.task, self.experiment.dataset.targets("test")
        ours = within(task, self.model.arm.outputs["test"], targets, names)
        theirs = None if scratch is None else within(task, scratch, targets, names)
        draws = Draws(self.experiment.settings.seed, evidence.families(items))
        return by_group(ours, names, theirs, draws, task.sign)

    def _items(self) -> dict[str, Any]:
        experiment = self.search.experiment
        dataset = experiment.dataset
        splits = {
            name: Inspected(dataset.split(name), targets, features)
            for name, (features, targets) in experiment.examples(self.search.backbone).items()
        }
        if self.search.folding:
            splits["test"] = self._every_item(splits)
        ours, seed = self._as_saved(), self.experiment.settings.seed
        return inspection(dataset.kind, self.experiment.labels, splits, ours, seed)

    def _as_saved(self) -> np.ndarray:
        """The outputs for the test items as the saved model will answer."""
        ours, calibrated = self.model.arm.outputs["test"], self.calibrated
        if calibrated and folded(self.model.network, 1.0):
            return np.asarray(ours / calibrated["temperature"])
        return ours

    def _every_item(self, learned: Mapping[str, Inspected]) -> Inspected:
        """All items as they were held out by folds, in the order of the data set."""
        parts = [learned[name] for name in ("train", "validation")]
        rows = np.concatenate([part.features for part in parts])
        place_of = {item.id: place for place, item in enumerate(i for p in parts for i in p.items)}
        dataset = self.experiment.dataset
        places = [place_of[item.id] for item in dataset.items]
        return Inspected(dataset.items, dataset.targets("test"), rows[places])

    def _robustness(self) -> list[dict[str, Any]] | None:
        experiment = self.experiment
        modality = experiment.reader.modality
        if self.search.folding or modality.ragged or modality.whole_rows:
            return None
        if not self._has_time_for(CORRUPTED):
            return None
        names = dict.fromkeys((self.chosen, "scratch"))  # one, where scratch is handed over
        models = [self.arms[name].network for name in names if name in self.arms]
        judges = [outputs_of(experiment, model, self.search.backbone) for model in models]
        items, truth = experiment.dataset.split("test"), experiment.dataset.targets("test")
        scratch = judges[1] if len(judges) > 1 else None
        reader, task, seed = experiment.reader, experiment.task, experiment.settings.seed
        return robustness(judges[0], reader, task, items, truth, scratch, seed=seed)

    def _has_time_for(self, items: int) -> bool:
        """Whether the budget holds so many items' way through each of two networks."""
        if not self.experiment.budget.limited:
            return True
        price = evidence.Price.of(self.experiment, self.search.backbone)
        return self.experiment.budget.left() > 2 * items * price.item
