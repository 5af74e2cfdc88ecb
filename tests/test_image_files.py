"""Files of every kind that Pillow reads, and of those that it can't."""

from __future__ import annotations

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import PLAIN, decoded, noise, saved
from PIL import Image as pil

from headstart.errors import DataError
from headstart.modalities.image import Image


def test_cmyk_jpeg() -> None:
    raw = saved(pil.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert Image().check(raw).notes == ("CMYK",)
    red = decoded(raw, 16, 16)[8, 8].astype(int)
    assert red[0] > 245 and red[1] < 10 and red[2] < 10


def test_palette_png() -> None:
    picture = pil.new("RGB", (16, 16), (200, 30, 60))
    raw = saved(picture.convert("P", palette=pil.Palette.ADAPTIVE))
    assert Image().check(raw).notes == ("palette",)
    assert decoded(raw, 16, 16)[3, 3].tolist() == [200, 30, 60]


def test_palette_with_transparent_entries_is_laid_on_white() -> None:
    picture = pil.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 200, 0, 0])
    raw = saved(picture, transparency=b"\xff\x00")
    assert Image().check(raw).notes == ("palette", "alpha")
    assert (decoded(raw, 4, 4) == 255).all()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (0, 0, 0, 0), [255, 255, 255]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("RGBA", (0, 0, 0, 51), [204, 204, 204]),
        ("LA", (0, 0), [255, 255, 255]),
        ("LA", (77, 255), [77, 77, 77]),
    ],
)
def test_alpha_is_laid_on_white(mode: str, colour: tuple[int, ...], expected: list[int]) -> None:
    raw = saved(pil.new(mode, (4, 4), colour))
    assert "alpha" in Image().check(raw).notes
    assert decoded(raw, 4, 4)[0, 0].tolist() == expected


def test_a_colour_declared_transparent_is_laid_on_white() -> None:
    raw = saved(pil.new("RGB", (4, 4), (9, 9, 9)), transparency=(9, 9, 9))
    assert Image().check(raw).notes == ("alpha",)
    assert (decoded(raw, 4, 4) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns(orientation: int) -> None:
    upright = noise(6, 4)
    exif = pil.Exif()
    exif[0x0112] = orientation
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the tag takes back
    stored = upright if orientation == 1 else upright.transpose(pil.Transpose(undo[orientation]))
    raw = saved(stored, exif=exif)
    assert Image().check(raw).notes == (() if orientation == 1 else ("EXIF turn",))
    assert np.array_equal(decoded(raw, 6, 4), np.asarray(upright))


def test_a_broken_exif_block_costs_nothing() -> None:
    raw = saved(noise(8, 8), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 20)
    assert Image().check(raw).problem is None
    assert Image().decode(raw, {**PLAIN, "height": 8, "width": 8}).shape == (3, 8, 8)


def test_16_bit_values_are_scaled_not_clipped() -> None:
    values = np.array([[0, 257, 25700, 65535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        raw = saved(pil.fromarray(values), kind)
        assert Image().check(raw).notes == ("16-bit", "greyscale")
        assert decoded(raw, 4, 1)[0, :, 0].tolist() == [0, 1, 100, 255]


def test_16_bit_colour() -> None:
    row = b"\0" + struct.pack(">3H", 65535, 25700, 0)
    head = struct.pack(">2I5B", 1, 1, 16, 2, 0, 0, 0)
    raw = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in [(b"IHDR", head), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    )
    assert "16-bit" in Image().check(raw).notes
    assert decoded(raw, 1, 1)[0, 0].tolist() == [255, 100, 0]


def test_a_deep_pgm() -> None:
    raw = b"P5 2 1 65535\n" + struct.pack(">2H", 65535, 257 * 7)
    assert decoded(raw, 2, 1)[0, :, 0].tolist() == [255, 7]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.2, 1.0]], np.float32), [0, 51, 255]),
        (np.array([[-10.0, 0.0, 10.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, np.nan, 1.0]], np.float32), [0, 0, 255]),
        (np.array([[0, 100_000, 200_000]], np.int32), [0, 128, 255]),
        (np.array([[7.0, 7.0, 7.0]], np.float32), [0, 0, 0]),
    ],
)
def test_32_bit_values(values: np.ndarray, expected: list[int]) -> None:
    raw = saved(pil.fromarray(values), "TIFF")
    assert Image().check(raw).notes == ("32-bit",)
    assert decoded(raw, 3, 1)[0, :, 0].tolist() == expected


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animated_files_give_their_first_frame(kind: str) -> None:
    frames = [pil.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert "animated" in Image().check(raw).notes
    assert decoded(raw, 8, 8)[4, 4].tolist() == [255, 0, 0]


def test_black_and_white() -> None:
    raw = saved(pil.new("1", (4, 4), 1))
    assert Image().check(raw).notes == ("black and white",)
    assert (decoded(raw, 4, 4) == 255).all()


def test_a_plain_photo_has_no_notes() -> None:
    for kind in ("JPEG", "BMP"):
        check = Image().check(saved(noise(), kind))
        assert check.problem is None and check.notes == ()


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "it is empty"),
        (b"I am no picture.\n", "it is not a picture"),
        (saved(noise(), "JPEG")[:-400], "it can't be decoded"),
        (saved(noise(), "PNG")[:-400], "it can't be decoded"),
        (saved(noise(), "GIF")[:200], "it"),
        (saved(noise(), "TIFF")[:200], "it"),
        (saved(noise(), "BMP")[:200], "it can't be decoded"),
        (saved(noise(), "WEBP", lossless=True)[:200], "it"),
    ],
)
def test_broken_files_are_told(raw: bytes, problem: str) -> None:
    result = Image().check(raw).problem
    assert result is not None and result.startswith(problem)
    with pytest.raises(DataError, match=r"^it "):
        Image().decode(raw, PLAIN)


@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]),
    where=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=8),
    keep=st.floats(0, 1),
)
def test_damage_anywhere_is_told_or_survived(
    kind: str, where: float, junk: bytes, keep: float
) -> None:
    raw = saved(noise(20, 20), kind)
    place = int(where * len(raw))
    raw = (raw[:place] + junk + raw[place + len(junk) :])[: int(keep * len(raw)) + 1]
    check = Image().check(raw)
    if check.problem is None:
        assert Image().decode(raw, PLAIN).shape == (3, 32, 32)
    else:
        with pytest.raises(DataError):
            Image().decode(raw, PLAIN)


def bomb(width: int, height: int) -> bytes:
    head = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + b"\0" * 4


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    assert Image().check(bomb(50_000, 50_000)).problem == "it has more than 178 million pixels"
    assert Image().check(bomb(13_378, 13_377)).problem == "it has more than 178 million pixels"


def test_pillow_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        # half the limit makes Pillow warn; here it only lacks its pixels
        assert "more than" not in str(Image().check(bomb(10_000, 10_000)).problem)
        with ThreadPoolExecutor(4) as pool:
            items = list(pool.map(Image().check, [bomb(9_500, 9_500)] * 6))
        assert all("Bomb" not in str(check.problem) for check in items)
        assert list(warnings.filters) == before


def test_threads_decode_alike() -> None:
    raws = [saved(noise(seed=seed), "JPEG") for seed in range(20)]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(lambda raw: Image().decode(raw, PLAIN), raws))
    assert all(map(np.array_equal, parallel, (Image().decode(raw, PLAIN) for raw in raws)))
