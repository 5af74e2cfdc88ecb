"""Domains as features with their labels, from the research data; drawn anew by each seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.adaptation import items, sounds

WEIGHTS: Final = "mobilenetv2_100.imagenet.safetensors"
SIZE: Final = 500  # items of each domain at most in a draw, and five sixths of them at most
PARTIAL: Final = 0.4  # of the classes, that a partial target holds
UNEVEN: Final = 4  # times as often as the others half of the classes are in an uneven target
PARTS: Final = {"all": "all classes", "uneven": "half of them rare", "some": "some classes only"}
SPEAKERS: Final = ("jackson", "nicolas", "theo", "yweweler")


@dataclass(frozen=True)
class Pair:
    """A labelled source and a target, as `features`; `kind` is what is averaged.

    `known` says that thresholds of ours were set on pairs like it.
    """

    source: str
    target: str
    kind: str
    features: str
    is_known: bool = False

    def __str__(self) -> str:
        return f"{self.source} → {self.target}, {self.features}"

    @property
    def parts(self) -> tuple[str, ...]:
        """What of the classes its targets hold: of two, none can be left out."""
        return tuple(PARTS) if self.kind != "reviews" else ("all", "uneven")


PAIRS: Final = (
    *(
        Pair(*both, kind="written digits", features=features, is_known=True)
        for features in ("pixels", "MobileNetV2")
        for both in (("mnist", "usps"), ("usps", "mnist"))
    ),
    *(
        Pair(f"not {name}", name, f"spoken digits by {features}", features, is_known=True)
        for features in ("log-mel", "speech embedding")
        for name in SPEAKERS
    ),
    *(
        Pair(*both, kind="reviews", features="MiniLM", is_known=True)
        for both in (
            *(("books", "electronics"), ("electronics", "books")),
            *(("films", "books"), ("electronics", "films")),
        )
    ),
    *(
        Pair(things, f"{things}, {corruption}", f"{things} corrupted", "MobileNetV2")
        for things in ("flowers", "objects")
        for corruption in ("blurred", "dark", "noisy", "painted")
    ),
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
    """All draws of a pair, by what the target holds of the classes."""
    source, target = (
        features(name, pair.features, shared, work) for name in (pair.source, pair.target)
    )
    for seed in range(seeds):
        for part in pair.parts:
            yield part, seed, _draw(source, target, part, seed)


def features(name: str, kind: str, shared: Path, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) and class numbers (N,) of a domain, computed once."""
    place = work / f"{name}, {kind}.npz"
    if not place.exists():
        work.mkdir(parents=True, exist_ok=True)
        values, labels = _computed(name, kind, shared)
        names = sorted(set(labels))
        np.savez(place, x=values, y=np.array([names.index(label) for label in labels]))
    with np.load(place) as stored:
        return stored["x"], stored["y"]


def _computed(name: str, kind: str, shared: Path) -> tuple[np.ndarray, list[str]]:
    if kind in ("log-mel", "speech embedding"):
        waves, labels = sounds.clips(shared / "audio" / "fsdd", name)
        if kind == "log-mel":
            return sounds.log_mel(waves), labels
        return sounds.embedded(waves, shared / "weights" / "audio"), labels
    if kind == "MiniLM":
        from headstart.demo.docstrings import encoder

        texts, labels = items.reviews(name, shared / "text")
        return _featured(texts, f"hf:{encoder()}"), labels
    shown, labels = items.pictures(name, shared / "images")
    if kind == "pixels":
        return items.pixels(shown), labels
    return _featured(shown, f"timm:mobilenetv2_100@{shared / 'weights' / WEIGHTS}"), labels


def _featured(values: list[object], backbone: str) -> np.ndarray:
    import headstart as hs

    return np.asarray(hs.Featurizer(backbone).transform(values))


def _draw(
    source: tuple[np.ndarray, np.ndarray],
    target: tuple[np.ndarray, np.ndarray],
    part: str,
    seed: int,
) -> Draw:
    rng = np.random.default_rng(seed)
    (values, targets), (others, truth) = source, target
    classes = int(targets.max()) + 1
    own, there = (
        rng.permutation(len(each))[: min(SIZE, 5 * len(each) // 6)] for each in (targets, truth)
    )
    order = rng.permutation(classes)
    if part == "some":
        there = there[np.isin(truth[there], order[: max(2, round(PARTIAL * classes))])]
    elif part == "uneven":
        rare = np.isin(truth[there], order[: classes // 2])
        there = there[~rare | (np.arange(len(there)) % UNEVEN == 0)]
    held_out, learned = np.split(own, [len(own) // 5])
    return Draw(
        values[learned],
        targets[learned],
        (values[held_out], targets[held_out]),
        others[there],
        truth[there],
        classes,
    )
