"""Which files are pictures, by their first bytes, and what opens each kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from headstart.errors import DataError
from headstart.modalities.image import dicom, heif, nifti, pillow, tiff
from headstart.modalities.image.faults import telling
from headstart.modalities.image.opened import Opened

Head = bytes  # of a file: at most 1024 bytes
HEAD: Final = 1024
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_NETPBM = re.compile(rb"P[1-6]\s+(#[^\n]*\s+)*\d+\s+(#[^\n]*\s+)*\d+\s|P[fF]\s+\d+\s+\d+\s")


@final
@dataclass(frozen=True)
class Format:
    """A kind of picture file: its name, the usual suffixes, how it begins, and what opens it."""

    name: str
    suffixes: str
    begins: Callable[[Head], bool]
    open_file: Callable[[bytes, str], Opened] = pillow.open_file


def open_picture(raw: bytes) -> Opened:
    """Open a picture by its header. Raises DataError saying why it can't be decoded."""
    if not raw:
        raise DataError("it is empty")
    with telling():
        head = raw[:HEAD]
        for kind in FORMATS:
            if kind.begins(head):
                return kind.open_file(raw, kind.name)
    raise DataError(f"it is not a picture{_instead(head)}")


def is_picture(head: Head) -> bool:
    """Whether a file that begins so is a picture of a kind that is read here."""
    return any(kind.begins(head) for kind in FORMATS)


def _instead(head: Head) -> str:
    """What it is, where people take that for a picture."""
    text = head.lstrip()
    for begins, name in _OTHERS.items():
        if text.startswith(begins):
            return f" but {name}; save it as PNG"
    return ""


def _starts(*signatures: bytes) -> Callable[[Head], bool]:
    return lambda head: head.startswith(signatures)


def _brands(head: Head) -> set[bytes]:
    """Of a file in boxes, as MP4 has them: what it says it is, and is compatible with."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[place : place + 4] for place in (8, *range(16, end - 3, 4))}


def _is_heif(head: Head) -> bool:
    coded = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
    return bool(_brands(head) & (coded | {b"mif1", b"msf1"}))


def _is_bitmap(head: Head) -> bool:
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS


def _is_icon(head: Head) -> bool:
    return head.startswith(b"\0\0\1\0") and 0 < int.from_bytes(head[4:6], "little") < 64


def _is_pcx(head: Head) -> bool:
    return len(head) >= 128 and head[0] == 10 and head[1] in (0, 2, 3, 5) and head[2] == 1


def _is_sgi(head: Head) -> bool:
    return (
        head.startswith(b"\1\xda") and head[2:3] in (b"\0", b"\1") and head[3:4] in (b"\1", b"\2")
    )


def _is_targa(head: Head) -> bool:
    """It has no signature: a plausible header, where a colour map is said to be if one is."""
    if len(head) < 18 or head[1] > 1 or head[2] not in (1, 2, 3, 9, 10, 11):
        return False
    mapped = head[2] in (1, 9)
    plausible = head[1] == 1 if mapped else head[1] == 0 and not any(head[3:8])
    return plausible and head[16] in (8, 16, 24, 32) and any(head[12:14]) and any(head[14:16])


_OTHERS = {
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "a PDF",
    b"<svg": "a drawing in SVG",
    b"\xd7\xcd\xc6\x9a": "a Windows metafile",
}
FORMATS: Final = (  # the first that fits; DICOM may begin as any other does, and NIfTI too
    Format("DICOM", ".dcm .dicom .ima", dicom.begins, dicom.open_file),
    Format("NIfTI", ".nii", nifti.begins, nifti.open_file),
    Format("JPEG", ".jpg .jpeg .jpe .jfif .pjpeg .pjp .mpo", _starts(b"\xff\xd8\xff")),
    Format("PNG", ".png .apng", _starts(b"\x89PNG\r\n\x1a\n")),
    Format("GIF", ".gif", _starts(b"GIF87a", b"GIF89a")),
    Format("WEBP", ".webp", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    Format(
        "TIFF",
        ".tif .tiff",
        _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0"),
        tiff.open_file,
    ),
    Format("BMP", ".bmp .dib", _is_bitmap),
    Format("AVIF", ".avif .avifs", lambda head: bool(_brands(head) & {b"avif", b"avis"})),
    Format("HEIF", ".heic .heif .hif", _is_heif, heif.open_file),
    Format(
        "JPEG2000",
        ".jp2 .j2k .jpf .jpx .j2c .jpc",
        _starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    ),
    Format("PPM", ".ppm .pgm .pbm .pnm .pfm", lambda head: _NETPBM.match(head) is not None),
    Format("ICO", ".ico", _is_icon),
    Format("QOI", ".qoi", _starts(b"qoif")),
    Format("PSD", ".psd", _starts(b"8BPS\0\1")),
    Format("PCX", ".pcx", _is_pcx),
    Format("SGI", ".sgi", _is_sgi),
    Format("TGA", ".tga", _is_targa),
)
SUFFIXES: Final = frozenset(suffix for kind in FORMATS for suffix in kind.suffixes.split())
