"""Sounds of speakers and kits that a model never heard: chosen among sources and their layers.

Each speaker or kit is held out once. A model is fitted to the others, with so many labels a class,
by `headstart.fit`, which chooses by groups among all sources; beside it each source alone.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

SOURCES: Final[Mapping[str, str]] = {  # by weights' place among the shared data
    "YAMNet": "graph:{audio}/yamnet.tflite",
    "speech embedding": (
        "graph:{audio}/embedding_model.onnx?frontend=melspectrogram.onnx&head=false"
    ),
    "keywords (DS-CNN)": "graph:{audio}/kws_ref_float32.tflite?frontend=mlperf-tiny",
    "MobileNetV2, ImageNet": (
        "timm:mobilenetv2_100@{weights}/mobilenetv2_100.imagenet.safetensors?sounds=true"
    ),
    "MobileNetV2, insects": (
        "timm:mobilenetv2_100@{weights}/mobilenetv2_100.inat_insect.safetensors?sounds=true"
    ),
    "SqueezeNet, ImageNet": (
        "torchvision:squeezenet1_1@{weights}/squeezenet1_1.imagenet.safetensors?sounds=true"
    ),
}
CHOSEN: Final = "chosen"


@dataclass(frozen=True)
class SoundSet:
    """Files in folders of their class; the group is the part of a name before its last `_`."""

    name: str
    folder: str
    labels: int  # a class that are learned from; 0 for all
    bar: float


SETS: Final = (SoundSet("digits", "fsdd", 10, 0.95), SoundSet("drums", "drums", 0, 0.70))


@dataclass(frozen=True)
class Row:
    """How often a source, or what was chosen, was right on what groups it never heard."""

    set: str
    source: str
    right: int
    items: int
    backbones: Sequence[str]  # that answered, one for each group


def run(shared: Path, work: Path, sets: Sequence[str], groups: int, alone: bool) -> list[Row]:
    """All rows; `groups` of each set are held out in turn, 0 for all; `alone`: sources too."""
    work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("HEADSTART_CACHE", str(work / "cache"))
    weights = shared / "weights"
    places = {"audio": str(weights / "audio"), "weights": str(weights)}
    sources = {name: text.format(**places) for name, text in SOURCES.items()}
    rows = []
    for each in (one for one in SETS if one.name in sets):
        contenders: dict[str, Sequence[str]] = {CHOSEN: list(sources.values())}
        contenders |= {name: [reference] for name, reference in sources.items() if alone}
        for name, references in contenders.items():
            row = _row(each, name, references, shared / "audio" / each.folder, work, groups)
            print(f"{row.set}, {row.source}: {row.right / row.items:.3f}", flush=True)
            rows.append(row)
    return rows


def _row(
    each: SoundSet, name: str, references: Sequence[str], folder: Path, work: Path, groups: int
) -> Row:
    items = _items(folder)
    held_out = sorted({group for _, _, group in items})[: groups or None]
    right, count, answered = 0, 0, []
    for group in held_out:
        own = [item for item in items if item[2] == group]
        train = _few([item for item in items if item[2] != group], each.labels)
        table = _table(work / f"{each.name}-{group}.csv", train)
        hits, backbone = _judged(table, references, own, work / "model")
        right, count = right + hits, count + len(own)
        answered.append(backbone)
        print(f"  {name}, without {group}: {hits} of {len(own)} by {backbone}", flush=True)
    return Row(each.name, name, right, count, tuple(answered))


def _judged(
    table: Path, references: Sequence[str], own: Sequence[tuple[Path, str, str]], out: Path
) -> tuple[int, str]:
    """How many items of one group were answered rightly, and by which backbone."""
    import headstart as hs

    shutil.rmtree(out, ignore_errors=True)
    settings: dict[str, Any] = {"group": "group", "evidence": "none", "scratch": False}
    result = hs.fit(str(table), list(references), out, strategy="feature-extraction", **settings)
    answers = hs.load(out).predict([path for path, _, _ in own])
    hits = sum(a.label == label for a, (_, label, _) in zip(answers, own, strict=True))
    return hits, str(result.evidence.to_json()["backbone"])


def _items(folder: Path) -> list[tuple[Path, str, str]]:
    """Files with their class and group, in order."""
    files = sorted(path for path in folder.glob("*/*") if path.suffix in (".wav", ".flac"))
    return [(path, path.parent.name, path.stem.rpartition("_")[0]) for path in files]


def _few(items: Sequence[tuple[Path, str, str]], labels: int) -> Sequence[tuple[Path, str, str]]:
    """So many of each class, from all groups alike; all where it is 0."""
    if not labels:
        return items
    order = np.random.default_rng(0).permutation(len(items))
    by_class: defaultdict[str, list[tuple[Path, str, str]]] = defaultdict(list)
    for place in order:
        by_class[items[place][1]].append(items[place])
    return [item for own in by_class.values() for item in own[:labels]]


def _table(path: Path, items: Sequence[tuple[Path, str, str]]) -> Path:
    """A table of files, labels and groups, all of whose files lie below its folder."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "group"))
        for source, label, group in items:
            link = path.parent / "sounds" / label / source.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.write_bytes(source.read_bytes())
            writer.writerow((link.relative_to(path.parent).as_posix(), label, group))
    return path


def as_markdown(rows: Sequence[Row]) -> str:
    """One line a row."""
    lines = ["| set | source | right on unheard groups |", "|---|---|--:|"]
    lines += [f"| {row.set} | {row.source} | {row.right / row.items:.3f} |" for row in rows]
    return "\n".join(lines)
