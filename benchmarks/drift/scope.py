"""Inputs out of scope: AUROC of familiarity beside other scores, and the coverage of sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from benchmarks.drift.sets import Features, Model, features, fitted
from headstart.drift import Sets

HELD_OUT: Final = 300
JUDGED: Final = 300  # other items that a draw's sets are counted on
TASKS: Final[Mapping[str, tuple[str, int, float, tuple[str, ...]]]] = {
    # set, items to learn from, share of its classes that are held out, other sets
    "banking77": ("banking77", 900, 0.25, ("trec",)),
    "trec": ("trec", 400, 0.34, ("sst2",)),
    "sst2": ("sst2", 400, 0.0, ("banking77", "trec")),
    "flowers": ("flowers", 400, 0.4, ("hymenoptera",)),
    "hymenoptera": ("hymenoptera", 200, 0.0, ("flowers", "cifar10")),
    "cifar10": ("cifar10", 500, 0.3, ("flowers",)),
}
COVERED: Final = (20, 50, 100, 200, 500, 1000)
SCORES: Final = ("familiarity", "max-softmax", "energy", "k-NN")


def run(shared: Path, work: Path, tasks: Sequence[str], seeds: int) -> dict[str, Any]:
    """Measure; {"scope": rows, "coverage": rows, "behind": tasks}, printed as it comes."""
    rows, covers = [], []
    for task in tasks:
        name, learned, share, others = TASKS[task]
        features_of = {each: features(each, shared, work) for each in (name, *others)}
        for kind, values in _scores(features_of, name, learned, share, seeds).items():
            rows.append({"known": task, "strange": kind} | values)
            print(_line(rows[-1]), flush=True)
        covers += _coverage(features_of[name], task, learned)
    for row in covers:
        print(f"{row['set']}: {row['labels']} labels, truth in {row['held']:.3f} of {row['drawn']}")
    best = max(np.mean([row[score][0] for row in rows]) for score in SCORES)
    ours = np.mean([row["familiarity"][0] for row in rows])
    means = {score: round(float(np.mean([row[score][0] for row in rows])), 4) for score in SCORES}
    print("mean AUROC:", means)
    return {"scope": rows, "coverage": covers, "means": means, "worse": bool(ours < best)}


def _scores(
    features_of: Mapping[str, Features], name: str, learned: int, share: float, seeds: int
) -> dict[str, dict[str, list[float]]]:
    """For each kind of strange input, the mean AUROC of each score with its standard error."""
    values: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        (rows, labels), names = features_of[name], np.unique(features_of[name][1])
        out = rng.choice(names, round(share * len(names)), replace=False)
        inside = rng.permutation(np.flatnonzero(~np.isin(labels, out)))
        held_out = min(HELD_OUT, (len(inside) - learned) // 2)
        model, (usual, _) = fitted((rows[inside], labels[inside]), learned, held_out)
        strange = {other: features_of[other][0][:500] for other in features_of if other != name}
        if len(out):
            strange["classes held out"] = rows[np.isin(labels, out)]
        calibration_part = _each(model, usual)
        for kind, others in strange.items():
            truth = np.r_[np.zeros(len(usual)), np.ones(len(others))]
            for score, own in _each(model, others).items():
                value = float(roc_auc_score(truth, np.r_[calibration_part[score], own]))
                values.setdefault(kind, {}).setdefault(score, []).append(value)
    return {
        kind: {
            score: [float(np.mean(v)), float(np.std(v) / len(v) ** 0.5)] for score, v in by.items()
        }
        for kind, by in values.items()
    }


def _each(model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """How strange each item is, by each score."""
    outputs = model.outputs(rows)
    near = _directions(rows) @ _directions(model.reference.features.astype(np.float32)).T
    return {
        "familiarity": model.familiarity.distances(rows, outputs),
        "max-softmax": -model.probabilities(rows).max(axis=1),
        "energy": -logsumexp(outputs, axis=1),
        "k-NN": -np.sort(near, axis=1)[:, -5],
    }


def _directions(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _coverage(
    task_features: Features, task: str, learned: int, draws: int = 100
) -> list[dict[str, Any]]:
    """How often sets from so many labels hold the truth of the others, over resamples."""
    rows, labels = task_features
    order = np.random.default_rng(0).permutation(len(rows))
    model, (rest, truth) = fitted((rows[order], labels[order]), learned, 100)
    chances, targets = model.probabilities(rest), model.targets(truth)
    lines = []
    for count in COVERED:
        if count + 100 > len(targets):
            continue
        inside, sizes = [], []
        for draw in range(draws):
            mixed = np.random.default_rng(draw).permutation(len(targets))
            sets = Sets.of(chances[mixed[:count]], targets[mixed[:count]])
            if sets is None:
                continue
            others = mixed[count : count + JUDGED]
            answers = sets.around(chances[others], [str(n) for n in range(chances.shape[1])])
            own = targets[others]
            inside.append(np.mean([str(t) in a["set"] for t, a in zip(own, answers, strict=True)]))
            sizes.append(np.mean([len(a["set"]) for a in answers]))
        lines.append(
            {
                "set": task,
                "labels": count,
                "drawn": draws,
                "held": float(np.mean(inside)),
                "size": float(np.mean(sizes)),
            }
        )
    return lines


def _line(row: Mapping[str, Any]) -> str:
    scores = ", ".join(f"{score} {row[score][0]:.3f} ± {row[score][1]:.3f}" for score in SCORES)
    return f"{row['known']}, strange: {row['strange']}: {scores}"
