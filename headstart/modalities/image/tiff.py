"""TIFF files: colours as Pillow reads them, and the bands of satellites and scanners.

Pillow reads one band, and three or four of 8 or 16 bits that are declared as colours. Others are
read by a directory of our own, appended to the file, that declares the same bytes as one that
Pillow reads.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from PIL import Image as pil
from PIL import UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from headstart.errors import DataError
from headstart.modalities.image import pillow
from headstart.modalities.image.depth import Depth, parts
from headstart.modalities.image.faults import demand_few
from headstart.modalities.image.opened import Opened

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 259, 262, 274
_STRIPS, _BANDS, _STRIP_SIZES, _PLANAR, _PREDICTOR = 273, 277, 279, 284, 317
_TILE_WIDTH, _TILES, _TILE_SIZES, _EXTRA, _FORMAT, _NODATA = 322, 324, 325, 338, 339, 42113
_LAYOUT = (  # with the order of bits, rows a strip, the length of tiles, and JPEG's tables
    *(_WIDTH, _HEIGHT, _COMPRESSION, 266, _STRIPS, 278, _STRIP_SIZES, _PREDICTOR),
    *(_TILE_WIDTH, 323, _TILES, _TILE_SIZES, 347),
)
_PLACES = {33550, 33922, 34264, 34735, 42112, _NODATA}  # tags that only GeoTIFF and GDAL write
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_OF_BYTES = {1, 5, 8, 32773, 32946, 34925, 50000}  # compressions that know nothing of pixels
_USED = {*_LAYOUT, *_PLACES, _BITS, _PHOTOMETRIC, _ORIENTATION, _BANDS, _PLANAR, _EXTRA, _FORMAT}
Tags = Mapping[int, Any]


def open_file(raw: bytes, name: str) -> Opened:
    """Open a TIFF's first picture; of bands that are no colours, the first three.

    A fourth band is taken for transparency only where it is declared so in a file without a tag of
    GeoTIFF or GDAL; where the kind of numbers is declared too, as GDAL does, only if at least half
    of it is wholly opaque or clear.
    """
    file = _File(raw, _tags(raw))
    if not {_WIDTH, _HEIGHT} <= file.tags.keys():
        raise DataError("it can't be decoded: its header is damaged")
    demand_few(file.width, file.height)
    try:
        if not file.of_bands:
            picture = pillow.opened(pillow.decoder(file.readable(), name), raw, file.depth)
            if not (file.doubtful and _is_band(picture.stored)):
                return picture
        if file.pillow_reads_as_colours:
            raw = file.rewritten(file.as_colours())
            picture = pillow.opened(pillow.decoder(raw, name), raw, file.depth)
            return Opened(
                picture.stored, picture.size, (*picture.notes, *file.left_out), picture.turn
            )
        return _bands(file, name)
    except UnidentifiedImageError:
        raise file.refusal() from None


@final
@dataclass(frozen=True)
class _File:
    """A TIFF file and the tags of its first picture."""

    raw: bytes
    tags: Tags

    @property
    def width(self) -> int:
        return int(self.tags[_WIDTH])

    @property
    def height(self) -> int:
        return int(self.tags[_HEIGHT])

    @property
    def bands(self) -> int:
        return int(self.tags.get(_BANDS, 1))

    @property
    def bits(self) -> int:
        return int(max(self.tags.get(_BITS, (1,))))

    @property
    def kind(self) -> int:
        """Of numbers: unsigned, signed or float."""
        kind = int(max(self.tags.get(_FORMAT, (_UNSIGNED,))))
        return kind if kind in (_SIGNED, _FLOAT) else _UNSIGNED

    @property
    def photometric(self) -> int:
        return int(self.tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO))

    @property
    def planar(self) -> bool:
        """Whether band lies after band."""
        return self.bands > 1 and int(self.tags.get(_PLANAR, 1)) == 2

    @property
    def depth(self) -> Depth:
        """What the tags say of deep values."""
        try:
            nodata = float(str(self.tags.get(_NODATA, "")).strip("\0 "))
        except ValueError:
            nodata = None
        return Depth(
            bits=self.bits if 8 < self.bits < 16 else None,
            unsigned=self.bits == 32 and self.kind == _UNSIGNED,
            inverted=self.bits > 8 and self.photometric == _WHITE_IS_ZERO,
            nodata=nodata,
        )

    @property
    def of_bands(self) -> bool:
        """Whether it holds bands that are no colours, or colours deeper than Pillow reads."""
        if self.bands < 2 or self.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
            return False
        grey = self.photometric != _RGB and (self.bands > 2 or self.bits > 8 or self.planar)
        deeper = self.bits > 16 or (self.bits == 16 and (self.planar or self.kind != _UNSIGNED))
        beyond = self.bands > 3 and (not self._alpha or bool(_PLACES & set(self.tags)))
        return grey or deeper or beyond

    @property
    def doubtful(self) -> bool:
        """Whether what is declared as transparency may be a band."""
        return self.bands == 4 and self._alpha and _FORMAT in self.tags

    @property
    def _alpha(self) -> bool:
        extra = self.tags.get(_EXTRA, ())
        return self.photometric == _RGB and (not extra or extra[0] != 0)

    @property
    def pillow_reads_as_colours(self) -> bool:
        """Whether it does so once the first three bands are declared as such."""
        most = {8: 6, 16: 4}.get(self.bits, 0)
        return self.kind == _UNSIGNED and not self.planar and 3 <= self.bands <= most

    @property
    def left_out(self) -> list[str]:
        """What is said of bands that are not used."""
        used = 3 if self.bands >= 3 else 1
        return [f"first {used} of {self.bands} bands"] if self.bands > used else []

    def readable(self) -> bytes:
        """The file; of one band that Pillow would refuse or misread, one that it reads."""
        if self.bands > 1 or self.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
            return self.raw
        other_order = self.bits == 32 and self.kind == _UNSIGNED and self.raw.startswith(b"MM")
        deep = self.bits > 8 and (other_order or self.photometric == _WHITE_IS_ZERO)
        if not deep and self.tags.get(_PLANAR, 1) == 1:
            return self.raw
        photometric = _BLACK_IS_ZERO if self.bits > 8 else self.photometric
        turn = self.tags.get(_ORIENTATION, 1)
        return self.rewritten(self._as_grey() | {_PHOTOMETRIC: photometric, _ORIENTATION: turn})

    def as_colours(self) -> Tags:
        """The first three bands as red, green and blue."""
        return {tag: self.tags[tag] for tag in _LAYOUT if tag in self.tags} | {
            _BITS: (self.bits,) * self.bands,
            _PHOTOMETRIC: _RGB,
            _ORIENTATION: self.tags.get(_ORIENTATION, 1),
            _BANDS: self.bands,
            _EXTRA: (0,) * (self.bands - 3),
        }

    def band(self, place: int) -> Tags:
        """One of the bands that lie after another."""
        tags = dict(self._as_grey())
        for tag in (_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES):
            if tag in tags:
                each = len(tags[tag]) // self.bands
                tags[tag] = tags[tag][place * each : (place + 1) * each]
        return tags

    def wide(self) -> Tags:
        """Bands that alternate as one that is so many times as wide."""
        across = {
            tag: self.tags[tag] * self.bands for tag in (_WIDTH, _TILE_WIDTH) if tag in self.tags
        }
        return self._as_grey() | across

    def _as_grey(self) -> dict[int, Any]:
        layout = {tag: self.tags[tag] for tag in _LAYOUT if tag in self.tags}
        # Pillow reads unsigned 32 bits in one byte order alone, and holds them as signed
        kind = _SIGNED if self.bits == 32 and self.kind == _UNSIGNED else self.kind
        return layout | {_BITS: self.bits, _PHOTOMETRIC: _BLACK_IS_ZERO, _BANDS: 1, _FORMAT: kind}

    def rewritten(self, tags: Tags) -> bytes:
        """The file with a directory of these tags at its end."""
        order = "<" if self.raw[:2] == b"II" else ">"
        start = len(self.raw) + len(self.raw) % 2
        fields = {tag: _packed(order, value) for tag, value in sorted(tags.items())}
        fields = {tag: value for tag, value in fields.items() if value[2]}
        place = start + 2 + 12 * len(fields) + 4
        entries, behind = b"", b""
        for tag, (kind, count, packed) in fields.items():
            inline = packed if len(packed) <= 4 else struct.pack(order + "L", place + len(behind))
            entries += struct.pack(order + "HHL", tag, kind, count) + inline.ljust(4, b"\0")
            behind += packed + b"\0" * (len(packed) % 2) if len(packed) > 4 else b""
        head = self.raw[:2] + struct.pack(order + "HL", 42, start)
        directory = struct.pack(order + "H", len(fields)) + entries + bytes(4) + behind
        return b"".join((head, memoryview(self.raw)[8:], bytes(len(self.raw) % 2), directory))

    def refusal(self) -> DataError:
        return DataError(
            f"it is a TIFF of {self.bands} bands of {self.bits} bits in a layout that can't be "
            "read; save it uncompressed, with bands of 8, 16 or 32 bits"
        )


def _bands(file: _File, name: str) -> Opened:
    """The first three bands, or the first of two, stretched together."""
    used = 3 if file.bands >= 3 else 1
    if file.planar:
        values = np.stack([_values(file, file.band(place), name) for place in range(used)], axis=2)
    else:
        if file.tags.get(_PREDICTOR, 1) != 1 or file.tags.get(_COMPRESSION, 1) not in _OF_BYTES:
            raise file.refusal()
        demand_few(file.width * file.bands, file.height)
        values = _values(file, file.wide(), name)
        values = values.reshape(file.height, file.width, file.bands)[..., :used]
    notes = ["16-bit" if file.bits == 16 else "32-bit"] if file.bits > 8 else []
    if file.bits > 8:
        levels = file.depth.levels(values)
        values = levels.to_bytes(values)
        notes += levels.notes
    picture = pil.fromarray(np.ascontiguousarray(values[..., 0] if used == 1 else values))
    turn = pillow.TURNS.get(file.tags.get(_ORIENTATION, 1))
    return pillow.turned(picture, (*notes, *file.left_out), turn)


def _values(file: _File, tags: Tags, name: str) -> np.ndarray:
    """Values of what is declared as one band, (height, width)."""
    picture = pillow.decoder(file.rewritten(tags), name)
    picture.load()
    values = np.concatenate(list(parts(picture)))
    return values.view(np.uint32) if file.depth.unsigned else values


def _is_band(picture: pil.Image) -> bool:
    """Whether the fourth channel is mostly neither clear nor opaque."""
    if picture.mode != "RGBA":
        return False
    counts = picture.getchannel("A").histogram()
    return 2 * (counts[0] + counts[255]) < sum(counts)


def _tags(raw: bytes) -> Tags:
    """The first directory. Both byte orders, with offsets of 32 or 64 bits."""
    file = io.BytesIO(raw)
    large = 43 in raw[2:4]
    directory = ImageFileDirectory_v2(raw[: 16 if large else 8])
    file.seek(directory.next)
    directory.load(file)
    return {tag: directory[tag] for tag in _USED if tag in directory}


def _packed(order: str, value: Any) -> tuple[int, int, bytes]:
    """A tag's type, count and bytes: as short or long numbers, or as bytes."""
    if isinstance(value, bytes):
        return 7, len(value), value
    values = value if isinstance(value, tuple) else (value,)
    short = all(each < 1 << 16 for each in values)
    kind, letter = (3, "H") if short else (4, "L")
    return kind, len(values), struct.pack(f"{order}{len(values)}{letter}", *values)
