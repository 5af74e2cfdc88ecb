"""Pictures: checked, decoded to bytes per channel, and put into batches as the backbone expects."""

from __future__ import annotations

import io
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import numpy as np
import torch
from PIL import Image as pil
from PIL import ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor

from headstart.contracts import Check, Modality, Preprocess
from headstart.errors import DataError

Picture = pil.Image
MOST_PIXELS = 178_956_970  # Pillow's own limit for an error: 512 MiB at three bytes a pixel
_LONGEST = 20  # times the shorter side; what lies beyond is cut before resizing, not after
_SMALLEST_CROP = 0.5  # of the area, in a random view: gentle, for trainings of few epochs
_FLIPS_FROM = 64  # px: smaller pictures are often characters, which a mirror makes wrong
_ORIENTATION = 0x0112
_TURNS = {
    2: pil.Transpose.FLIP_LEFT_RIGHT,
    3: pil.Transpose.ROTATE_180,
    4: pil.Transpose.FLIP_TOP_BOTTOM,
    5: pil.Transpose.TRANSPOSE,
    6: pil.Transpose.ROTATE_270,
    7: pil.Transpose.TRANSVERSE,
    8: pil.Transpose.ROTATE_90,
}
_FILTERS = {
    "nearest": pil.Resampling.NEAREST,
    "box": pil.Resampling.BOX,
    "bilinear": pil.Resampling.BILINEAR,
    "bicubic": pil.Resampling.BICUBIC,
    "lanczos": pil.Resampling.LANCZOS,
}


class Image(Modality):
    """Pictures in any format that Pillow reads.

    The preprocessing is a mapping with `channels` (1 or 3), `height`, `width` (pixels), `crop`
    (the share of the resized picture that is kept), `crop_mode` (center, squash, border),
    `interpolation` (nearest, box, bilinear, bicubic, lanczos), and `mean`, `std` (one number
    a channel, for values from 0 to 1).
    """

    suffixes: ClassVar[frozenset[str]] = frozenset(
        {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
    )
    columns: ClassVar[tuple[str, ...]] = ("image", "file_name", "path", "file", "img")

    def check(self, raw: bytes) -> Check:
        """Decode the picture wholly; say why it can't be used, or what is peculiar about it."""
        try:
            _, notes = _open(raw)
        except DataError as error:
            return Check(problem=str(error))
        return Check(notes=notes)

    def decode(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """The picture as the backbone sees it: uint8, (channels, height, width).

        Without `rng` this is timm's evaluation transform, to the bit. With it, a random part of
        half to all of the area and a ratio of 3/4 to 4/3 (Szegedy et al., 2015), mirrored half the
        time where it is in colour and at least 64 px. Raises DataError when the picture can't be
        decoded.
        """
        picture, _ = _open(raw)
        picture = _shorten(picture.convert("L" if preprocess["channels"] == 1 else "RGB"))
        if rng is None:
            view = _whole_view(picture, preprocess)
        else:
            view = _random_view(picture, preprocess, rng)
        pixels = np.array(view, dtype=np.uint8)
        return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def collate(self, items: Sequence[np.ndarray], preprocess: Preprocess) -> Tensor:
        """A batch of decoded pictures, (N, channels, height, width) float32, normalised."""
        batch = torch.from_numpy(np.stack(items)).float().div_(255)
        mean = torch.tensor(preprocess["mean"], dtype=torch.float32).view(-1, 1, 1)
        std = torch.tensor(preprocess["std"], dtype=torch.float32).view(-1, 1, 1)
        return batch.sub_(mean).div_(std)


def _open(raw: bytes) -> tuple[Picture, tuple[str, ...]]:
    """The first frame, upright, as 8-bit grey or RGB, and what is peculiar about the file.

    Raises DataError saying why it can't be decoded.
    """
    if not raw:
        raise DataError("it is empty")
    with _muted():
        try:
            picture = pil.open(io.BytesIO(raw))
            if picture.width * picture.height > MOST_PIXELS:
                raise pil.DecompressionBombError
            notes = _notes(picture)
            picture.load()
            turned = _upright(picture)
            if turned is not picture:
                notes.append("EXIF turn")
            return _to_bytes(turned), tuple(notes)
        except UnidentifiedImageError:
            raise DataError("it is not a picture") from None
        except pil.DecompressionBombError:
            raise DataError(f"it has more than {MOST_PIXELS // 10**6} million pixels") from None
        except DataError:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged input
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
            raise DataError(f"it can't be decoded: {reason}") from error


def _notes(picture: ImageFile.ImageFile) -> list[str]:
    """What the header shows; to be called before the picture is loaded."""
    mode = picture.mode
    found = {
        "palette": mode in ("P", "PA"),
        "CMYK": mode == "CMYK",
        "alpha": mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info,
        "16-bit": "16" in mode or any("16" in str(tile[3]) for tile in picture.tile),
        "32-bit": mode in ("I", "F"),
        "black and white": mode == "1",
        "greyscale": mode.startswith("L") or "16" in mode,
        "animated": bool(getattr(picture, "is_animated", False)) and picture.format != "MPO",
    }
    picture.seek(0)
    return [kind for kind, here in found.items() if here]


def _upright(picture: Picture) -> Picture:
    try:
        turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block says nothing; the pixels are sound all the same
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _to_bytes(picture: Picture) -> Picture:
    """The same picture in mode L or RGB: transparency over white, deep values scaled to 0-255."""
    if picture.mode in ("L", "RGB") and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I") or picture.mode == "F":
        return pil.fromarray(_scaled(np.asarray(picture)))
    if picture.mode == "1":
        return picture.convert("L")
    if picture.has_transparency_data or picture.mode in ("RGBa", "La"):
        picture = picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture
        white = pil.new("RGBA", picture.size, "white")
        return pil.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _scaled(values: np.ndarray) -> np.ndarray:
    """16-bit values by their full range; deeper integers and fractions by what they hold."""
    deep = values.astype(np.float64)
    low, high = 0.0, 65535.0
    if values.dtype.kind == "f":
        deep = np.nan_to_num(deep, posinf=0.0, neginf=0.0)
        inside = 0 <= deep.min() and deep.max() <= 1
        low, high = (0.0, 1.0) if inside else (deep.min(), deep.max())
    elif deep.min() < 0 or deep.max() > high:
        low, high = deep.min(), deep.max()
    return np.rint((deep - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8)


def _shorten(picture: Picture) -> Picture:
    """Cut the ends of an extremely long picture, which would not fit into memory when enlarged."""
    width, height = picture.size
    most = _LONGEST * min(width, height)
    return (
        _crop(picture, min(width, most), min(height, most))
        if max(width, height) > most
        else picture
    )


def _whole_view(picture: Picture, preprocess: Preprocess) -> Picture:
    width, height = int(preprocess["width"]), int(preprocess["height"])
    wide, high = (math.floor(side / preprocess["crop"]) for side in (width, height))
    mode, fill = preprocess["crop_mode"], (0,) * len(picture.getbands())
    if mode == "squash":
        size = wide, high
    elif mode == "border":
        ratio = max(picture.height / high, picture.width / wide)
        size = max(1, round(picture.width / ratio)), max(1, round(picture.height / ratio))
        fill = tuple(round(255 * value) for value in preprocess["mean"])
    elif wide == high:
        size = _by_shorter_side(picture.size, wide)
    else:
        ratio = min(picture.height / high, picture.width / wide)
        size = max(1, round(picture.width / ratio)), max(1, round(picture.height / ratio))
    return _crop(_resize(picture, size, preprocess), width, height, fill)


def _by_shorter_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    width, height = size
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def _random_view(picture: Picture, preprocess: Preprocess, rng: np.random.Generator) -> Picture:
    left, top, width, height = _random_box(picture.size, rng)
    part = picture.crop((left, top, left + width, top + height))
    size = int(preprocess["width"]), int(preprocess["height"])
    view = _resize(part, size, preprocess)
    mirrored = rng.random() < 0.5  # drawn in any case, so that one seed gives one sequence of boxes
    if mirrored and preprocess["channels"] == 3 and min(size) >= _FLIPS_FROM:
        return view.transpose(pil.Transpose.FLIP_LEFT_RIGHT)
    return view


def _random_box(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, width, height of a part with 1/2 to all of the area, 3/4 to 4/3 wide as high."""
    full_width, full_height = size
    for _ in range(10):
        area = rng.uniform(_SMALLEST_CROP, 1.0) * full_width * full_height
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= full_width and 0 < height <= full_height:
            left = int(rng.integers(full_width - width + 1))
            top = int(rng.integers(full_height - height + 1))
            return left, top, width, height
    width = min(full_width, max(1, round(full_height * 4 / 3)))
    height = min(full_height, max(1, round(full_width * 4 / 3)))
    return (full_width - width) // 2, (full_height - height) // 2, width, height


def _resize(picture: Picture, size: tuple[int, int], preprocess: Preprocess) -> Picture:
    if picture.size == size:
        return picture
    return picture.resize(size, _FILTERS[preprocess["interpolation"]])


def _crop(
    picture: Picture, width: int, height: int, fill: tuple[int, ...] | None = None
) -> Picture:
    """The centre, `width` by `height`; a smaller picture is surrounded with `fill`."""
    wide, high = max(0, width - picture.width), max(0, height - picture.height)
    if wide or high:
        border = (wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2)
        colour = None if fill is None else (fill if len(fill) > 1 else fill[0])
        picture = ImageOps.expand(picture, border, colour or 0)
    left, top = round((picture.width - width) / 2.0), round((picture.height - height) / 2.0)
    return picture.crop((left, top, left + width, top + height))


class _Muting:
    """How many threads decode, and the filter in force meanwhile.

    warnings.catch_warnings isn't safe with threads: it restores what others have changed since.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.entry: Any = None


_MUTING = _Muting()


@contextmanager
def _muted() -> Iterator[None]:
    """Drop Pillow's warnings: what they tell, the check tells."""
    with _MUTING.lock:
        _MUTING.inside += 1
        if _MUTING.inside == 1:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _MUTING.entry = warnings.filters[0]
    try:
        yield
    finally:
        with _MUTING.lock:
            _MUTING.inside -= 1
            filters = cast(list[Any], warnings.filters)
            if not _MUTING.inside and _MUTING.entry in filters:
                filters.remove(_MUTING.entry)
