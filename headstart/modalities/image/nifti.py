"""NIfTI volumes of MRI and CT, by nibabel: the middle slice, seen from above the feet.

Only the header and the one slice are read. Extensions of the header, which may hold files of other
kinds, are never looked at.
"""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from PIL import Image as pil

from headstart.errors import DataError
from headstart.modalities.image.depth import Depth, Levels
from headstart.modalities.image.faults import demand_few, missing
from headstart.modalities.image.opened import Opened
from headstart.modalities.image.pillow import turned

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

_GZIP = b"\x1f\x8b"
_LARGEST = 1 << 30  # bytes of an unpacked volume
_HEADERS = {348: 344, 540: 4}  # size of the header in bytes -> where its magic number stands
_MAGICS = (b"n+1\0", b"n+2\0", b"ni1\0", b"ni2\0")


def begins(head: bytes) -> bool:
    """Whether a file, perhaps packed by gzip, begins as NIfTI does."""
    return bool(_magic(_unpacked(head, 540)))


def open_file(raw: bytes, name: str) -> Opened:
    """Open the middle slice across the body, the patient's left on the left, the front on top.

    The volume is first turned to the nearest of right, anterior, superior. Of several volumes it is
    the first. Values are stretched by the header's display range (`cal_min`, `cal_max`) where it
    says one, else as those of any deep picture are. Raises DataError where nibabel is not
    installed, and for volumes of more than 1 GiB.
    """
    try:
        from nibabel.nifti1 import Nifti1Header
        from nibabel.nifti2 import Nifti2Header
    except ImportError:
        raise missing(name, "nibabel", "medical") from None
    head = _unpacked(raw, 540)
    if _magic(head).startswith(b"ni"):
        raise DataError("it is only the header of a NIfTI pair; save both as one .nii file")
    first = _magic(head) == b"n+1\0"
    header = Nifti1Header(head[:348], check=False) if first else Nifti2Header(head, check=False)
    volume = _Volume(header, tuple(map(int, header.get_data_shape())))
    values = volume.middle_slice(raw)
    if values.dtype.names:  # red, green and blue
        picture = pil.fromarray(np.stack([values[each] for each in "RGB"], axis=2))
        return turned(picture, [name, *volume.notes])
    if values.dtype.kind == "c":
        raise DataError("it is a NIfTI volume of complex numbers; save their magnitude")
    low, high = float(header["cal_min"]), float(header["cal_max"])
    levels = Levels(Depth(), low, high) if high > low else Depth().levels(values)
    return turned(pil.fromarray(levels.to_bytes(values)), [name, *volume.notes, *levels.notes])


@final
@dataclass(frozen=True)
class _Volume:
    """A volume whose header was read."""

    header: Nifti1Header
    shape: tuple[int, ...]

    @property
    def notes(self) -> list[str]:
        """What is said of volumes and slices that are not used."""
        several = any(length > 1 for length in self.shape[3:])
        return ["middle slice of the first volume" if several else "middle slice"]

    def middle_slice(self, raw: bytes) -> np.ndarray:
        """Its values as a picture, (height, width)."""
        from nibabel.arrayproxy import ArrayProxy

        shape = (*self.shape, 1, 1, 1)[: max(3, len(self.shape))]
        size = math.prod(shape) * self.header.get_data_dtype().itemsize
        start = int(self.header.get_data_offset())
        if min(shape) < 1 or start < 0:
            raise DataError("it is a NIfTI volume without any voxel")
        if size + start > _LARGEST:
            raise DataError(f"it is a NIfTI volume of more than {_LARGEST >> 20} MiB")
        content = _unpacked(raw, start + size)
        if len(content) < start + size:
            raise DataError(f"it is cut off: {len(content)} of {start + size} bytes are there")
        axes, flipped = self._orientation()
        across = axes.index(2)
        middle = shape[across] // 2
        where: list[Any] = [slice(None)] * 3 + [0] * (len(shape) - 3)
        where[across] = shape[across] - 1 - middle if flipped[across] else middle
        demand_few(*(shape[axis] for axis in range(3) if axis != across))
        values = np.asarray(
            ArrayProxy(io.BytesIO(content), self.header).reshape(shape)[tuple(where)]
        )
        values = values if axes.index(0) < axes.index(1) else values.T
        values = values[::-1] if flipped[axes.index(0)] else values
        values = values[:, ::-1] if flipped[axes.index(1)] else values
        return np.ascontiguousarray(np.rot90(values))

    def _orientation(self) -> tuple[list[int], list[bool]]:
        """For each axis which of right, anterior and superior it is nearest to, and if reversed."""
        from nibabel.orientations import io_orientation

        orientation = io_orientation(self.header.get_best_affine())
        if not np.isfinite(orientation).all():  # an axis without any extent: as it is stored
            return [0, 1, 2], [False] * 3
        return [int(axis) for axis in orientation[:, 0]], [
            bool(way < 0) for way in orientation[:, 1]
        ]


def _magic(head: bytes) -> bytes:
    """What says that it is NIfTI, as one file (n+) or the header of two (ni); empty for others."""
    for size, place in _HEADERS.items():
        if head[:4] in (size.to_bytes(4, "little"), size.to_bytes(4, "big")):
            magic = head[place : place + 4]
            return magic if magic in _MAGICS else b""
    return b""


def _unpacked(raw: bytes, most: int) -> bytes:
    """So many of the first bytes, of a file that may be packed by gzip."""
    if not raw.startswith(_GZIP):
        return raw[:most]
    try:
        return zlib.decompressobj(31).decompress(raw, most)
    except zlib.error:
        return b""
