"""How a model takes pictures that are noisy, blurred, compressed, too bright or flat."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image as pil
from PIL import ImageFilter

from headstart.contracts import Task
from headstart.data import InlineSource, Item, nested
from headstart.evidence.assessor import Assessor, families
from headstart.evidence.resampling import Draws
from headstart.features.reading import Reader

CLEAN = "none"
ITEMS = 100  # at most; each is passed through the network once a corruption
_SHAPED = {"height", "width", "crop", "channels"}  # what a preprocessing for pictures says
_SIDE = 224  # px, the shorter side that the severities are made for
Rng = np.random.Generator
Outputs = Callable[[Sequence[Item]], np.ndarray]


def robustness(
    outputs: Outputs,
    reader: Reader,
    task: Task,
    items: Sequence[Item],
    targets: np.ndarray,
    scratch: Outputs | None = None,
    seed: int = 0,
) -> list[dict[str, Any]] | None:
    """The score on the same test items, corrupted in each way; None where they are no pictures.

    At most 100 items, each label in its share. `outputs` and `scratch` give two models' outputs
    (N, labels) for items; `reader` decodes as the models do. The corruptions and their severity, 3
    of 5, are those of Hendrycks and Dietterich (2019), at the size that the models look at. The
    first row, "none", is the score on the same items as they are at that size.
    """
    if not reader.preprocess.keys() >= _SHAPED or not len(items):
        return None
    positions = nested(targets, seed)[:ITEMS]
    sample, truth = [items[place] for place in positions], targets[positions]
    pictures = [picture(item.read(), reader) for item in sample]
    judge, rows = Assessor(task, truth, Draws(seed, families(sample))), []
    for name in (CLEAN, *CORRUPTIONS):
        changed = [
            corrupted(item, pixels, name) for item, pixels in zip(sample, pictures, strict=True)
        ]
        row: dict[str, Any] = judge.interval(outputs(changed)).to_json()
        row |= {"corruption": name, "scratch": None}
        if scratch is not None:
            row["scratch"] = round(
                task.sign * float(task.scores(scratch(changed), truth).mean()), 5
            )
        rows.append(row)
    return rows


def picture(raw: bytes, reader: Reader) -> np.ndarray:
    """The whole picture, as large as the model resizes it: uint8, (height, width, channels).

    Nothing is cropped, a smaller picture is not enlarged. The modality itself decodes, so that
    transparency, deep pixels and turned photos look as they do to the model.
    """
    pixels: np.ndarray = reader.modality.decode(raw, {**reader.preprocess, "crop_mode": "whole"})
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def corrupted(item: Item, pixels: np.ndarray, name: str) -> Item:
    """The item with this picture in its place, corrupted and kept without loss.

    What is random about it depends on the pixels and the corruption, and on nothing else.
    """
    changed = pixels
    if name != CLEAN:
        digest = blake2b(pixels.tobytes() + name.encode(), digest_size=16).hexdigest()
        changed = CORRUPTIONS[name](pixels, np.random.default_rng(int(digest, 16)))
    content = _bytes(changed, "BMP")  # packing would take longer than the network
    digest = blake2b(content, digest_size=16).hexdigest()
    return Item(f"{item.id} ({name})", item.label, item.split, InlineSource(content), digest)


def _noise(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    return _clipped(pixels + rng.normal(0, 0.18 * 255, pixels.shape))


def _blur(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """Gaussian, its width in proportion to the shorter side."""
    radius = 3.0 * min(pixels.shape[:2]) / _SIDE
    return _pixels(_picture(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _jpeg(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    with pil.open(io.BytesIO(_bytes(pixels, "JPEG", quality=15))) as opened:
        return _pixels(opened)


def _brightness(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """The value in the sense of HSV is raised; hue and saturation stay."""
    value = pixels.max(axis=2, keepdims=True).astype(np.float64)
    raised = np.minimum(value + 0.3 * 255, 255)
    black = value == 0
    return _clipped(np.where(black, raised, pixels * (raised / np.where(black, 1, value))))


def _contrast(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return _clipped((pixels - mean) * 0.2 + mean)


CORRUPTIONS: Mapping[str, Callable[[np.ndarray, Rng], np.ndarray]] = MappingProxyType(
    {
        "gaussian noise": _noise,
        "blur": _blur,
        "jpeg compression": _jpeg,
        "brightness": _brightness,
        "contrast": _contrast,
    }
)
CORRUPTED = ITEMS * (1 + len(CORRUPTIONS))  # pictures that a network looks at, at most


def _clipped(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(pixels.clip(0, 255)), dtype=np.uint8)


def _picture(pixels: np.ndarray) -> pil.Image:
    return pil.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _pixels(picture: pil.Image) -> np.ndarray:
    pixels = np.asarray(picture)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _bytes(pixels: np.ndarray, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    _picture(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
