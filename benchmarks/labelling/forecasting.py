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
        found = load(name, shared, LIMIT[name])
        for count in SETS[name]:
            drawn = [draw(found, count, seed) for seed in range(draws)]
            every += drawn
            rows.append({"set": name, "labels": count} | _told(drawn))
            print(_line(rows[-1]), flush=True)
    told = _told(every)
    print(_line({"set": "all", "labels": ""} | told))
    return {"draws": draws, "rows": rows, "all": told, "broken": told["held"] < PROMISED}


def draw(found: Labelled, count: int, seed: int) -> Draw:
    """One sample of so many labels."""
    from headstart import catalog
    from headstart.evidence.forecast import forecast
    from headstart.evidence.labels import transfer_curve

    task = catalog.task("image-classification")
    order = np.random.default_rng(seed).permutation(len(found.targets))
    sample, more, rest = order[:count], order[count : 2 * count], order[2 * count :]
    parts, later = _parts(sample), _parts(more)
    examples = {name: (found.features[p], found.targets[p]) for name, p in parts.items()}
    known = _scores(task, found, parts, parts["test"])
    curve = transfer_curve(task, found.labels, examples, known, seed=seed)
    told = forecast(curve)
    both = {name: np.concatenate([parts[name], later[name]]) for name in parts}
    truth = float(_scores(task, found, both, rest).mean())
    if told.points is None:
        return Draw(0.0, 0.0, 0.0, truth, refused=True)
    twice = told.points[0]
    return Draw(twice["low"], twice["value"], twice["high"], truth)


def _parts(sample: np.ndarray) -> dict[str, np.ndarray]:
    held = round(0.15 * len(sample))
    return {
        "test": sample[:held],
        "validation": sample[held : 2 * held],
        "train": sample[2 * held :],
    }


def _scores(
    task: Any, found: Labelled, parts: dict[str, np.ndarray], asked: np.ndarray
) -> np.ndarray:
    """Scores of the default probe, fitted to training and validation items, on others."""
    from headstart.evidence.fitting import answers, full_probe

    train, validation = (
        (found.features[parts[name]], found.targets[parts[name]])
        for name in ("train", "validation")
    )
    head = full_probe(task, train, validation, found.labels)
    scores: np.ndarray = task.scores(answers(head, found.features[asked]), found.targets[asked])
    return scores


def _told(drawn: Sequence[Draw]) -> dict[str, Any]:
    made = [each for each in drawn if not each.refused]
    off = np.array([each.value - each.truth for each in made] or [np.nan])
    return {
        "made": len(made),
        "refused": len(drawn) - len(made),
        "held": float(np.mean([each.holds for each in made] or [np.nan])),
        "width": float(np.mean([each.high - each.low for each in made] or [np.nan])),
        "bias": float(off.mean()),
        "error": float(np.abs(off).mean()),
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['set']:10} {row['labels']:>4} labels: held {row['held']:6.1%} of {row['made']:>3} "
        f"forecasts ({row['refused']} refused), width {row['width']:.3f}, "
        f"off by {row['bias']:+.3f} on average, {row['error']:.3f} either way"
    )
