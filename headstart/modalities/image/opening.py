"""Picture files: opened, described, proved whole, and decoded to grey or RGB."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast, final

import numpy as np
from PIL import Image as pil
from PIL import ImageFile, UnidentifiedImageError

from headstart.errors import DataError

Picture = pil.Image
MOST_PIXELS = 178_956_970  # Pillow's own limit for an error: 512 MiB at three bytes a pixel
_SCALABLE = ("JPEG", "MPO")  # formats that can be decoded at a fraction of their size
_SMALLEST = 8  # the least fraction of a JPEG's size is 1/8
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
_SIDEWAYS = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}


@final
@dataclass(frozen=True)
class Opened:
    """A file's first frame, whose pixels may yet be undecoded."""

    stored: ImageFile.ImageFile
    turn: pil.Transpose | None  # what makes the stored frame upright
    notes: tuple[str, ...]  # what is peculiar about the file
    size: tuple[int, int]  # width and height of the whole picture, upright

    def sideways(self, size: tuple[int, int]) -> tuple[int, int]:
        """An upright width and height as they are in the stored frame."""
        return size[::-1] if self.turn in _SIDEWAYS else size

    def upright(self, picture: Picture) -> Picture:
        """Turn a picture that lies like the stored one."""
        return picture if self.turn is None else picture.transpose(self.turn)

    def prove(self) -> None:
        """Read all of the file. Raises DataError saying why it can't be decoded.

        At 1/8 of its size a JPEG's coefficients are all read, as they are at full size, and it is
        there that damage shows; only the arithmetic after it is saved.
        """
        with _telling():
            self._scale(_SMALLEST)
            self.stored.load()
            _to_bytes(self.stored.crop((0, 0, 1, 1)))  # one pixel tells whether its kind is known

    def decode(self) -> Picture:
        """The whole picture, upright, as 8-bit grey or RGB. Raises DataError as `prove` does."""
        with _telling():
            self.stored.load()
            return self.upright(_to_bytes(self.stored))

    def decode_smaller(self, by: int) -> tuple[Picture, tuple[float, float]] | None:
        """The picture decoded at 1/2, 1/4 or 1/8, not turned, and the width and height in it.

        Its sides are those of the whole divided by `by` and rounded up: the picture ends within the
        last pixel. None for `by` 1, and where the format can't. Raises DataError as `prove` does.
        """
        extent = self._scale(by) if by > 1 else None
        if extent is None:
            return None
        with _telling():
            self.stored.load()
            return _to_bytes(self.stored), extent

    def _scale(self, by: int) -> tuple[float, float] | None:
        if self.stored.format not in _SCALABLE:
            return None
        width, height = self.stored.size
        drafted = self.stored.draft(None, (max(1, width // by), max(1, height // by)))
        return None if drafted is None else drafted[1][2:]


def open_picture(raw: bytes) -> Opened:
    """Open a picture by its header. Raises DataError saying why it can't be decoded."""
    if not raw:
        raise DataError("it is empty")
    with _telling():
        picture = pil.open(io.BytesIO(raw))
        if picture.width * picture.height > MOST_PIXELS:
            raise pil.DecompressionBombError
        notes = _notes(picture)
        if picture.format not in _SCALABLE:
            picture.load()  # it may change the size, and turn the picture by itself
        turn = _turn(picture)
        if turn is not None:
            notes.append("EXIF turn")
        size = picture.size[::-1] if turn in _SIDEWAYS else picture.size
        return Opened(picture, turn, tuple(notes), size)


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


def _turn(picture: Picture) -> pil.Transpose | None:
    try:
        return _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block says nothing; the pixels are sound all the same
        return None


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


@contextmanager
def _telling() -> Iterator[None]:
    """Whatever goes wrong with a file becomes a DataError that says so; Pillow warns of nothing."""
    with _muted():
        try:
            yield
        except UnidentifiedImageError:
            raise DataError("it is not a picture") from None
        except pil.DecompressionBombError:
            raise DataError(f"it has more than {MOST_PIXELS // 10**6} million pixels") from None
        except DataError:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged input
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
            raise DataError(f"it can't be decoded: {reason}") from error


@final
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
