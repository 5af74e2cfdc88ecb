"""The targets: small labelled sets with a test split, laid out from the research data."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import pyarrow.parquet as parquet

SPLITS: Final = ("train", "validation", "test")
Row = tuple[str, str, bytes]  # the split it comes with, or none; label; content


@dataclass(frozen=True)
class Target:
    """A data set to transfer to: how many items a class each split has at most, and its sources."""

    name: str
    place: str  # under shared/data
    counts: tuple[int, int, int]  # train, validation and test items a class
    modality: str
    sources: tuple[str, ...]


IMAGES: Final = ("mobilenet", "insects", "squeezenet", "resnet20", "random-mobilenet")
SMALL: Final = (*IMAGES, "random-resnet20")
TEXTS: Final = ("minilm", "word2vec", "random-minilm", "random-word2vec")
MANY: Final = 10**6
TARGETS: Final = (
    Target("hymenoptera", "images/hymenoptera", (MANY, MANY, MANY), "image", IMAGES),
    Target("flowers-20", "images/flowers", (20, 10, 80), "image", IMAGES),
    Target("flowers", "images/flowers", (MANY, MANY, MANY), "image", IMAGES),
    Target("cifar10", "images/cifar10_train.parquet", (40, 20, 50), "image", SMALL),
    Target("digits", "images/usps_train.parquet", (20, 10, 60), "image", SMALL),
    Target("sst2-300", "text/sst2", (150, 100, 400), "text", TEXTS),
    Target("trec-600", "text/trec", (100, 40, 80), "text", TEXTS),
    Target("banking77", "text/banking77", (15, 5, 10), "text", TEXTS),
)


def lay_out(target: Target, data: Path, work: Path) -> Path:
    """Write a target as SPLIT/CLASS/FILE, or as SPLIT.csv for texts; answers where."""
    folder = work / "targets" / target.name
    if (folder / "whole").exists():
        return folder / "data"
    shutil.rmtree(folder, ignore_errors=True)
    write = _texts if target.modality == "text" else _pictures
    write(target, data / target.place, folder / "data")
    (folder / "whole").touch()
    return folder / "data"


def different(target: Target, data: Path) -> list[Row]:
    """The items of a target that differ in content, by class and then by hash.

    Those of which copies have several labels are left out.
    """
    classes = _classes(_rows(target, data / target.place))
    return [row for label in sorted(classes) for row in classes[label]]


def _rows(target: Target, source: Path) -> Iterator[Row]:
    if target.modality == "text":
        return _from_csv(source)
    return _from_parquet(source) if source.suffix == ".parquet" else _from_folders(source)


def _pictures(target: Target, source: Path, out: Path) -> None:
    for split, label, content in _chosen(target, _rows(target, source)):
        place = out / split / label / f"{_hash(content)}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def _texts(target: Target, source: Path, out: Path) -> None:
    rows = _chosen(target, _rows(target, source))
    out.mkdir(parents=True)
    for split in SPLITS:
        with (out / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("text", "label"))
            writer.writerows((text.decode(), label) for name, label, text in rows if name == split)


def _chosen(target: Target, rows: Iterator[Row]) -> list[Row]:
    """Different contents in their order by hash, each class's shared out to the splits.

    A split that comes with the data stays; where there is no validation it is cut from training,
    and where there is no test, a third of each class is held out.
    """
    classes = _classes(rows)
    return [row for label in sorted(classes) for row in _shared_out(classes[label], target.counts)]


def _classes(rows: Iterator[Row]) -> dict[str, list[Row]]:
    """By label what differs in content, in the order of hashes; no content has two labels."""
    classes: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        classes[row[1]].setdefault(_hash(row[2]), row)
    counts = Counter(key for own in classes.values() for key in own)
    return {
        label: [row for key, row in sorted(own.items()) if counts[key] == 1]
        for label, own in classes.items()
    }


def _shared_out(rows: Sequence[Row], counts: Sequence[int]) -> list[Row]:
    test = [row for row in rows if row[0] == "test"] or list(rows[: len(rows) // 3])
    rest = [row for row in rows if row not in test]
    checked = [row for row in rest if row[0] == "validation"]
    trained = [row for row in rest if row[0] != "validation"]
    if not checked:
        cut = min(len(trained) // 5, counts[1]) or 1
        if counts[0] < MANY:
            cut = min(counts[1], len(trained) // 2)
        checked, trained = trained[:cut], trained[cut:]
    parts = zip(SPLITS, (trained, checked, test), counts, strict=True)
    return [(split, label, content) for split, part, n in parts for _, label, content in part[:n]]


def _from_folders(source: Path) -> Iterator[Row]:
    words = {"train": "", "val": "test"}  # of hymenoptera, whose second half is held out
    for path in sorted(source.rglob("*.*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            yield words.get(path.parent.parent.name, ""), path.parent.name, path.read_bytes()


def _from_parquet(source: Path) -> Iterator[Row]:
    for row in parquet.read_table(source).to_pylist():
        yield "", str(row["label"]), row["image"]["bytes"]


def _from_csv(source: Path) -> Iterator[Row]:
    for path in sorted(source.glob("*.csv")) or [source]:
        split = {"val": "validation"}.get(path.stem, path.stem)
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                text, label = row["text"], row.get("label") or row["category"]
                yield split, f"c{label}", text.encode()


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def references(target: Target, data: Path, encoder: str) -> dict[str, str]:
    """The sources' references by name, at a size that the target's pictures are worth."""
    weights, networks = data / "weights", Path(__file__).parent.parent / "cifar_resnet.py"
    size = {"hymenoptera": 224, "flowers": 128, "flowers-20": 128}.get(target.name, 64)
    mobilenet = f"timm:mobilenetv2_100{{}}?pad_type=same&size={size}"
    resnet = f"file:{os.path.relpath(networks)}:resnet20{{}}?size=32&trust=true"
    lenet = f"caffe:{weights}/caffe_lenet_mnist/lenet_train_test.prototxt"
    vectors = f"word2vec:{weights}/word2vec_google_1000x300.txt"
    every: dict[str, Callable[[], str]] = {
        "mobilenet": lambda: mobilenet.format(f"@{weights}/mobilenetv2_100.imagenet.safetensors"),
        "insects": lambda: mobilenet.format(f"@{weights}/mobilenetv2_100.inat_insect.safetensors"),
        "random-mobilenet": lambda: f"{mobilenet.format('')}&pretrained=false",
        "squeezenet": lambda: (
            f"torchvision:squeezenet1_1@{weights}/squeezenet1_1.imagenet.safetensors?size={size}"
        ),
        "resnet20": lambda: resnet.format(f"@{weights}/cifar10_resnet20-12fca82f.th"),
        "random-resnet20": lambda: resnet.format(""),
        "lenet": lambda: (
            f"{lenet}@{weights}/caffe_lenet_mnist/lenet_iter_10000.caffemodel?channels=1"
        ),
        "random-lenet": lambda: f"{lenet}?pretrained=false&channels=1&size=28",
        "minilm": lambda: encoder,
        "random-minilm": lambda: f"{encoder}?pretrained=false",
        "word2vec": lambda: vectors,
        "random-word2vec": lambda: f"{vectors}?pretrained=false",
    }
    return {name: every[name]() for name in target.sources}
