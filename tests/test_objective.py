"""One objective for every arm: where classes are uneven each counts alike, or none does."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import tiny

import headstart as hs
from headstart import catalog
from headstart.data import load
from headstart.defaults import Settings
from headstart.evidence import Experiment, baseline_arm
from headstart.evidence.fitting import answers, fitted, full_probe
from headstart.evidence.labels import transfer_curve
from headstart.features.reading import Reader
from headstart.runtime import machine
from headstart.runtime.budget import Budget

RARE, USUAL = 30, 270


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Texts of two classes, nine to one, that share most of their words."""
    rng = random.Random(0)
    rows = ["text,label"]
    for number in range(RARE + USUAL):
        rare = number < RARE
        words = rng.choices(["sun", "rain"], weights=(3, 1) if rare else (1, 3), k=3)
        rows.append(f"{' '.join(words)} n{number},{'rare' if rare else 'usual'}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def target(table: Path, weights: str) -> Experiment:
    modality = catalog.modality("text")
    dataset = load(table, modality)
    settings = Settings(device="cpu", class_weights=weights)
    weigh = weights == "auto"
    inputs = catalog.targets("classes").task_settings(dataset.targets("train"), 2, weigh)
    task = catalog.task("text-classification", **inputs)
    around = machine.Compute.of(settings, 0), Budget(None), tiny.Recording()
    return Experiment(dataset, task, Reader(modality, {}), settings, *around, task_settings=inputs)


def overlapping(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of two classes, one to nine, that overlap."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % 10 != 0
    shift = np.where(targets, 1.0, -1.0)
    features = rng.normal(0, 1, (count, 4)) + shift[:, None] * [1.2, 0, 0, 0]
    return features.astype(np.float32), targets.astype(np.int64)


def recalls(outputs: np.ndarray, targets: np.ndarray) -> list[float]:
    hits = outputs.argmax(axis=1) == targets
    return [float(hits[targets == each].mean()) for each in (0, 1)]


ALONE = sorted(n for n in catalog.HEADS if n != "xgboost" and catalog.head(n).stands_alone())


@pytest.mark.parametrize("head", ["probe", *ALONE])
def test_every_head_is_fitted_for_what_it_is_judged_by(head: str, table: Path) -> None:
    train, validation, test = (overlapping(n, s) for n, s in ((600, 1), (200, 2), (4000, 3)))
    values = {}
    for weights in ("auto", "none"):
        experiment = target(table, weights)
        if head == "probe":
            result = full_probe(experiment.task, train, validation, experiment.labels)
        else:
            result = fitted(experiment, catalog.head(head), train, validation)
        outputs = answers(result, test[0])
        values[weights] = outputs, recalls(outputs, test[1])
    even, plain = values["auto"][1], values["none"][1]
    assert abs(even[0] - even[1]) < (plain[1] - plain[0]) / 2  # both classes at the same cost
    assert plain[1] > 0.95 > even[1]
    assert plain[0] < even[0] - 0.15
    tasks = {weights: target(table, weights).task for weights in values}
    assert (tasks["auto"].metric, tasks["none"].metric) == ("balanced accuracy", "accuracy")
    for weights, other in (("auto", "none"), ("none", "auto")):
        scores = [tasks[weights].scores(values[w][0], test[1]).mean() for w in (weights, other)]
        assert scores[0] > scores[1]


def test_the_cheap_baseline_too(table: Path) -> None:
    values = {}
    for weights in ("auto", "none"):
        experiment = target(table, weights)
        arm = baseline_arm(experiment)
        assert arm is not None
        truth = np.concatenate([experiment.dataset.targets(name) for name in arm.outputs])
        values[weights] = recalls(np.concatenate(list(arm.outputs.values())), truth)
        assert arm.selection_key[0] == pytest.approx(
            experiment.task.scores(
                arm.outputs["validation"], experiment.dataset.targets("validation")
            ).mean()
        )
    rare = experiment.labels.index("rare")
    assert values["auto"][rare] > values["none"][rare] + 0.2
    assert values["auto"][1 - rare] < values["none"][1 - rare]


def test_the_curve_over_labels_too(table: Path) -> None:
    parts = dict(zip(("train", "validation", "test"), (400, 100, 2000), strict=True))
    examples = {name: overlapping(count, count) for name, count in parts.items()}
    for weights in ("auto", "none"):
        experiment = target(table, weights)
        head = full_probe(
            experiment.task, examples["train"], examples["validation"], experiment.labels
        )
        scores = experiment.task.scores(answers(head, examples["test"][0]), examples["test"][1])
        curve = transfer_curve(experiment.task, experiment.labels, examples, scores, draws=2)
        least, most = (0.7, 0.9) if weights == "auto" else (0.88, 0.97)
        assert least < curve.means()[-2] < most
        assert curve.means()[-1] == scores.mean()


@pytest.mark.parametrize("weights", ["auto", "none"])
def test_training_and_calibration_too(weights: str, table: Path, tmp_path: Path) -> None:
    settings = hs.Settings(epochs=3, evidence="quick", class_weights=weights, device="cpu")
    result = hs.fit(table, "seeded:bag", tmp_path / "out", strategy="lp-ft", settings=settings)
    record = result.to_json()
    assert record["metric"] == ("balanced accuracy" if weights == "auto" else "accuracy")
    task = catalog.task("text-classification", **target(table, weights).task_settings)
    dataset = load(table, catalog.modality("text"))
    for name, arm in result.evidence.arms.items():
        for split, scores in (("validation", arm.checked), ("test", arm.scores)):
            expected = task.scores(arm.outputs[split], dataset.targets(split))
            assert scores == pytest.approx(expected), name
    chosen, truth = result.evidence.arms["chosen"].outputs, dataset.targets("validation")
    told_at = record["calibration"]["temperature"]
    losses = [
        task.losses(chosen["validation"] / each, truth).mean() + 3 / len(truth) * prior(each)
        for each in (told_at * 0.9, told_at, told_at / 0.9)
    ]
    assert losses[1] == min(losses)


def prior(temperature: float) -> float:
    """What calibration adds for few items."""
    return 1 / temperature - 1 + float(np.log(temperature))
