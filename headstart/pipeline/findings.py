"""What else a run finds out: labels saved, speed, calibration, classes, corruptions, odd items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart import evidence
from headstart.contracts import Encoding
from headstart.data import Item
from headstart.data.targets import USUAL, kind_named
from headstart.evidence import ArmResult, Experiment
from headstart.evidence.by_class import by_class, by_group, within
from headstart.evidence.calibration import calibration, folded
from headstart.evidence.convergence import Course, convergence
from headstart.evidence.forecast import forecast
from headstart.evidence.inspection import Inspected, inspection
from headstart.evidence.judging import outputs_of
from headstart.evidence.labels import saved, scratch_curve, transfer_curve
from headstart.evidence.robustness import CORRUPTED, robustness
from headstart.features.near import near_said
from headstart.pipeline.affordable import shortened
from headstart.pipeline.heads import FEATURES
from headstart.pipeline.pictures import pictured
from headstart.pipeline.prepare import random_init, scratch_recipe
from headstart.pipeline.selection.strategy_search import StrategySearch

BETTER = (
    "The curve is of a probe on frozen features, which the model handed over clearly beats: how "
    "many labels that model saves is not known."
)
UNKNOWN = "Scratch was ended by the budget, so how many labels it would need is not known."
UNLEARNED = "Scratch learned nothing from all labels, so how many it would need is not known."
FIRST = "first"  # the level of what is measured before a model is handed over
_DEAR = ("items", "robustness")  # which only a budget that is left has time for


@dataclass
class Proof:
    """A trial with all arms, and the one that is handed over."""

    trial: StrategySearch
    arms: Mapping[str, ArmResult]
    kept: str

    @property
    def experiment(self) -> Experiment:
        """What it was transferred to, with the items that arms are judged on held out."""
        return self.trial.seen

    def findings(self, level: str | None = None) -> dict[str, Any]:
        """The parts of the evidence by name; those that cost time only where all is asked for.

        At most those of a `level` are gathered, which may be FIRST: what the model itself needs.
        """
        wanted = self.experiment.settings.evidence
        level = level if level and wanted != "none" else wanted
        if level == "none" or FEATURES not in self.trial.tried:
            return {}
        parts: dict[str, Callable[[], Any]] = {"calibration": self._calibration}
        if level != FIRST:
            parts["convergence"] = self._convergence
            parts |= {"classes": self._classes, "groups": self._groups}
        if level == "full":
            parts |= {"items": self._items, "labels": self._labels, "robustness": self._robustness}
        found = {}
        for name, part in parts.items():
            if name in _DEAR and self.experiment.budget.over():
                continue
            made = part()
            if made is not None:
                found[name] = made
        return found

    def doubts(self) -> list[str]:
        """Sentences on items that were left out, and on test items with features of training items.

        The latter where features were computed, a split is held out, and evidence is wanted.
        """
        experiment, whole = self.experiment, self.trial.whole
        said = [shortened(experiment.dataset, whole or experiment.dataset)]
        wanted = experiment.settings.evidence != "none" and not self.trial.folding
        if wanted and FEATURES in self.trial.tried:
            examples = experiment.examples(self.trial.backbone)
            parts = [(experiment.dataset.split(n), examples[n][0]) for n in ("test", "train")]
            said.append(near_said(*parts))
        return [*filter(None, said)]

    def pictures(self, found: Mapping[str, Any]) -> dict[str, str]:
        """What a report shows of the items that the findings name: thumbnails, or the texts."""
        return pictured(found, self.experiment.dataset.items, self.experiment.reader.modality)

    def _scratch(self) -> np.ndarray | None:
        """Scratch's outputs for the test items, unless it is what is handed over."""
        if self.kept == "scratch" or "scratch" not in self.arms:
            return None
        return self.arms["scratch"].arm.outputs["test"]

    def _convergence(self) -> dict[str, Any]:
        features, winner = self.trial.tried[FEATURES], self.arms[self.kept]
        scratch = self.arms.get("scratch")
        if self.kept == "scratch":  # what transfer would have been
            winner = self.arms["asked"]
        probed = self.trial.moves.starts_from_probe() or not winner.training.history
        before = features.arm.seconds if probed else 0.0
        ours = Course(winner.arm.selection_key[0], winner.training.history, before)
        theirs = scratch and Course(scratch.arm.selection_key[0], scratch.training.history)
        return convergence(ours, theirs or None, self.arms["naive"].arm.selection_key[0])

    def _calibration(self) -> dict[str, Any] | None:
        dataset, settings = self.experiment.dataset, self.experiment.settings
        checked = "test" if self.trial.folding else "validation"  # folds hold all items out once
        truth = {"validation": dataset.targets(checked), "test": dataset.targets("test")}
        ours = self.arms[self.kept].arm.outputs
        balanced = bool(self.experiment.task_settings.get("balanced"))
        return calibration(ours, truth, self._scratch(), dataset.kind, settings.seed, balanced)

    def _classes(self) -> dict[str, Any] | None:
        experiment, test = self.experiment, self.experiment.dataset.targets("test")
        ours = self.arms[self.kept].arm.outputs["test"]
        seed = experiment.settings.seed
        # a network that always says one class does not do better on that class
        scratch = None if unlearned(self.arms, seed) else self._scratch()
        return by_class(experiment.task, experiment.labels, ours, test, scratch, seed)

    def _groups(self) -> list[dict[str, Any]] | None:
        """What is reached in each group of the test items, where a column names groups."""
        groups = [item.group for item in self.experiment.dataset.split("test")]
        if not any(groups):
            return None
        names, scratch = [group or "(none)" for group in groups], self._scratch()
        given = (self.experiment.dataset.targets("test"), names)
        ours = within(self.experiment.task, self.arms[self.kept].arm.outputs["test"], *given)
        theirs = None if scratch is None else within(self.experiment.task, scratch, *given)
        return by_group(ours, names, theirs, self.experiment.settings.seed)

    def _items(self) -> dict[str, Any]:
        experiment = self.trial.experiment
        dataset = experiment.dataset
        splits = {
            name: Inspected(dataset.split(name), targets, features)
            for name, (features, targets) in experiment.examples(self.trial.backbone).items()
        }
        if self.trial.folding:
            splits["test"] = self._every_item(splits)
        winner, told = self.arms[self.kept], self._calibration()
        ours = winner.arm.outputs["test"]
        if told and folded(winner.model, 1.0):  # as the saved model will answer
            ours = ours / told["temperature"]
        return inspection(
            dataset.kind, self.experiment.labels, splits, ours, self.experiment.settings.seed
        )

    def _every_item(self, learned: Mapping[str, Inspected]) -> Inspected:
        """All items as they were held out by folds, in the order of the data set."""
        parts = [learned[name] for name in ("train", "validation")]
        rows = np.concatenate([part.features for part in parts])
        place_of = {item.id: place for place, item in enumerate(i for p in parts for i in p.items)}
        dataset = self.experiment.dataset
        places = [place_of[item.id] for item in dataset.items]
        return Inspected(dataset.items, dataset.targets("test"), rows[places])

    def _labels(self) -> dict[str, Any] | None:
        if self.trial.folding or not self.experiment.task.has_probe:
            return None
        experiment, seed = self.experiment, self.experiment.settings.seed
        known = self.arms["features"].arm.scores
        until = experiment.budget.until(1.0)
        ours = transfer_curve(
            experiment.task,
            experiment.labels,
            self.experiment.examples(self.trial.backbone),
            known,
            seed=seed,
            until=until,
        )
        later = forecast(ours)
        told = {"counts": list(ours.counts), "transfer": ours.points(), "scratch": []}
        said, found = [later.said], None
        scratch = self.arms.get("scratch")
        if scratch is not None and scratch.recipe is not None:
            targets = experiment.dataset.targets("train")
            given = (targets, scratch.arm.scores, self._train_at(scratch))
            seconds = scratch.training.seconds
            theirs, skipped = scratch_curve(*given, seconds, until, seed)
            told["scratch"] = theirs.points()
            made = saved(ours, theirs)
            found, said = made.to_json(), [made.said, skipped, later.said]
            if scratch.training.cut:
                found, said = None, [UNKNOWN, later.said]
            elif unlearned(self.arms, seed):
                found, said = None, [UNLEARNED, skipped, later.said]
            elif self._beats_features():
                found, said = None, [BETTER, skipped, later.said]
        sentence = " ".join(filter(None, said))
        return {**told, "saved": found, "said": sentence, "forecast": later.points or []}

    def _beats_features(self) -> bool:
        """Whether what is handed over is clearly better than the probe that the curve is of."""
        winner, features = self.arms[self.kept].arm, self.arms["features"].arm
        return evidence.paired(winner.scores, features.scores).low > 0

    def _train_at(self, scratch: ArmResult) -> Callable[[np.ndarray], np.ndarray | None]:
        """Training from random weights on some of the training items, at the rate that was best."""
        backbone, moves = self.trial.backbone, self.trial.moves

        def train(positions: np.ndarray) -> np.ndarray | None:
            if len(positions) < 2:  # a single item teaches nothing, and some networks can't take it
                return None
            experiment = _fewer(self.experiment, positions)
            recipe = scratch_recipe(experiment, moves, backbone)
            like = scratch.recipe or recipe
            made = evidence.scratch_at(
                experiment, random_init(backbone), recipe, like.learning_rate, like.epochs
            )
            return None if made.training.cut else made.arm.scores

        return train

    def _robustness(self) -> list[dict[str, Any]] | None:
        experiment = self.experiment
        if self.trial.folding or experiment.reader.modality.ragged:
            return None
        if not self._has_time_for(CORRUPTED):
            return None
        names = dict.fromkeys((self.kept, "scratch"))  # one, where scratch is handed over
        models = [self.arms[name].model for name in names if name in self.arms]
        judges = [outputs_of(experiment, model) for model in models]
        items, truth = experiment.dataset.split("test"), experiment.dataset.targets("test")
        scratch = judges[1] if len(judges) > 1 else None
        given = (judges[0], experiment.reader, experiment.task, items, truth, scratch)
        return robustness(*given, seed=experiment.settings.seed)

    def _has_time_for(self, items: int) -> bool:
        """Whether the budget holds so many items' way through each of two networks."""
        if not self.experiment.budget.limited:
            return True
        price = evidence.Price.of(self.experiment, self.trial.backbone)
        return self.experiment.budget.left() > 2 * items * price.item


def unlearned(arms: Mapping[str, ArmResult], seed: int = 0) -> bool:
    """Whether a network was trained from scratch and does not clearly beat the naive model."""
    scratch = arms.get("scratch")
    if scratch is None:
        return False
    return evidence.paired(scratch.arm.scores, arms["naive"].arm.scores, seed).low <= 0


def constant(
    outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str], kind: str = USUAL
) -> list[str]:
    """Whether a model has one answer for all items, of which there are several targets.

    `outputs` (N, labels) and `targets` are those of the held-out items. A number is the same where
    its answers vary by less than a hundredth of what it varies by.
    """
    if not len(targets) or (targets == targets[0]).all():
        return []
    target = kind_named(kind)
    answer = target.only_answer(outputs, labels)
    if not answer:
        return []
    classes = target.encoding is Encoding.INDEX
    more = "more items of the other classes" if classes else "more items"
    return [
        f"The model handed over answers {answer} to each of the {len(targets)} held-out items: "
        f"nothing did better on validation. Label {more}, or try another backbone or strategy."
    ]


def _fewer(experiment: Experiment, positions: Sequence[int] | np.ndarray) -> Experiment:
    """The same target with only some of the training items."""
    train = experiment.dataset.split("train")
    kept = {train[place].id for place in positions}

    def stays(item: Item) -> bool:
        return item.split != "train" or item.id in kept

    items = tuple(item for item in experiment.dataset.items if stays(item))
    return replace(experiment, dataset=replace(experiment.dataset, items=items))
