"""Domains as features with their labels, from the research data; drawn anew by each seed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageFilter

WEIGHTS: Final = "mobilenetv2_100.imagenet.safetensors"
ITEMS: Final = 600  # of each domain; a draw takes so many of each as SIZE says
SIZE: Final = 500
PARTIAL: Final = 0.4  # of the classes, that a partial target holds
Items = tuple[list[Any], list[str]]


@dataclass(frozen=True)
class Pair:
    """A labelled source and a target; `many` says that there are enough classes to leave some."""

    source: str
    target: str
    many: bool = True

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"


PAIRS: Final = (
    Pair("mnist", "usps"),
    Pair("usps", "mnist"),
    Pair("books", "electronics", many=False),
    Pair("electronics", "books", many=False),
    Pair("flowers", "flowers, blurred"),
    Pair("flowers", "flowers, dark"),
    Pair("flowers", "flowers, noisy"),
    Pair("flowers", "flowers, painted"),
)


@dataclass(frozen=True)
class Draw:
    """Features and class numbers of one draw, with source items held out."""

    source: np.ndarray
    targets: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray]
    target: np.ndarray
    truth: np.ndarray
    classes: int


def draws(pair: Pair, shared: Path, work: Path, seeds: int) -> Iterator[tuple[str, int, Draw]]:
    """All draws of a pair: with all classes, and, where there are many, with some of them."""
    source, target = (features(name, shared, work) for name in (pair.source, pair.target))
    for seed in range(seeds):
        for part in ("all", "some") if pair.many else ("all",):
            yield part, seed, _draw(source, target, part == "some", seed)


def features(name: str, shared: Path, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) and class numbers (N,) of a domain, computed once."""
    place = work / f"{name}.npz"
    if not place.exists():
        import headstart as hs
        from headstart.demo.docstrings import encoder

        items, labels = _read(name, shared)
        text = isinstance(items[0], str)
        weights = shared / "weights" / WEIGHTS
        backbone = f"hf:{encoder()}" if text else f"timm:mobilenetv2_100@{weights}"
        values = hs.Featurizer(backbone).transform(items)
        known = sorted(set(labels))
        work.mkdir(parents=True, exist_ok=True)
        np.savez(place, x=values, y=np.array([known.index(label) for label in labels]))
    with np.load(place) as found:
        return found["x"], found["y"]


def _draw(
    source: tuple[np.ndarray, np.ndarray],
    target: tuple[np.ndarray, np.ndarray],
    partial: bool,
    seed: int,
) -> Draw:
    rng = np.random.default_rng(seed)
    (features, targets), (others, truth) = source, target
    classes = int(targets.max()) + 1
    own, there = (rng.permutation(len(each))[:SIZE] for each in (targets, truth))
    if partial:
        kept = rng.permutation(classes)[: max(2, round(PARTIAL * classes))]
        there = there[np.isin(truth[there], kept)]
    held, learned = np.split(own, [len(own) // 5])
    return Draw(
        features[learned],
        targets[learned],
        (features[held], targets[held]),
        others[there],
        truth[there],
        classes,
    )


def _read(name: str, shared: Path) -> Items:
    """Items and labels of a domain, the same ones for all corruptions of a picture."""
    kind, _, corruption = name.partition(", ")
    if kind in ("mnist", "usps"):
        return _digits(shared / "images" / f"{kind}_test.parquet")
    if kind in ("books", "electronics"):
        return _reviews(shared / "text" / f"amazon_{kind}.csv")
    return _flowers(shared / "images" / "flowers", corruption)


def _digits(place: Path) -> Items:
    import pyarrow.parquet as pq

    rows = pq.read_table(place).to_pylist()
    order = np.random.default_rng(0).permutation(len(rows))[:ITEMS]
    pictures = [Image.open(io.BytesIO(rows[n]["image"]["bytes"])).convert("RGB") for n in order]
    return pictures, [str(rows[n]["label"]) for n in order]


def _reviews(place: Path) -> Items:
    with place.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    order = np.random.default_rng(0).permutation(len(rows))[:ITEMS]
    return [rows[n]["text"] for n in order], [rows[n]["label"] for n in order]


def _flowers(folder: Path, corruption: str) -> Items:
    """Clean ones are other photos than those that are corrupted."""
    files = sorted(folder.glob("*/*.jpg"))
    order = np.random.default_rng(0).permutation(len(files))
    part = order[ITEMS : 2 * ITEMS] if corruption else order[:ITEMS]
    change = _CORRUPTIONS[corruption]
    pictures = [change(Image.open(files[n]).convert("RGB").resize((128, 128))) for n in part]
    return pictures, [files[n].parent.name for n in part]


def _noisy(picture: Image.Image) -> Image.Image:
    pixels = np.asarray(picture, dtype=float)
    noise = np.random.default_rng(int(pixels.sum())).normal(0, 35, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype("uint8"))


_CORRUPTIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "": lambda picture: picture,
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(3)),
    "dark": lambda picture: picture.point(lambda value: value * 0.35 + 20),
    "noisy": _noisy,
    "painted": lambda picture: picture.filter(ImageFilter.ModeFilter(7)),
}
