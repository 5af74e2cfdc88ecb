"""What else a run finds out: labels saved, speed, calibration, classes, corruptions, odd items."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image as pil

from headstart import evidence
from headstart.contracts import Modality
from headstart.data import Item
from headstart.evidence import Outcome, Target
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
from headstart.pipeline.prepare import rebuild, reference
from headstart.pipeline.trials import Trial
from headstart.report.thumbnails import SIDE, thumbnail

BETTER = (
    "The curve is of a probe on frozen features, which the model handed over clearly beats: how "
    "many labels that model saves is not known."
)
UNKNOWN = "Scratch was ended by the budget, so how many labels it would need is not known."
UNLEARNED = "Scratch learned nothing from all labels, so how many it would need is not known."
PICTURED = 400  # points of the map that show their item when pointed at
_SHAPE = {"channels": 3, "height": SIDE, "width": SIDE, "crop": 1.0, "crop_mode": "whole"}
_SEEN = _SHAPE | {"interpolation": "bilinear", "mean": (), "std": ()}  # as people see a picture
_DEAR = ("items", "robustness")  # which only a budget that is left has time for


@dataclass
class Proof:
    """A trial with all arms, and the one that is handed over."""

    trial: Trial
    arms: Mapping[str, Outcome]
    kept: str

    @property
    def target(self) -> Target:
        """What it was transferred to."""
        return self.trial.target

    def findings(self) -> dict[str, Any]:
        """The parts of the evidence by name; those that cost time only where all is asked for."""
        level = self.target.settings.evidence
        if level == "none" or "features" not in self.arms:
            return {}
        parts: dict[str, Callable[[], Any]] = {
            "convergence": self._convergence,
            "calibration": self._calibration,
            "classes": self._classes,
            "groups": self._groups,
        }
        if level == "full":
            parts |= {"items": self._items, "labels": self._labels, "robustness": self._robustness}
        found = {}
        for name, part in parts.items():
            if name in _DEAR and self.target.budget.over():
                continue
            made = part()
            if made is not None:
                found[name] = made
        return found

    def doubts(self) -> list[str]:
        """Sentences on items that were left out, and on test items with features of training items.

        The latter where features were computed and evidence is wanted.
        """
        target, whole = self.target, self.trial.whole
        said = [shortened(target.dataset, whole or target.dataset)]
        if target.settings.evidence != "none" and "features" in self.arms:
            examples = target.examples(self.trial.source)
            parts = [(target.dataset.split(n), examples[n][0]) for n in ("test", "train")]
            said.append(near_said(*parts))
        return [*filter(None, said)]

    def pictures(self, found: Mapping[str, Any]) -> dict[str, str]:
        """What a report shows of the items that the findings name: thumbnails, or the texts."""
        return pictured(found, self.target.dataset.items, self.target.reader.modality)

    def _scratch(self) -> np.ndarray | None:
        """Scratch's outputs for the test items, unless it is what is handed over."""
        if self.kept == "scratch" or "scratch" not in self.arms:
            return None
        return self.arms["scratch"].arm.outputs["test"]

    def _convergence(self) -> dict[str, Any]:
        features, winner = self.arms["features"], self.arms[self.kept]
        scratch = self.arms.get("scratch")
        if self.kept == "scratch":  # what transfer would have been
            winner = self.arms["asked"]
        probed = self.trial.moves.starts_from_probe() or not winner.training.history
        before = features.arm.seconds if probed else 0.0
        ours = Course(winner.arm.merit[0], winner.training.history, before)
        theirs = scratch and Course(scratch.arm.merit[0], scratch.training.history)
        return convergence(ours, theirs or None, self.arms["naive"].arm.merit[0])

    def _calibration(self) -> dict[str, Any] | None:
        dataset, settings = self.target.dataset, self.target.settings
        truth = {name: dataset.targets(name) for name in ("validation", "test")}
        ours = self.arms[self.kept].arm.outputs
        return calibration(ours, truth, self._scratch(), dataset.kind, settings.seed)

    def _classes(self) -> dict[str, Any] | None:
        target, test = self.target, self.target.dataset.targets("test")
        ours = self.arms[self.kept].arm.outputs["test"]
        seed = target.settings.seed
        # a network that always says one class does not do better on that class
        scratch = None if unlearned(self.arms, seed) else self._scratch()
        return by_class(target.task, target.labels, ours, test, scratch, seed)

    def _groups(self) -> list[dict[str, Any]] | None:
        """What is reached in each group of the test items, where a column names groups."""
        groups = [item.group for item in self.target.dataset.split("test")]
        if not any(groups):
            return None
        names, scratch = [group or "(none)" for group in groups], self._scratch()
        given = (self.target.dataset.targets("test"), names)
        ours = within(self.target.task, self.arms[self.kept].arm.outputs["test"], *given)
        theirs = None if scratch is None else within(self.target.task, scratch, *given)
        return by_group(ours, names, theirs, self.target.settings.seed)

    def _items(self) -> dict[str, Any]:
        dataset = self.target.dataset
        splits = {
            name: Inspected(dataset.split(name), targets, features)
            for name, (features, targets) in self.target.examples(self.trial.source).items()
        }
        winner, told = self.arms[self.kept], self._calibration()
        ours = winner.arm.outputs["test"]
        if told and folded(winner.model, 1.0):  # as the saved model will answer
            ours = ours / told["temperature"]
        return inspection(dataset.kind, self.target.labels, splits, ours, self.target.settings.seed)

    def _labels(self) -> dict[str, Any]:
        target, seed = self.target, self.target.settings.seed
        known = self.arms["features"].arm.scores
        until = target.budget.until(1.0)
        ours = transfer_curve(
            target.task,
            target.labels,
            self.target.examples(self.trial.source),
            known,
            seed=seed,
            until=until,
        )
        later = forecast(ours)
        told = {"counts": list(ours.counts), "transfer": ours.points(), "scratch": []}
        said, found = [later.said], None
        scratch = self.arms.get("scratch")
        if scratch is not None and scratch.recipe is not None:
            targets = target.dataset.targets("train")
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

    def _train_at(self, scratch: Outcome) -> Callable[[np.ndarray], np.ndarray | None]:
        """Training from random weights on some of the training items, at the rate that was best."""
        source, moves = self.trial.source, self.trial.moves

        def train(positions: np.ndarray) -> np.ndarray | None:
            if len(positions) < 2:  # a single item teaches nothing, and some networks can't take it
                return None
            target = _fewer(self.target, positions)
            recipe = reference(target, moves, source)
            rate = scratch.recipe.rate if scratch.recipe else recipe.rate
            made = evidence.scratch_at(target, rebuild(source), recipe, rate)
            return None if made.training.cut else made.arm.scores

        return train

    def _robustness(self) -> list[dict[str, Any]] | None:
        target = self.target
        if target.reader.modality.ragged or not self._has_time_for(CORRUPTED):
            return None
        names = dict.fromkeys((self.kept, "scratch"))  # one, where scratch is handed over
        models = [self.arms[name].model for name in names if name in self.arms]
        judges = [outputs_of(target, model) for model in models]
        items, truth = target.dataset.split("test"), target.dataset.targets("test")
        scratch = judges[1] if len(judges) > 1 else None
        given = (judges[0], target.reader, target.task, items, truth, scratch)
        return robustness(*given, seed=target.settings.seed)

    def _has_time_for(self, items: int) -> bool:
        """Whether the budget holds so many items' way through each of two networks."""
        if not self.target.budget.limited:
            return True
        price = evidence.Price.of(self.target, self.trial.source)
        return self.target.budget.left() > 2 * items * price.item


def unlearned(arms: Mapping[str, Outcome], seed: int = 0) -> bool:
    """Whether a network was trained from scratch and does not clearly beat the naive model."""
    scratch = arms.get("scratch")
    if scratch is None:
        return False
    return evidence.paired(scratch.arm.scores, arms["naive"].arm.scores, seed).low <= 0


def constant(outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Whether a model has one answer for all items, of which there are several classes.

    `outputs` (N, labels) and `targets` (N,) are those of the held-out items.
    """
    if targets.ndim > 1 or len(np.unique(targets)) < 2:
        return []
    answers = np.unique(outputs.argmax(axis=1))
    if len(answers) > 1:
        return []
    return [
        f"The model handed over answers {labels[answers[0]]!r} to each of the {len(targets)} "
        "held-out items: nothing did better on validation. Label more items of the other classes, "
        "or try another backbone or strategy."
    ]


def pictured(found: Mapping[str, Any], items: Sequence[Item], modality: Modality) -> dict[str, str]:
    """The items that findings name, by id: thumbnails, or the texts."""
    wanted = set(_named(found.get("items", {})))
    shown = {}
    for item in items:
        if item.id in wanted:
            raw = item.read()
            text = modality.text(raw)
            shown[item.id] = thumbnail(_as_file(raw, modality)) if text is None else text
    return shown


def _as_file(raw: bytes, modality: Modality) -> bytes:
    """A picture as the modality decodes it, as a PNG: in its own shape, small, and 8 bits deep."""
    pixels = modality.decode(raw, _SEEN)
    file = io.BytesIO()
    pil.fromarray(pixels.transpose(1, 2, 0)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _named(items: Mapping[str, Any]) -> Iterator[str]:
    """The ids of all items that are shown."""
    for rows in (items.get(name) or () for name in ("mistakes", "ambiguous", "suspects")):
        yield from (row["id"] for row in rows)
    for several in (items.get("nearest") or {}).values():
        yield from several
    points = (items.get("map") or {}).get("id", ())
    yield from points[:: max(1, -(-len(points) // PICTURED))]


def _fewer(target: Target, positions: Sequence[int] | np.ndarray) -> Target:
    """The same target with only some of the training items."""
    train = target.dataset.split("train")
    kept = {train[place].id for place in positions}

    def stays(item: Item) -> bool:
        return item.split != "train" or item.id in kept

    items = tuple(item for item in target.dataset.items if stays(item))
    return replace(target, dataset=replace(target.dataset, items=items))
