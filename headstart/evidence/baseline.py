"""The arm that a user would have otherwise: cheap numbers about items, and a linear model on them.

For texts that is how often words and runs of letters occur, for other items what the modality says
of them. It is only compared with, as it has no network to hand over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.contracts import Examples
from headstart.contracts.head import SURE
from headstart.contracts.standardisation import Standardisation
from headstart.contracts.targets import Encoding
from headstart.data import Item, nested, refolded
from headstart.data.targets import kind_named
from headstart.evidence.arms import arm_of
from headstart.evidence.experiment import Experiment
from headstart.evidence.logistic import fitted
from headstart.evidence.lookup import recalled
from headstart.evidence.record import Arm
from headstart.evidence.words import Counts
from headstart.features.described import described

WORDS = "tf-idf"
_STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # inverse regularisation, for rows of length 1
_FOLDS = 5
_JUDGED = 250  # held-out items that pick a strength as well as all items in turn
_MOST = 10_000  # items that it learns from; more of them take minutes and change little
_LETTERS = 3_000_000  # in the training texts, times outputs: more runs of letters take long
_FEW = 2_000  # texts, whose rows are turned to as few columns: the same fit in a tenth of the time
_WEIGHTS = 2_000_000  # of words or runs times outputs; a solver keeps some twenty times as many
_SOUND = 1e-10  # of the longest axis, squared: shorter ones are rounding
_SAMPLE = 16  # items that tell how long all take

_SPLITS = ("train", "validation", "test")

Rows = Callable[[Sequence[Any]], Any]  # from what is known of items to (N, D), length 1 each or so
Learner = Callable[[Sequence[Any], int], Rows | None]  # from items and the number of outputs
Fit = Callable[[Any], np.ndarray]  # from rows about items to the task's outputs (N, outputs)


def baseline_arm(experiment: Experiment) -> Arm | None:
    """A linear model on cheap numbers about items; None where the modality has none.

    Logistic regression for classes and label sets, ridge regression for numbers, on TF-IDF weights
    of words, pairs of words and runs of letters (after Wang and Manning 2012, who find such
    baselines hard to beat), or on the modality's `statistics`. Its strength is picked as the
    probe's is, by the task's loss on folds of the training items. Validation is answered by a fit
    to the training items alone, test by one to both. Where answers are texts it is a translation
    memory.
    """
    if not kind_named(experiment.task.kind).constant:
        return _memory(experiment)
    started = time.monotonic()
    experiment = _bounded(experiment)
    if _encoding(experiment) is Encoding.OTHER or not _in_time(experiment):
        return None
    content = {
        split: described(experiment.reader, experiment.dataset.split(split)) for split in _SPLITS
    }
    name = _name([each for split in content.values() for each in split])
    truth = {split: experiment.dataset.targets(split) for split in content}
    learned = [*content["train"], *content["validation"]]
    rows_of = _rows(learned if name else (), content["test"])
    first = rows_of(content["train"], len(experiment.labels))
    if first is None:
        return None
    rows = first(content["train"])
    strength = _picked(experiment, rows, truth["train"])
    fit = _fitted(experiment, (rows, truth["train"]), strength)
    outputs = {"validation": fit(first(content["validation"]))}
    both = np.concatenate([truth["train"], truth["validation"]])
    last = rows_of(learned, len(experiment.labels)) or first
    fit = _fitted(experiment, (last(learned), both), strength)
    test = content["test"]  # empty in folds
    outputs["test"] = fit(last(test)) if test else outputs["validation"][:0]
    checked = experiment.task.scores(outputs["validation"], truth["validation"])
    losses = experiment.task.losses(outputs["validation"], truth["validation"])
    scores = experiment.task.scores(outputs["test"], truth["test"])
    key = float(checked.mean()), -float(losses.mean())
    return Arm(name, scores, key, time.monotonic() - started, checked=checked, outputs=outputs)


def _memory(experiment: Experiment) -> Arm | None:
    """What looks the nearest item up; None where nothing is known of items, or time is out."""
    started = time.monotonic()
    answers = recalled(experiment) if _in_time(experiment) else None
    spent = time.monotonic() - started
    return None if answers is None else arm_of(experiment, *answers, spent)


def _encoding(experiment: Experiment) -> Encoding:
    return kind_named(experiment.task.kind).encoding


def _bounded(experiment: Experiment) -> Experiment:
    """The same with at most so many training items, in which every label keeps its share."""
    train = experiment.dataset.split("train")
    if len(train) <= _MOST:
        return experiment
    left_out = {train[place].id for place in nested(experiment.dataset.targets("train"))[_MOST:]}
    items = tuple(item for item in experiment.dataset.items if item.id not in left_out)
    return replace(experiment, dataset=replace(experiment.dataset, items=items))


def _in_time(experiment: Experiment) -> bool:
    """Whether the budget has time to describe all items, by how long a few take; said if not."""
    if not experiment.budget.limited:
        return True
    items, began = experiment.dataset.items, time.monotonic()
    if not experiment.budget.over():
        described(experiment.reader, items[:_SAMPLE])
        if (time.monotonic() - began) * len(items) / _SAMPLE < experiment.budget.left():
            return True
    experiment.progress.say("The cheap baseline is left out, as the budget leaves no time for it.")
    return False


def _name(contents: Sequence[Any]) -> str:
    """What the arm is called by what is known of all items; empty where nothing is of some."""
    if any(each is None for each in contents):
        return ""
    return WORDS if isinstance(contents[0], str) else "-and-".join(contents[0])


def _rows(learned: Sequence[Any], others: Sequence[Any]) -> Learner:
    """How rows are learned from some of these items, the others beside; from none nothing is."""
    if not learned:
        return lambda items, outputs: None
    if not isinstance(learned[0], str):
        return lambda items, outputs: _numbers(items)
    counts = Counts.of(learned, others)
    return lambda texts, outputs: _words(counts, texts, outputs)


def _words(counts: Counts, texts: Sequence[str], outputs: int) -> Rows | None:
    """TF-IDF weights; None where the texts hold not one word."""
    most = _WEIGHTS // outputs if len(texts) > _FEW else None
    few = sum(map(len, texts)) * outputs <= _LETTERS
    try:
        weights = counts.weights(texts, ("words", "letters") if few else ("words",), most)
    except ValueError:
        return None
    if len(texts) > _FEW:
        return weights
    rows = weights(texts)
    lengths, axes = np.linalg.eigh((rows @ rows.T).toarray())
    sound = lengths > _SOUND * lengths[-1]
    own, turn = axes[:, sound] * np.sqrt(lengths[sound]), axes[:, sound] / np.sqrt(lengths[sound])
    return lambda others: own if others == texts else (weights(others) @ rows.T) @ turn


def _numbers(items: Sequence[Mapping[str, np.ndarray]]) -> Rows:
    scales = {name: Standardisation.of(_stacked(items, name)) for name in items[0]}

    def rows(others: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
        parts = [scale(_stacked(others, name)) for name, scale in scales.items()]
        return np.hstack([part / (part.shape[1] * len(parts)) ** 0.5 for part in parts])

    return rows


def _stacked(items: Sequence[Mapping[str, np.ndarray]], name: str) -> np.ndarray:
    return np.stack([each[name] for each in items])


def _picked(experiment: Experiment, rows: Any, targets: np.ndarray) -> float:
    """The strength that loses least on folds of the training items, from the strongest penalty on.

    As many of five folds are held out as hold 250 items.
    """
    train = replace(experiment.dataset, items=experiment.dataset.split("train"))
    parts = min(_FOLDS, -(-_FOLDS * _JUDGED // max(len(targets), 1)))
    folds = [_in_validation(refolded(train, number, _FOLDS).items) for number in range(parts)]
    folds = [fold for fold in folds if fold.any() and not fold.all()]
    least, best = np.inf, _STRENGTHS[len(_STRENGTHS) // 2]
    for strength in _STRENGTHS if folds else ():
        losses = []
        for fold in folds:
            fit = _fitted(experiment, (rows[~fold], targets[~fold]), strength)
            losses.append(experiment.task.losses(fit(rows[fold]), targets[fold]))
        loss = float(np.concatenate(losses).mean())
        if loss >= least or experiment.budget.over():
            break
        least, best = loss, strength
    return best


def _in_validation(items: Sequence[Item]) -> np.ndarray:
    return np.array([item.split == "validation" for item in items])


def _fitted(experiment: Experiment, examples: Examples, strength: float) -> Fit:
    """A linear model of the task's kind, classes weighed as everywhere else."""
    rows, targets = examples
    encoding = _encoding(experiment)
    if encoding is Encoding.AMOUNTS:
        return _ridge(rows, targets, strength, experiment.task_settings)
    if encoding is Encoding.INDEX:
        weights = experiment.task_settings.get("weights")
        class_weight = dict(enumerate(weights)) if weights else None
        return _classes(examples, strength, len(experiment.labels), class_weight)
    parts = [_classes((rows, column), strength, 2) for column in targets.T]
    return lambda features: np.stack([np.diff(part(features))[:, 0] for part in parts], axis=1)


def _classes(
    examples: Examples, strength: float, labels: int, weights: Mapping[int, float] | None = None
) -> Fit:
    present, targets = np.unique(examples[1].astype(int), return_inverse=True)
    layer = None
    if len(present) > 1:
        each = np.array([weights[label] if weights else 1.0 for label in present.tolist()])
        layer = fitted(examples[0], targets, each[targets], strength)

    def outputs(features: Any) -> np.ndarray:
        values = np.full((features.shape[0], labels), -SURE)
        values[:, present] = 0.0 if layer is None else layer.log_probabilities(features)
        return np.maximum(values, -SURE)

    return outputs


def _ridge(rows: Any, targets: np.ndarray, strength: float, units: Mapping[str, Any]) -> Fit:
    """In the standardised units of the task's outputs."""
    from sklearn.linear_model import Ridge

    mean = np.array(units.get("mean", targets.mean(axis=0)))
    scale = np.array(units.get("scale", targets.std(axis=0)))
    scale = np.where(scale > 0, scale, 1.0)
    solver = Ridge(alpha=1 / strength).fit(rows, (targets - mean) / scale)
    return lambda features: np.asarray(solver.predict(features)).reshape(features.shape[0], -1)
