"""What domains hold: pictures as they are and as they arrive, and texts, with their labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageFilter

ITEMS: Final = 600  # of each domain
Items = tuple[list[Any], list[str]]
TEXTS: Final = {
    "books": "amazon_books.csv",
    "electronics": "amazon_electronics.csv",
    "films": "sst2/train.csv",
}


def pictures(name: str, images: Path) -> Items:
    """Pictures and labels of a domain; corrupted ones are other pictures than clean ones."""
    kind, _, corruption = name.partition(", ")
    if kind in ("mnist", "usps"):
        return _rows(images / f"{kind}_test.parquet", 0)
    part = int(bool(corruption))
    if kind == "objects":
        clean, labels = _rows(images / "cifar10_test.parquet", part)
        clean = [picture.resize((128, 128), Image.Resampling.BICUBIC) for picture in clean]
    else:
        clean, labels = _photos(images / kind, part)
    return [_CORRUPTIONS[corruption](picture) for picture in clean], labels


def pixels(items: list[Image.Image]) -> np.ndarray:
    """Grey levels at 16 x 16, cut to what is drawn, (N, 256)."""
    rows = []
    for picture in items:
        grey = picture.convert("L")
        rows.append(np.asarray(grey.crop(grey.getbbox()).resize((16, 16))).reshape(-1) / 255)
    return np.array(rows, dtype=np.float32)


def reviews(name: str, texts: Path) -> Items:
    """Texts and whether they praise."""
    with (texts / TEXTS[name]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    order = np.random.default_rng(0).permutation(len(rows))[:ITEMS]
    praise = {"1": "positive", "0": "negative"}
    labels = [str(rows[n]["label"]).lower() for n in order]
    return [rows[n]["text"] for n in order], [praise.get(label, label) for label in labels]


def _rows(place: Path, part: int) -> Items:
    import pyarrow.parquet as pq

    rows = pq.read_table(place).to_pylist()
    order = np.random.default_rng(0).permutation(len(rows))[part * ITEMS : (part + 1) * ITEMS]
    shown = [Image.open(io.BytesIO(rows[n]["image"]["bytes"])).convert("RGB") for n in order]
    return shown, [str(rows[n]["label"]) for n in order]


def _photos(folder: Path, part: int) -> Items:
    files = sorted(folder.glob("*/*.jpg"))
    order = np.random.default_rng(0).permutation(len(files))[part * ITEMS : (part + 1) * ITEMS]
    shown = [Image.open(files[n]).convert("RGB").resize((128, 128)) for n in order]
    return shown, [files[n].parent.name for n in order]


def _noisy(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture, dtype=float)
    noise = np.random.default_rng(int(values.sum())).normal(0, 35, values.shape)
    return Image.fromarray((values + noise).clip(0, 255).astype("uint8"))


_CORRUPTIONS: Final[dict[str, Callable[[Image.Image], Image.Image]]] = {
    "": lambda picture: picture,
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(3)),
    "dark": lambda picture: picture.point(lambda value: value * 0.35 + 20),
    "noisy": _noisy,
    "painted": lambda picture: picture.filter(ImageFilter.ModeFilter(7)),
}
