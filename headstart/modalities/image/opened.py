"""An opened picture file: described, read whole, and decoded to grey or RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from PIL import Image as pil
from PIL import ImageFile

from headstart.modalities.image.depth import Levels
from headstart.modalities.image.faults import telling

Picture = pil.Image
Box = tuple[int, int, int, int]  # left, top, right, bottom
SCALABLE = ("JPEG", "MPO")  # formats that can be decoded at a fraction of their size
_SCALES, _ENOUGH = (8, 4, 2), 64  # fractions of a JPEG's size; px of the shorter side
SIDEWAYS = {
    pil.Transpose.TRANSPOSE,
    pil.Transpose.ROTATE_270,
    pil.Transpose.TRANSVERSE,
    pil.Transpose.ROTATE_90,
}
TURNS = (  # quarters clockwise, and the same of what was mirrored left to right before
    *(None, pil.Transpose.ROTATE_270, pil.Transpose.ROTATE_180, pil.Transpose.ROTATE_90),
    *(pil.Transpose.FLIP_LEFT_RIGHT, pil.Transpose.TRANSVERSE),
    *(pil.Transpose.FLIP_TOP_BOTTOM, pil.Transpose.TRANSPOSE),
)


@final
@dataclass(frozen=True)
class Opened:
    """A file's first frame, whose pixels may yet be undecoded."""

    stored: Picture
    size: tuple[int, int]  # width and height of the whole picture, upright
    notes: tuple[str, ...]  # what is peculiar about the file
    turn: pil.Transpose | None = None  # what makes the stored frame upright
    levels: Levels | None = None  # what becomes 0 to 255, where values are deep

    def sideways(self, size: tuple[int, int]) -> tuple[int, int]:
        """An upright width and height as they are in the stored frame."""
        return size[::-1] if self.turn in SIDEWAYS else size

    def upright(self, picture: Picture) -> Picture:
        """Turn a picture that lies like the stored one."""
        return picture if self.turn is None else picture.transpose(self.turn)

    def small(self) -> tuple[Picture, tuple[float, float]]:
        """The whole picture, not turned, and the width and height in it; a JPEG decoded smaller.

        All of the file is read. Raises DataError saying why it can't be decoded. At 1/8 of its size
        a JPEG's coefficients are all read, as they are at full size, and it is there that damage
        shows; only the arithmetic after it is saved.
        """
        short = min(self.stored.size)
        smaller = self.decode_smaller(next((by for by in _SCALES if short >= by * _ENOUGH), 1))
        if smaller is not None:
            return smaller
        with telling():
            self.stored.load()
            return self._to_bytes(self.stored), self.stored.size

    def decode(self, box: Box | None = None) -> Picture:
        """The picture, or the part of it in a box, upright, as 8-bit grey or RGB.

        Raises DataError as `small` does.
        """
        with telling():
            self.stored.load()
            picture = self.upright(self.stored)
            return self._to_bytes(picture if box is None else picture.crop(box))

    def decode_smaller(self, by: int) -> tuple[Picture, tuple[float, float]] | None:
        """The picture decoded at 1/2, 1/4 or 1/8, not turned, and the width and height in it.

        Its sides are those of the whole divided by `by` and rounded up: the picture ends within the
        last pixel. None for `by` 1, and where the format can't. Raises DataError as `small` does.
        """
        extent = self._scale(by) if by > 1 else None
        if extent is None:
            return None
        with telling():
            self.stored.load()
            return self._to_bytes(self.stored), extent

    def _scale(self, by: int) -> tuple[float, float] | None:
        if not isinstance(self.stored, ImageFile.ImageFile) or self.stored.format not in SCALABLE:
            return None
        width, height = self.stored.size
        drafted = self.stored.draft(None, (max(1, width // by), max(1, height // by)))
        return None if drafted is None else drafted[1][2:]

    def _to_bytes(self, picture: Picture) -> Picture:
        """The same in mode L or RGB: transparency over white, deep values scaled to 0-255."""
        if self.levels is not None:
            return pil.fromarray(self.levels.to_bytes(picture))
        if picture.mode in ("L", "RGB") and "transparency" not in picture.info:
            return picture
        if picture.mode == "1":
            return picture.convert("L")
        if picture.has_transparency_data or picture.mode in ("RGBa", "La"):
            picture = picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture
            white = pil.new("RGBA", picture.size, "white")
            return pil.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
        return picture.convert("RGB")
