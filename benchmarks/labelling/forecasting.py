"""How often the forecast of the learning curve holds what twice the labels really bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.labelling.targets import Labelled, load

SETS: Final = {  # numbers of labels: 70 % to train on, 15 % each to check and to judge by
    "flowers": (200, 300),
    "cifar10": (300,),
    "banking77": (1500,),  # with fewer a curve has no three counts of two labels a class
}
LIMIT: Final = {"flowers": 4500, "cifar10": 4500, "banking77": 9000}  # items with features
PROMISED: Final = 0.90


@dataclass(frozen=True)
class Draw:
    """One sample's forecast, None where it was refused, and what came true on the rest."""

    low: float
    value: float
    high: float
    truth: float
    refused: bool = False

    @property
    def holds(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low <= self.truth <= self.high


def run(shared: Path, sets: Sequence[str] = tuple(SETS), draws: int = 40) -> dict[str, Any]:
    """Print for each set and number of labels how often it holds; answer with all of it.

    A draw samples labels, makes the curve and its forecast as `fit` does, then adds as many labels
    again and judges the same probe on thousands of items that neither had. `broken` is whether all
    together are held less often than promised.
    """
    rows: list[dict[str, Any]] = []
    every: list[Draw] = []
    for name in sets:
        labelled = load(name, shared, LIMIT[name])
        for count in SETS[name]:
            samples = [draw(labelled, count, seed) for seed in range(draws)]
            every += samples
            rows.append({"set": name, "labels": count} | _summary(samples))
            print(_line(rows[-1]), flush=True)
    summary = _summary(every)
    print(_line({"set": "all", "labels": ""} | summary))
    return {"draws": draws, "rows": rows, "all": summary, "broken": summary["held"] < PROMISED}


def draw(labelled: Labelled, count: int, seed: int) -> Draw:
    """One sample of so many labels."""
    from headstart import catalog
    from headstart.evidence.forecast import forecast
    from headstart.evidence.labels import transfer_curve

    task = catalog.task("image-classification")
    order = np.random.default_rng(seed).permutation(len(labelled.targets))
    sample, more, rest = order[:count], order[count : 2 * count], order[2 * count :]
    parts, later = _parts(sample), _parts(more)
    examples = {name: (labelled.features[p], labelled.targets[p]) for name, p in parts.items()}
    scores = _scores(task, labelled, parts, parts["test"])
    curve = transfer_curve(task, labelled.labels, examples, scores, seed=seed)
    outlook = forecast(curve)
    both = {name: np.concatenate([parts[name], later[name]]) for name in parts}
    truth = float(_scores(task, labelled, both, rest).mean())
    if outlook.points is None:
        return Draw(0.0, 0.0, 0.0, truth, refused=True)
    twice = outlook.points[0]
    return Draw(twice["low"], twice["value"], twice["high"], truth)


def _parts(sample: np.ndarray) -> dict[str, np.ndarray]:
    test_count = round(0.15 * len(sample))
    return {
        "test": sample[:test_count],
        "validation": sample[test_count : 2 * test_count],
        "train": sample[2 * test_count :],
    }


def _scores(
    task: Any, labelled: Labelled, parts: dict[str, np.ndarray], rows: np.ndarray
) -> np.ndarray:
    """Scores of the default probe, fitted to training and validation items, on others."""
    from headstart.evidence.fitting import answers, full_probe

    train, validation = (
        (labelled.features[parts[name]], labelled.targets[parts[name]])
        for name in ("train", "validation")
    )
    head = full_probe(task, train, validation, labelled.labels)
    scores: np.ndarray = task.scores(answers(head, labelled.features[rows]), labelled.targets[rows])
    return scores


def _summary(draws: Sequence[Draw]) -> dict[str, Any]:
    forecasts = [each for each in draws if not each.refused]
    off = np.array([each.value - each.truth for each in forecasts] or [np.nan])
    return {
        "made": len(forecasts),
        "refused": len(draws) - len(forecasts),
        "held": float(np.mean([each.holds for each in forecasts] or [np.nan])),
        "width": float(np.mean([each.high - each.low for each in forecasts] or [np.nan])),
        "bias": float(off.mean()),
        "error": float(np.abs(off).mean()),
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['set']:10} {row['labels']:>4} labels: held {row['held']:6.1%} of {row['made']:>3} "
        f"forecasts ({row['refused']} refused), width {row['width']:.3f}, "
        f"off by {row['bias']:+.3f} on average, {row['error']:.3f} either way"
    )
