"""Frozen features of real sets with many labels, computed once and kept in the cache."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

WEIGHTS: Final = "mobilenetv2_100.imagenet.safetensors"
SEED: Final = 0


@dataclass(frozen=True)
class Labelled:
    """Features (N, D) float32 and class numbers (N,) of one set."""

    name: str
    features: np.ndarray
    targets: np.ndarray

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' numbers as names."""
        return tuple(map(str, range(int(self.targets.max()) + 1)))


def load(name: str, shared: Path, limit: int) -> Labelled:
    """One of the sets, or `limit` of its items, drawn from a fixed seed."""
    backbone, reader = TARGETS[name]
    items, names = reader(shared)
    order = np.random.default_rng(SEED).permutation(len(items))[:limit]
    from headstart import Featurizer

    features = Featurizer(backbone(shared)).transform([items[place] for place in order])
    _, targets = np.unique([names[place] for place in order], return_inverse=True)
    return Labelled(name, features, targets.astype(np.int64))


def _pictures(shared: Path) -> str:
    return f"timm:mobilenetv2_100@{shared / 'weights' / WEIGHTS}"


def _sentences(shared: Path) -> str:
    from headstart.demo.docstrings import encoder

    return f"hf:{encoder()}"


def _folders(name: str) -> Callable[[Path], tuple[list[Any], list[str]]]:
    def read(shared: Path) -> tuple[list[Any], list[str]]:
        files = sorted((shared / "images" / name).rglob("*.jpg"))
        return list(files), [file.parent.name for file in files]

    return read


def _cifar10(shared: Path) -> tuple[list[Any], list[str]]:
    import pyarrow.parquet as parquet

    table = parquet.read_table(shared / "images" / "cifar10_train.parquet")
    pictures = [each["bytes"] for each in table["image"].to_pylist()]
    return pictures, list(map(str, table["label"].to_pylist()))


def _banking77(shared: Path) -> tuple[list[Any], list[str]]:
    rows: list[dict[str, str]] = []
    for name in ("train.csv", "test.csv"):
        with open(shared / "text" / "banking77" / name, newline="", encoding="utf-8") as file:
            rows += csv.DictReader(file)
    return [row["text"] for row in rows], [row["category"] for row in rows]


Read = Callable[[Path], tuple[Sequence[Any], Sequence[str]]]
TARGETS: Final[dict[str, tuple[Callable[[Path], str], Read]]] = {
    "hymenoptera": (_pictures, _folders("hymenoptera")),
    "flowers": (_pictures, _folders("flowers")),
    "cifar10": (_pictures, _cifar10),
    "banking77": (_sentences, _banking77),
}
