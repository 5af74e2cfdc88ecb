"""Large labelled sets of which a few labels are drawn, and the networks that are transferred."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.choosing.targets import MANY, Target, different, references

EACH: Final = 5  # labels that a drawn class has at least: with fewer labels there are fewer classes
ALL: Final = (MANY, MANY, MANY)


@dataclass(frozen=True)
class Pool:
    """Different items with labels that agree: content (N,) and label (N,) of each."""

    name: str
    contents: Sequence[bytes]
    labels: np.ndarray
    text: bool

    @classmethod
    def of(cls, target: Target, data: Path) -> Pool:
        """The whole set, its own splits joined."""
        rows = different(target, data)
        labels = np.array([label for _, label, _ in rows])
        text = target.modality == "text"  # whose items are known by their line
        contents = [b" ".join(row[2].split()) if text else row[2] for row in rows]
        return cls(target.name, contents, labels, text)

    def shuffled(self) -> Pool:
        """The same items, each with the label of another: there is nothing to learn."""
        labels = np.random.default_rng(0).permutation(self.labels)
        return Pool(self.name, self.contents, labels, self.text)

    def draw(self, size: int, number: int) -> np.ndarray:
        """So many items, sorted by place; each class drawn has its share of them.

        All classes are drawn where that leaves `EACH` labels to each, else as many as it does.
        """
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), size, number])
        classes = rng.permutation(np.unique(self.labels))[: max(2, size // EACH)]
        own = [rng.permutation(np.flatnonzero(self.labels == label)) for label in classes]
        shares = size * np.array([len(each) for each in own]) / sum(len(each) for each in own)
        counts = shares.astype(int)
        for place in np.argsort(counts - shares)[: size - counts.sum()]:
            counts[place] += 1
        return np.sort(
            np.concatenate([each[:count] for each, count in zip(own, counts, strict=True)])
        )

    def rest(self, indices: np.ndarray) -> np.ndarray:
        """The items of the drawn classes that were not drawn."""
        possible = np.isin(self.labels, np.unique(self.labels[indices]))
        possible[indices] = False
        return np.flatnonzero(possible)

    def write(self, places: Iterable[int], folder: Path) -> Path:
        """Write items as a user holds them: LABEL/FILE, or a CSV file; answers with what to fit."""
        folder.mkdir(parents=True)
        if self.text:
            file = folder / "texts.csv"
            with file.open("w", newline="", encoding="utf-8") as out:
                writer = csv.writer(out)
                writer.writerow(("text", "label"))
                writer.writerows((self.contents[n].decode(), self.labels[n]) for n in places)
            return file
        for place in places:
            file = folder / str(self.labels[place]) / f"{place}.jpg"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(self.contents[place])
        return folder


@dataclass(frozen=True)
class Drawn:
    """A set to draw from, the sizes drawn, and its source; `light` is one for many trainings.

    `budget` is in seconds, for sets that a fit is given so much time on.
    """

    target: Target
    light: str  # a source of the target, or `seeded` for one that is trained on `related`
    related: Target | None = None
    network: str = ""
    sizes: tuple[int, ...] = (20, 50, 100, 300)
    budget: float | None = None


def _target(name: str, place: str, modality: str, *sources: str) -> Target:
    return Target(name, place, ALL, modality, sources)


_CIFAR = _target("cifar10-train", "images/cifar10_train.parquet", "image")
_MNIST = _target("mnist", "images/mnist_train.parquet", "image")
_SMALL: Final = "seeded:convnet?size=32&width=16"
_GREY: Final = "seeded:convnet?size=28&channels=1&width=16"
_PHOTOS: Final = ("mobilenet", "random-mobilenet")
SETS: Final = {
    entry.target.name: entry
    for entry in (
        Drawn(_target("flowers", "images/flowers", "image", *_PHOTOS), "seeded", _CIFAR, _SMALL),
        Drawn(
            _target(
                "banking77",
                "text/banking77",
                "text",
                "minilm",
                "random-minilm",
                "word2vec",
                "random-word2vec",
            ),
            "word2vec",
        ),
        Drawn(
            _target(
                "cifar10", "images/cifar10_test.parquet", "image", "resnet20", "random-resnet20"
            ),
            "seeded",
            _CIFAR,
            _SMALL,
        ),
        Drawn(
            _target("digits", "images/usps_train.parquet", "image", "lenet", "random-lenet"),
            "seeded",
            _MNIST,
            _GREY,
        ),
        Drawn(
            _target("hymenoptera", "images/hymenoptera", "image", *_PHOTOS),
            "mobilenet",
            sizes=(20,),
            budget=60.0,
        ),
    )
}
LARGE: Final = tuple(name for name, entry in SETS.items() if entry.budget is None)


def source(spec: Drawn, data: Path, work: Path, light: bool, random: bool) -> str:
    """The reference that is transferred: the set's own, or for many trainings the light one."""
    from headstart.demo.docstrings import encoder

    if light and spec.light == "seeded":
        return f"{spec.network}&pretrained=false" if random else _trained(spec, data, work)
    name = spec.light if light else spec.target.sources[0]
    by_name = references(spec.target, data, f"hf:{encoder()}")
    return by_name[f"random-{name}" if random else name]


def _trained(spec: Drawn, data: Path, work: Path) -> str:
    """A small network that was trained on the related set once, and is kept."""
    import headstart as hs

    if spec.related is None:
        raise ValueError(f"{spec.target.name} has no related set")
    folder = work / "sources" / spec.related.name
    if not (folder / "evidence.json").exists():
        pool = Pool.of(spec.related, data)
        place = work / "related" / spec.related.name
        if not place.exists():
            pool.write(range(len(pool.contents)), place)
        settings = hs.Settings(epochs=2, evidence="none")
        hs.pretrain(place, spec.network, folder, anyway=True, settings=settings)
    return f"checkpoint:{folder}"
