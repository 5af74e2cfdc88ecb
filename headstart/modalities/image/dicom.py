"""DICOM pictures of X-ray, CT, MRI, ultrasound and others, by pydicom: the first frame.

What a viewer would show: rescaled to the modality's unit, through the file's window where it has
one, and with 0 as black.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image as pil

from headstart.errors import DataError
from headstart.modalities.image.depth import Depth, Levels, ends, parts
from headstart.modalities.image.faults import demand_few, missing
from headstart.modalities.image.opened import Opened
from headstart.modalities.image.pillow import load_plugin, turned

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE = 128
_LARGEST = 1 << 30  # bytes of an unpacked file
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_TYPES = set(
    "AE AS AT CS DA DS DT FL FD IS LO LT OB OF OW PN SH SL SQ SS ST TM UI UL UN US".split()
)
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_LIFTED = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
Tone = Callable[[np.ndarray], np.ndarray]


def begins(head: bytes) -> bool:
    """Whether it is DICOM: by its preamble, or as it begins with an element of group 2 or 8."""
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    if len(head) < _PREAMBLE:
        return False
    order: Literal["little", "big"] = "little" if head[1] == 0 else "big"
    group, element = (int.from_bytes(head[n : n + 2], order) for n in (0, 2))
    if group not in (2, 8) or element > 0x100:
        return False
    if head[4:6].decode("latin-1") in _TYPES:
        return True
    length = int.from_bytes(head[4:8], order)
    return 0 < length <= 64 and length % 2 == 0 and (element > 0 or length == 4)


def open_file(raw: bytes, name: str) -> Opened:
    """Open the first frame.

    Raises DataError where pydicom is not installed, for files without pixels, and for compressions
    that no installed library knows.
    """
    try:
        from pydicom import dcmread
        from pydicom.pixels.processing import apply_color_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError:
        raise missing(name, "pydicom", "medical") from None
    load_plugin("JPEG")
    load_plugin("JPEG2000")  # else Pillow would import all it has
    _demand_unpackable(raw)
    data = dcmread(io.BytesIO(raw), force=True)
    if not any(each in data for each in _PIXELS) or not data.get("Rows"):
        raise DataError("it is DICOM without a picture, such as a report or a plan")
    demand_few(int(data.Rows), int(data.Columns))
    _complete(data)
    try:
        values = pixel_array(data, index=0)
    except Exception as error:
        raise _undecoded(data, error) from error
    kind = str(data.PhotometricInterpretation)
    notes = [
        name,
        *(["first of several frames"] if int(data.get("NumberOfFrames") or 1) > 1 else []),
    ]
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, data)
        return turned(_colours(values, 8 * values.itemsize), [*notes, "palette"])
    if values.ndim == 3:
        return turned(_colours(values, int(data.BitsStored)), notes)
    return _grey(values, data, [*notes, "greyscale"])


def _grey(values: np.ndarray, data: Dataset, notes: list[str]) -> Opened:
    """By the window, the first of several; without one from the least value to the largest.

    Values that stand for none (`PixelPaddingValue`) don't count for the latter, and are black.
    """
    inverted = data.PhotometricInterpretation == "MONOCHROME1"
    rescaled, tones = _tones(data)
    blocks = []
    padding = data.get("PixelPaddingValue")
    if tones is not None:
        with np.errstate(over="ignore"):
            low, high = (float(end) for end in tones(np.array([-1e30, 1e30])))
        notes.append("window")
    else:
        real = (
            part[part != padding] if isinstance(padding, int) else part for part in parts(values)
        )
        low, high = ends(map(rescaled, real)) or (0.0, 0.0)
    levels = Levels(Depth(inverted=inverted), low, high)
    for part in parts(values):
        changed = rescaled(part)
        pixels = levels.to_bytes(changed if tones is None else tones(changed))
        if tones is None and isinstance(padding, int):
            pixels[part == padding] = 0
        blocks.append(pixels)
    notes += ["0 is white"] if inverted else []
    return turned(pil.fromarray(np.concatenate(blocks)), notes)


def _tones(data: Dataset) -> tuple[Tone, Tone | None]:
    """What makes stored values the modality's, and what makes those the shown ones, if anything."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    def rescaled(values: np.ndarray) -> np.ndarray:
        return np.asarray(apply_modality_lut(values, data))

    def shown(values: np.ndarray) -> np.ndarray:
        return np.asarray(apply_voi_lut(values, data, index=0, prefer_lut=False))

    return rescaled, shown if _has_window(data) else None


def _has_window(data: Dataset) -> bool:
    """Whether its first window can be applied."""
    try:
        centre, width = (
            float(np.atleast_1d(data.get(name))[0]) for name in ("WindowCenter", "WindowWidth")
        )
    except (TypeError, ValueError, IndexError):
        return False
    exact = str(data.get("VOILUTFunction") or "LINEAR").upper() != "LINEAR"
    return bool(np.isfinite(centre)) and (width > 0 if exact else width > 1)


def _colours(values: np.ndarray, bits: int) -> pil.Image:
    """Red, green and blue of so many bits, (height, width, 3)."""
    if values.dtype != np.uint8 or bits != 8:
        values = Levels(Depth(), 0.0, 2.0**bits - 1).to_bytes(values)
    return pil.fromarray(np.ascontiguousarray(values[..., :3]))


def _complete(data: Dataset) -> None:
    """Say what files without a header leave out, and take what is said of the first frame alone."""
    if "TransferSyntaxUID" not in data.file_meta:
        from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

        implicit, little = data.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in (data.get(groups) or [])[:1]:
            for item in (each for name in _LIFTED for each in (group.get(name) or [])[:1]):
                data.update({element.tag: element for element in item if element.tag not in data})


def _undecoded(data: Dataset, error: Exception) -> DataError:
    """Why pixels can't be decoded, in a sentence."""
    syntax = data.file_meta.TransferSyntaxUID
    lines = str(error).splitlines() or [type(error).__name__]
    if "missing dependencies" in str(error) or "does not support" in str(error):
        return DataError(
            f"it is DICOM compressed as {syntax.name}, whose decoder is not installed; "
            "run: pip install pylibjpeg pylibjpeg-libjpeg, or save it uncompressed"
        )
    if "less than expected" in lines[0]:
        return DataError("it is cut off: fewer pixels are there than its header says")
    last = lines[-1].strip().removeprefix("pillow: ").rstrip(".")
    return DataError(f"it can't be decoded: {last}")


def _demand_unpackable(raw: bytes) -> None:
    """Refuse a deflated file that would fill the memory; pydicom inflates it as a whole."""
    head = raw[_PREAMBLE : _PREAMBLE + 4 + 12]
    if not head.startswith(b"DICM\2\0\0\0UL") or _DEFLATED not in raw[:2048]:
        return
    start = _PREAMBLE + len(head) + int.from_bytes(head[12:16], "little")
    inflating = zlib.decompressobj(-15)
    rest, size = raw[start:], 0
    while rest and not inflating.eof:
        size += len(inflating.decompress(rest, 1 << 24))
        rest = inflating.unconsumed_tail
        if size > _LARGEST:
            raise DataError(f"it unpacks to more than {_LARGEST >> 20} MiB")
