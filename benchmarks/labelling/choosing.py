"""Accuracy with labels that `suggest` picks, next to labels drawn at random, on real features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.labelling.targets import Labelled, load

COUNTS: Final = (20, 40, 60, 80)  # labels; each step is one call for 20
SHOWN: Final = (20, 40, 80)
POOL, TEST, LIMIT = 1500, 1500, 4500  # items; the limit is that of a set's features
SETS: Final = ("hymenoptera", "flowers", "cifar10", "banking77")
Pick = Callable[[np.ndarray, np.ndarray, np.ndarray, int], list[int]]


def run(shared: Path, sets: Sequence[str] = SETS, draws: int = 10) -> dict[str, Any]:
    """Print a table of both and their difference with 95 % intervals over draws; answer with it.

    In each draw a pool and the test items are drawn anew. Both ways begin without a label: the
    first 20 are picked by coverage alone. `worse` names where the difference lies below 0.
    """
    rows: list[dict[str, Any]] = []
    for name in sets:
        labelled = load(name, shared, LIMIT)
        scores = np.array([_draw(labelled, draw) for draw in range(draws)])  # (draws, 2, counts)
        for place, count in enumerate(SHOWN):
            suggested, random = scores[:, 0, place], scores[:, 1, place]
            row = {"set": name, "labels": count}
            row |= {"suggested": _mean(suggested), "random": _mean(random)}
            row["difference"] = _mean(suggested - random)
            rows.append(row)
            print(_line(row), flush=True)
    worse = [row for row in rows if row["difference"][2] < 0]
    mean = float(np.mean([row["difference"][0] for row in rows]))
    print(f"On average {mean:+.3f}; clearly worse in {len(worse)} of {len(rows)}.")
    return {"draws": draws, "rows": rows, "worse": worse, "mean": mean}


def _draw(labelled: Labelled, draw: int) -> list[list[float]]:
    """Accuracy at each count of SHOWN: by suggestions, and at random."""
    order = np.random.default_rng(draw).permutation(len(labelled.targets))
    size = min(POOL, len(order) // 2)
    pool, test = order[:size], order[size : size + TEST]
    rng = np.random.default_rng([draw, 1])
    mixed = rng.permutation(size).tolist()

    def drawn(_: np.ndarray, __: np.ndarray, picked: np.ndarray, count: int) -> list[int]:
        return list(mixed[len(picked) : len(picked) + count])

    parts = (
        labelled.features[pool],
        labelled.targets[pool],
        labelled.features[test],
        labelled.targets[test],
    )
    return [_curve(parts, pick) for pick in (_suggested, drawn)]


def _curve(parts: tuple[np.ndarray, ...], pick: Pick) -> list[float]:
    features, targets, test_features, truth = parts
    picked: list[int] = []
    scores = []
    for count in COUNTS:
        labelled = np.array(picked, dtype=np.int64)
        picked += pick(features, targets, labelled, count - len(picked))
        outputs, classes = _probed(features[picked], targets[picked], test_features)
        if count in SHOWN:
            scores.append(float((classes[outputs.argmax(axis=1)] == truth).mean()))
    return scores


def _suggested(
    features: np.ndarray, targets: np.ndarray, labelled: np.ndarray, n: int
) -> list[int]:
    """What `headstart suggest` would name next, with a probe on what is known as its model."""
    from headstart import catalog
    from headstart.labelling.selection import doubt, select

    unlabelled = np.setdiff1d(np.arange(len(features)), labelled)
    weights = np.ones(len(unlabelled))
    if len(labelled):
        outputs, classes = _probed(features[labelled], targets[labelled], features[unlabelled])
        answers = catalog.task("image-classification").decode(outputs, tuple(map(str, classes)))
        weights = np.array([doubt(answer) for answer in answers])
    return [
        int(unlabelled[p.position])
        for p in select(features[unlabelled], weights, [features[labelled]], n)
    ]


def _probed(
    features: np.ndarray, targets: np.ndarray, test_features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, classes) of the default probe, and the classes that its labels hold."""
    import torch

    from headstart import catalog

    classes, own = np.unique(targets, return_inverse=True)
    if len(classes) == 1:
        return np.zeros((len(test_features), 1)), classes
    task = catalog.task("image-classification")
    nothing = features[:0], own[:0]
    head = task.probe((features, own), nothing, tuple(map(str, classes)))
    with torch.inference_mode():
        return head(torch.from_numpy(test_features)).numpy(), classes


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    """The mean over draws with its 95 % interval, by Student's t."""
    from scipy.special import stdtrit

    count = len(values)
    half = float(stdtrit(count - 1, 0.975) * values.std(ddof=1) / count**0.5) if count > 1 else 0.0
    mean = float(values.mean())
    return mean, mean - half, mean + half


def _line(row: dict[str, Any]) -> str:
    cells = [
        f"{name} {row[name][0]:{sign}.3f} ({row[name][1]:{sign}.3f} to {row[name][2]:{sign}.3f})"
        for name, sign in (("suggested", ""), ("random", ""), ("difference", "+"))
    ]
    return f"{row['set']:12} {row['labels']:>3} labels: {', '.join(cells)}"
