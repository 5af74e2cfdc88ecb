"""Features of real sets, stored once, and a model on some of their items held to others."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from headstart.drift import Familiarity, Reference
from headstart.evidence.calibration import shares, temperature

Features = tuple[np.ndarray, np.ndarray]  # (N, D) and labels (N,)
MOST: Final = 4500  # items of a set, drawn at random
TEXTS: Final[Mapping[str, tuple[Sequence[str], str, str]]] = {
    "banking77": (("text/banking77/train.csv", "text/banking77/test.csv"), "text", "category"),
    "trec": (("text/trec/train.csv",), "text", "label"),
    "sst2": (("text/sst2/train.csv",), "text", "label"),
    "books": (("text/amazon_books.csv",), "text", "label"),
    "electronics": (("text/amazon_electronics.csv",), "text", "label"),
}
_PHOTOS: Final = {"flowers": "images/flowers", "hymenoptera": "images/hymenoptera"}
_TABLES: Final = {
    "cifar10": "images/cifar10_test.parquet",
    "mnist": "images/mnist_test.parquet",
    "usps": "images/usps_test.parquet",
}
SETS: Final = (*TEXTS, *_PHOTOS, *_TABLES)


def features(name: str, shared: Path, work: Path) -> Features:
    """Features and labels of a set, from a file where they were computed before."""
    place = stored(name, work)
    if not place.exists():
        work.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("HEADSTART_CACHE", str(work / "cache"))
        rows, labels = _computed(name, shared)
        np.savez(place, features=rows, labels=labels)
    with np.load(place) as arrays:
        return arrays["features"], arrays["labels"]


def stored(name: str, work: Path) -> Path:
    """The file of a set's features; of another number of items it is another."""
    return work / f"{name}, {MOST} at most.npz"


def _computed(name: str, shared: Path) -> Features:
    import headstart as hs

    contents, labels = items(name, shared)
    if name in TEXTS:
        from headstart.demo.docstrings import encoder

        backbone = f"hf:{encoder()}"
    else:
        weights = shared / "weights" / "mobilenetv2_100.imagenet.safetensors"
        backbone = f"timm:mobilenetv2_100@{weights}"
    return hs.Featurizer(backbone).transform(contents), np.array(labels)


def items(name: str, shared: Path) -> tuple[list[object], list[str]]:
    """The items of a set in a random order, MOST at most, and their labels."""
    rows: list[tuple[object, str]]
    if name in TEXTS:
        places, text, label = TEXTS[name]
        rows = [(row[text], row[label]) for place in places for row in _lines(shared / place)]
    elif name in _PHOTOS:
        rows = [
            (path, path.parent.name) for path in sorted((shared / _PHOTOS[name]).rglob("*.jp*g"))
        ]
    else:
        rows = _pictures(shared / _TABLES[name])
    order = np.random.default_rng(0).permutation(len(rows))[:MOST]
    return [rows[n][0] for n in order], [rows[n][1] for n in order]


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _pictures(path: Path) -> list[tuple[object, str]]:
    from PIL import Image
    from pyarrow.parquet import read_table

    table = read_table(path).to_pylist()
    return [
        (Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB"), str(row["label"]))
        for row in table[: 4 * MOST]
    ]


@dataclass(frozen=True)
class Model:
    """Logistic regression on stored features, calibrated, and what it was held to."""

    reference: Reference
    labels: np.ndarray
    outputs: Callable[[np.ndarray], np.ndarray]

    @property
    def familiarity(self) -> Familiarity:
        """That of the product."""
        return Familiarity(self.reference)

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Of features (N, D), (N, labels)."""
        return shares(self.outputs(rows))

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """The numbers of labels (N,)."""
        return np.searchsorted(self.labels, labels)


def fitted(
    data_set: Features, learned: int, held_out: int, exact: bool = True
) -> tuple[Model, Features]:
    """A model of the first items, held to the next; and the items that are left.

    It need not be `exact` where only that it stays as it is counts.
    """
    rows, labels = data_set
    train, held_out_part = slice(learned), slice(learned, learned + held_out)
    names = np.unique(labels[train])
    mean, spread = rows[train].mean(axis=0), rows[train].std(axis=0)
    spread = spread + spread.mean()
    model = LogisticRegression(C=0.05, max_iter=500, tol=1e-4 if exact else 1e-2).fit(
        (rows[train] - mean) / spread, labels[train]
    )
    layer, bias = model.coef_, model.intercept_
    if len(names) == 2:
        layer, bias = np.concatenate([-layer, layer]) / 2, np.concatenate([-bias, bias]) / 2

    def outputs(rows: np.ndarray) -> np.ndarray:
        return ((rows - mean) / spread) @ layer.T + bias

    in_train = np.isin(labels[held_out_part], names)
    targets = np.searchsorted(names, labels[held_out_part][in_train])
    scale = temperature(outputs(rows[held_out_part][in_train]), targets)
    reference = Reference.of(
        rows[held_out_part][in_train], outputs(rows[held_out_part][in_train]) / scale, targets
    )
    later_part = slice(learned + held_out, None)
    rest = np.isin(labels[later_part], names)
    return (
        Model(reference, names, lambda given: outputs(given) / scale),
        (rows[later_part][rest], labels[later_part][rest]),
    )
