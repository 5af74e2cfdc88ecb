"""The photos: a source folder of classes, split by content, or larger photos made from it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

SHARES: Final = (("test", 0.15), ("val", 0.15), ("train", 0.70))
SUFFIXES: Final = {".jpg", ".jpeg", ".png"}
LARGE: Final = (500, 375)  # pixels: an ordinary photo of a web page
NOISE: Final = 6.0  # of 255; smooth enlargements would be too easy to decode


@dataclass(frozen=True)
class Plan:
    """Which photos: all of `source`, `subset` of them, or `made` larger ones of `size` pixels."""

    source: str
    subset: int | None = None
    made: int | None = None
    size: tuple[int, int] = LARGE

    @property
    def name(self) -> str:
        """A folder name of its own for each plan."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def split_of(content: bytes) -> str:
    """The split of a file, said by its bytes alone, so that identical files never part."""
    point = int(hashlib.blake2b(content, digest_size=16).hexdigest()[:13], 16) / 16**13
    edge = 0.0
    for name, share in SHARES:
        edge += share
        if point < edge:
            return name
    return SHARES[-1][0]


def prepare(plan: Plan, root: Path) -> Path:
    """Lay out a plan's photos under `root` as SPLIT/CLASS/FILE, unless they are there already."""
    folder = root / plan.name
    if (folder / "whole").exists():
        return folder / "photos"
    shutil.rmtree(folder, ignore_errors=True)
    originals = photos_in(Path(plan.source))
    if plan.made is None:
        for path in chosen(originals, plan.subset):
            _place(path.read_bytes(), folder / "photos", path.parent.name, path.name)
    else:
        work = partial(_make, originals, folder / "photos", plan.size)
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(work, range(plan.made), chunksize=64))
    (folder / "whole").touch()
    return folder / "photos"


def grow(photos: Path, share: float = 0.01) -> Path:
    """The same photos in a second folder, with `share` more in train/: mirrored ones, new bytes."""
    more = photos.with_name("more")
    shutil.rmtree(more, ignore_errors=True)
    shutil.copytree(photos, more, copy_function=_link)
    train = photos_in(photos / "train")
    for path in chosen(train, max(1, round(share * len(train)))):
        with Image.open(path) as picture:
            mirrored = ImageOps.mirror(picture.convert("RGB"))
        place = more / "train" / path.parent.name / f"mirrored-{path.stem}.jpg"
        mirrored.save(place, quality=90)
    return more


def photos_in(folder: Path) -> list[Path]:
    """The photos of a folder of classes, sorted. Raises FileNotFoundError where there is none."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(folder)
    return paths


def chosen(paths: Sequence[Path], count: int | None) -> list[Path]:
    """`count` of the paths, spread over all classes by a hash of their names; None takes all."""
    if count is None:
        return list(paths)
    mixed = sorted(paths, key=lambda path: hashlib.blake2b(path.name.encode()).digest())
    return sorted(mixed[:count])


def counts(photos: Path) -> dict[str, int]:
    """How many photos each split holds."""
    return {name: len(list((photos / name).glob("*/*"))) for name, _ in reversed(SHARES)}


def _make(originals: Sequence[Path], folder: Path, size: tuple[int, int], number: int) -> None:
    """Photo `number`: a random part of an original, enlarged, with noise, as a JPEG."""
    rng = np.random.default_rng(number)
    path = originals[int(rng.integers(len(originals)))]
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    side = min(picture.size)
    height = int(side * rng.uniform(0.5, 0.75))
    width = min(picture.width, height * size[0] // size[1])
    left, top = (
        int(rng.integers(full - part + 1))
        for full, part in zip(picture.size, (width, height), strict=True)
    )
    part = picture.crop((left, top, left + width, top + height))
    pixels = np.asarray(part.resize(size, Image.Resampling.BICUBIC), np.float32)
    noisy = pixels + rng.normal(0, NOISE, pixels.shape).astype(np.float32)
    name = f"{number:06}.jpg"
    split = split_of(f"{number}".encode())
    place = folder / split / path.parent.name / name
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place, quality=88)


def _place(content: bytes, folder: Path, label: str, name: str) -> None:
    place = folder / split_of(content) / label / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy(source, target)
