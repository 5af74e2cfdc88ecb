"""Which files are pictures, by content; and that each is seen by its own decoder alone."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import PLAIN, decoded, difference, noise, photo, saved, tiff, whole
from PIL import Image as pil

from headstart.data import find_inputs
from headstart.data.dataset import load
from headstart.data.schema import Schema
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.modalities.image.opening import HEAD
from headstart.modalities.text import Text

WRITTEN: dict[str, dict[str, Any]] = {  # Pillow's name of a format, and how to write it losslessly
    "PNG": {},
    "GIF": {},
    "TIFF": {},
    "BMP": {},
    "PPM": {},
    "PCX": {},
    "TGA": {},
    "SGI": {},
    "QOI": {},
    "ICO": {"sizes": [(40, 30)]},
    "WEBP": {"lossless": True},
    "JPEG2000": {"irreversible": False},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "JPEG": {"quality": 100, "subsampling": 0},
}
LOSSY = {"AVIF": 2.0, "JPEG": 2.0, "GIF": 100.0}  # levels off, on average


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_format_is_recognised_and_decoded(kind: str) -> None:
    picture = noise()
    raw = saved(picture, kind, **WRITTEN[kind])
    assert Image().recognises(raw[:HEAD])
    assert Image().check(raw).problem is None
    assert difference(whole(raw), np.asarray(picture)) <= LOSSY.get(kind, 0)
    assert decoded(raw, 40, 30).shape == (30, 40, 3)


@pytest.mark.parametrize(
    "name",
    [
        *("a.jfif", "a.avif", "a.jp2", "a.webp", "a.tiff", "a.bmp", "a.gif", "a.ppm", "a", "1234"),
        *("A.JPG", "a.JFIF", "a.Png", "a.unknown", "a.jpg.part", "photo.2024-01-01", "a.png~"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "AVIF", "JPEG2000"])
def test_a_picture_counts_whatever_its_name(kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(saved(noise(), kind))
    assert find_inputs([tmp_path], Image()) == [tmp_path / name]


NO_PICTURES = {
    "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "desktop.ini": b"[.ShellClassInfo]\r\nIconResource=a.dll\r\n",
    "notes": b"BMW cars, 12 of them, photographed in spring.\n",
    "readme.md": b"P5 stands for a format. P6 too.\n",
    "labels.json": b'{"a.png": 1}',
    "empty": b"",
    "page.html": b"<html><img src=a.png></html>",
    "clip.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99),
    "sound.wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(99),
    "drawing.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "paper": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "model.bin": np.arange(300, dtype=np.int32).tobytes(),
    "weights": np.linspace(-1, 1, 300, dtype=np.float32).tobytes(),
    "archive.gz": b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x4c\x04\0\0",
    "data.h5": b"\x89HDF\r\n\x1a\n" + bytes(600),
    "sky.fits": b"SIMPLE  =                    T" + b" " * 600,
    "drawing.wmf": b"\xd7\xcd\xc6\x9a" + bytes(600),
    "list.dcm.txt": b"1.dcm\n2.dcm\n" * 20,
}


@pytest.mark.parametrize("name", NO_PICTURES)
def test_other_files_do_not_count(name: str) -> None:
    assert not Image().recognises(NO_PICTURES[name][:HEAD])
    assert Image().check(NO_PICTURES[name]).problem is not None


def test_other_files_in_a_class_are_counted_as_such(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for n in range(10):
            (tmp_path / label / f"{n}").write_bytes(saved(noise(seed=n + 100 * (label == "b"))))
    for name, raw in NO_PICTURES.items():
        (tmp_path / "a" / name).write_bytes(raw)
    os.mkfifo(tmp_path / "a" / "pipe")
    dataset = load(tmp_path, Image(), Schema())
    assert len(dataset.items) == 20
    assert dataset.report.notes["other file"] >= len(NO_PICTURES)


def test_a_wrong_suffix_costs_nothing_and_a_text_called_a_picture_is_told(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for n in range(10):
            path = tmp_path / label / f"{n}.jpg"
            path.write_bytes(saved(noise(seed=n + 100 * (label == "b")), "PNG"))
    (tmp_path / "a" / "x.jpg").write_text("a text")
    dataset = load(tmp_path, Image(), Schema())
    assert len(dataset.items) == 20
    assert dataset.report.skipped == (("a/x.jpg", "it is not a picture"),)


def test_pictures_among_texts_do_not_count_as_texts(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(saved(noise()))
    (tmp_path / "b.txt").write_text("words")
    assert find_inputs([tmp_path], Text()) == [tmp_path / "b.txt"]
    assert find_inputs([tmp_path], Image()) == [tmp_path / "a"]


def test_only_the_first_bytes_of_unknown_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    recognises = Image.recognises

    def counted(self: Image, head: bytes) -> bool:
        sizes.append(len(head))
        return recognises(self, head)

    monkeypatch.setattr(Image, "recognises", counted)
    (tmp_path / "large").write_bytes(saved(photo(400, 300)))
    (tmp_path / "known.png").write_bytes(saved(noise()))
    assert len(find_inputs([tmp_path], Image())) == 2
    assert sizes == [HEAD]


@pytest.mark.slow
def test_100_000_files_without_a_suffix_are_found_in_linear_time(tmp_path: Path) -> None:
    raw = saved(pil.new("L", (1, 1)))
    for n in range(100_000):
        (tmp_path / f"{n:06}").write_bytes(raw)
    assert len(find_inputs([tmp_path], Image())) == 100_000


POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n"
    b"(hit) print showpage\n%%EOF\n"
)
STRANGE = {
    "PostScript": POSTSCRIPT,
    "PostScript with a preview": b"\xc5\xd0\xd3\xc6" + (32).to_bytes(4, "little") * 7 + POSTSCRIPT,
    "a PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
    "a drawing in SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a Windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(100),
}


@pytest.mark.parametrize("name", STRANGE)
def test_no_program_is_started_and_no_other_decoder_imported(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*given: object, **options: object) -> None:
        raise AssertionError(f"{given} was started")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    monkeypatch.setattr(os, "system", forbidden)
    monkeypatch.setattr(pil, "init", forbidden)
    problem = Image().check(STRANGE[name]).problem
    assert problem == f"it is not a picture but {name.partition(' with')[0]}; save it as PNG"
    with pytest.raises(DataError, match="not a picture"):
        Image().decode(STRANGE[name], PLAIN)


def test_decoders_that_no_picture_needs_are_never_imported() -> None:
    """In a fresh process, after a file of every kind, sound, damaged, and of other kinds."""
    raws = [saved(noise(), kind, **options) for kind, options in WRITTEN.items()]
    raws += [raw[: len(raw) // 2] for raw in raws] + list(STRANGE.values())
    raws += [*NO_PICTURES.values(), tiff(np.zeros((3, 4, 5), np.uint16))]
    code = (
        "import sys; from headstart.modalities.image import Image\n"
        f"for raw in {raws!r}: Image().check(raw)\n"
        "print(*sorted(n for n in sys.modules if n.startswith('PIL.') and 'ImagePlugin' in n))"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=code, capture_output=True, text=True, check=True
    )
    names = {name.removeprefix("PIL.").removesuffix("ImagePlugin") for name in done.stdout.split()}
    expected = {"Avif", "Bmp", "Gif", "Ico", "Jpeg", "Jpeg2K", "Pcx", "Png", "Ppm", "Qoi", "Sgi"}
    assert names <= expected | {"Tga", "Tiff", "WebP", "Mpo", "Psd"}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_file_that_is_cut_off_is_told(kind: str) -> None:
    raw = saved(photo(80, 60), kind, **({} if kind == "ICO" else WRITTEN[kind]))
    problem = Image().check(raw[: len(raw) * 2 // 3]).problem
    assert problem is not None and problem.startswith("it ") and "\n" not in problem


@given(head=st.binary(max_size=HEAD))
def test_recognising_never_fails(head: bytes) -> None:
    assert Image().recognises(head) in (True, False)


def test_an_icon_that_hides_a_bomb_is_refused() -> None:
    head = struct.pack(">2I5B", 50_000, 50_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head
    png += struct.pack(">I", zlib.crc32(b"IHDR" + head)) + bytes(4) + b"IDAT" + bytes(4)
    icon = struct.pack("<3H4B2H2I", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(png), 22) + png
    assert Image().check(icon).problem == "it has more than 178 million pixels"


def test_a_tiff_that_claims_a_huge_size_is_refused_by_its_header() -> None:
    claims: dict[str, Any] = {"t256": (60_000,), "t257": (60_000,)}
    for values in (np.zeros((2, 2, 1), np.uint8), np.zeros((2, 2, 5), np.uint16)):
        assert (
            Image().check(tiff(values, **claims)).problem == "it has more than 178 million pixels"
        )


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "JPEG"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_turns_are_made_once_in_every_format(kind: str, orientation: int) -> None:
    upright = photo(48, 32)
    undo = {3: 3, 6: 2, 8: 4}
    exif = pil.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(pil.Transpose(undo[orientation])) if orientation > 1 else upright
    raw = saved(stored, kind, exif=exif, **WRITTEN[kind])
    assert whole(raw).shape == (32, 48, 3)
    assert difference(whole(raw), np.asarray(upright)) <= 3


def test_inverted_cmyk_of_adobe() -> None:
    """Pillow writes CMYK JPEGs as Adobe does, inverted; a marker says so."""
    picture = pil.new("CMYK", (16, 16), (255, 0, 0, 0))
    raw = saved(picture, "JPEG", quality=100)
    assert b"Adobe" in raw
    assert np.abs(whole(raw)[8, 8].astype(int) - [0, 255, 255]).max() < 6
    assert np.array_equal(whole(saved(picture, "TIFF"))[8, 8], [0, 255, 255])


def test_a_float_map_and_a_deep_ppm() -> None:
    raw = b"Pf\n2 1\n-1.0\n" + np.array([0.25, 1.0], np.float32).tobytes()
    assert whole(raw).tolist() == [[64, 255]]
    assert whole(b"P6 1 1 4095\n" + np.array([4095, 0, 2048], ">u2").tobytes()).tolist() == [
        [[255, 0, 128]]
    ]


def test_comments_in_a_ppm() -> None:
    raw = b"P5\n# CREATOR: some tool, version 1.1\n2 1\n255\n\x07\x09"
    assert Image().recognises(raw)
    assert whole(raw).tolist() == [[7, 9]]


def test_frames_beside_the_first_are_left_alone() -> None:
    frames = [pil.new("L", (8, 6), level) for level in (10, 200)]
    raw = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert Image().check(raw).notes == ("greyscale", "animated")
    assert (whole(raw) == 10).all()
    assert io.BytesIO(raw).read(4) == b"II*\0"
