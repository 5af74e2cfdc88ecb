"""Deep values and bands: 12 to 32 bits, whole or not, with and without nodata, laid out anyhow."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peak_memory import output_of
from pictures import PLAIN, noise, saved, tiff, whole
from PIL import Image as pil

from headstart.modalities.image import Image

RAMP = np.arange(24).reshape(4, 6)


def notes(raw: bytes) -> tuple[str, ...]:
    """What is said of the file, which must be usable."""
    check = Image().check(raw)
    assert check.problem is None
    return check.notes


def stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """What bytes the values are, by plain arithmetic."""
    share = (values.astype(np.float64) - low) / ((high - low) or 1)
    rows: np.ndarray = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
    return rows


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel: Pillow can't write it in colour, so its chunks are."""
    height, width, channels = values.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">2I5B", width, height, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@pytest.mark.parametrize(
    ("most", "bits"),
    [(255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14)],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "colour PNG", "colour TIFF"])
def test_16_bit_files_are_stretched_by_the_fewest_bits_that_hold_them(
    kind: str, most: int, bits: int
) -> None:
    values = np.linspace(0, most, 24).astype(np.uint16).reshape(4, 6)
    colours = np.stack([values, values[::-1], values[:, ::-1]], axis=2)
    if kind == "colour PNG":
        raw, expected = deep_png(colours), stretched(colours, 0, 2**bits - 1)
    elif kind == "colour TIFF":
        raw, expected = tiff(colours, t262=(2,)), stretched(colours, 0, 2**bits - 1)
    else:
        raw, expected = saved(pil.fromarray(values), kind), stretched(values, 0, 2**bits - 1)
    assert np.array_equal(whole(raw), expected)
    assert f"{bits}-bit values" in notes(raw) and "16-bit" in notes(raw)


@pytest.mark.parametrize("most", [16384, 65535])
def test_16_bits_in_full_are_said_to_be_nothing_else(most: int) -> None:
    values = np.linspace(0, most, 24).astype(np.uint16).reshape(4, 6)
    raw = saved(pil.fromarray(values), "PNG")
    assert np.array_equal(whole(raw), stretched(values, 0, 65535))
    assert notes(raw) == ("16-bit", "greyscale")


@given(st.integers(1, 65535), st.integers(0, 2**32))
def test_the_same_values_give_the_same_bytes_in_every_container(most: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, most, (3, 5), np.uint16, endpoint=True)
    grey = [saved(pil.fromarray(values), kind) for kind in ("PNG", "TIFF")]
    orders: tuple[Literal["<", ">"], ...] = "<", ">"
    grey += [tiff(values[..., None], order) for order in orders]
    results = [whole(raw) for raw in grey]
    assert all(np.array_equal(one, results[0]) for one in results)


def test_a_part_is_stretched_as_the_whole_is() -> None:
    values = np.zeros((40, 1200), np.uint16)
    values[:, -1] = 4095  # beyond what is kept of so long a picture
    values[:, 600] = 1000
    item = Image().decode(saved(pil.fromarray(values)), {**PLAIN, "interpolation": "nearest"})
    assert item.max() in (0, 62)  # 1000 of 4095, not of 1023
    views = [
        Image().decode(saved(pil.fromarray(values)), PLAIN, np.random.default_rng(n)).max()
        for n in range(8)
    ]
    assert max(views) <= 62


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.uint16, 0, 4095), (np.float32, 0.0, 2300.0), (np.uint8, 0, 255)],
)
def test_where_white_is_zero_values_are_turned(
    dtype: Any, low: float, high: float, order: Literal["<", ">"]
) -> None:
    values: np.ndarray = (RAMP * 100 if dtype is not np.uint8 else RAMP).astype(dtype)
    raw = tiff(values[..., None], order, t262=(0,))
    assert np.array_equal(whole(raw), 255 - stretched(values, low, high))


@pytest.mark.parametrize("order", ["<", ">"])
def test_unsigned_32_bits_do_not_wrap(order: Literal["<", ">"]) -> None:
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    raw = tiff(values[..., None], order)
    assert whole(raw).tolist() == [[0, 128, 255]]
    assert notes(raw) == ("32-bit",)


@pytest.mark.parametrize(
    ("values", "nodata", "expected"),
    [
        (np.array([[-9999, 10, 15, 20]], np.float32), b"-9999\0", [[0, 0, 128, 255]]),
        (np.array([[np.nan, 10, 15, 20]], np.float32), b"nan\0", [[0, 0, 128, 255]]),
        (np.array([[np.inf, 10, 15, 20]], np.float32), b"", [[0, 0, 128, 255]]),
        (
            np.array([[-3.4028235e38, 10, 15, 20]], np.float32),
            b"-3.4028234663852886e+38\0",
            [[0, 0, 128, 255]],
        ),
        (np.array([[65535, 0, 2048, 4095]], np.uint16), b"65535\0", [[0, 0, 128, 255]]),
        (np.array([[-32768, -100, 0, 100]], np.int16), b"-32768\0", [[0, 0, 128, 255]]),
        (np.array([[1, 1, 1, 1]], np.float32), b"1\0", [[0, 0, 0, 0]]),
        (np.array([[1, 2, 3, 4095]], np.uint16), b"none of the kind\0", [[0, 0, 0, 255]]),
    ],
)
def test_values_that_stand_for_none_do_not_stretch_and_are_black(
    values: np.ndarray, nodata: bytes, expected: list[list[int]]
) -> None:
    assert whole(tiff(values[..., None], t42113=nodata)).tolist() == expected


BANDS = np.random.default_rng(0).integers(0, 200, (5, 7, 5))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.int32, np.float32])
def test_bands_that_are_no_colours_give_the_first_three(
    dtype: Any, bands: int, order: Literal["<", ">"], planar: bool
) -> None:
    values = (BANDS[..., :bands] * {np.uint8: 1, np.int16: 160}.get(dtype, 320)).astype(dtype)
    raw = tiff(values, order, planar, t338=(0,) * (bands - 1))
    used = values[..., :3] if bands >= 3 else values[..., 0]
    low, high = 0.0, 255.0 if dtype is np.uint8 else 65535.0
    if dtype is np.float32:
        low, high = float(used.min()), float(used.max())
    rows = whole(raw).astype(int)
    # of colours with 16 bits in full, Pillow cuts the lower 8 off
    assert np.abs(rows - stretched(used, low, high)).max() <= (dtype is np.uint16 and bands >= 3)
    left_out = {2: "first 1 of 2 bands", 4: "first 3 of 4 bands", 5: "first 3 of 5 bands"}
    if bands in left_out and not (dtype is np.uint8 and bands == 2):
        assert left_out[bands] in notes(raw)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_compressed_bands(compression: str) -> None:
    """One wide picture of Pillow's is, byte for byte, the bands of one a fifth as wide."""
    values = np.ascontiguousarray(BANDS.astype(np.uint16) * 300)
    file = pil.open(io.BytesIO(saved(pil.fromarray(values.reshape(5, 35)), "TIFF")))
    raw = saved(file, "TIFF", compression=compression)
    changed = pil.open(io.BytesIO(raw)).tag_v2  # type: ignore[attr-defined]
    strip, size = (changed[tag][0] for tag in (273, 279))
    code = (changed[259],)
    body = raw[strip : strip + size]
    tags: dict[str, Any] = {"t259": code, "t279": (size,), "t338": (0,) * 4}
    again = tiff(values, t273=(len(tiff(values, **tags)),), **tags) + body
    assert np.array_equal(whole(again), stretched(values[..., :3], 0, 65535))


def test_bands_in_an_unreadable_layout_are_told() -> None:
    raw = tiff(BANDS.astype(np.float64))
    problem = Image().check(raw).problem
    assert problem == (
        "it is a TIFF of 5 bands of 64 bits in a layout that can't be read; "
        "save it uncompressed, with bands of 8, 16 or 32 bits"
    )


GEO: dict[str, Any] = {"t33550": (10, 10, 0), "t34735": (1, 1, 0, 0)}


@pytest.mark.parametrize("extra", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_fourth_band_of_a_geotiff_is_no_transparency(dtype: Any, extra: int) -> None:
    values: np.ndarray = BANDS[..., :4].astype(dtype)
    raw = tiff(values, t262=(2,), t338=(extra,), **GEO)
    assert np.array_equal(whole(raw), values[..., :3].astype(np.uint8))
    assert "first 3 of 4 bands" in notes(raw) and "alpha" not in notes(raw)


def test_without_places_a_fourth_band_of_declared_numbers_is_judged_by_what_it_holds() -> None:
    values = BANDS[..., :4].astype(np.uint8)
    assert np.array_equal(whole(tiff(values, t262=(2,), t338=(2,))), values[..., :3])
    mask = values.copy()
    mask[..., 3] = np.where(np.arange(7) < 3, 0, 255)
    result = whole(tiff(mask, t262=(2,), t338=(2,)))
    assert (result[:, :3] == 255).all() and np.array_equal(result[:, 3:], values[:, 3:, :3])


def test_real_transparency_of_a_tiff_stays() -> None:
    half = pil.new("RGBA", (4, 4), (0, 0, 0, 51))
    assert (whole(saved(half, "TIFF")) == 204).all()


def test_declared_12_bits_count_though_fewer_are_used() -> None:
    packed = bytes([0x10, 0x00, 0x00])  # two values of 12 bits: 0x100 and 0
    raw = tiff(np.zeros((1, 3, 1), np.uint8), t256=(2,), t258=(12,))
    raw = raw[:8] + packed + raw[11:]
    assert whole(raw).tolist() == [[16, 0]]  # 256 of 4095
    assert "12-bit values" in notes(raw)


def test_turned_bands() -> None:
    values = BANDS.astype(np.uint16) * 300
    upright = whole(tiff(values, t338=(0,) * 4))
    turned = whole(tiff(values, t338=(0,) * 4, t274=(6,)))
    assert np.array_equal(turned, np.rot90(upright, -1))


def test_transparency_of_16_bit_colours_stays() -> None:
    values = np.full((2, 3, 4), 2048, np.uint16)
    values[..., 3] = 0
    assert (whole(deep_png(values)) == 255).all()
    values[..., 3] = 65535
    assert (whole(deep_png(values)) == 128).all()


@pytest.mark.slow
def test_100_megapixels_of_16_bits_fit_into_a_gibibyte(tmp_path: Path) -> None:
    """Peak memory beyond the file's own bytes, measured in a fresh process."""
    path = tmp_path / "large.tif"
    values = np.zeros((10_000, 10_000, 1), np.uint16)
    values[::7] = 4095
    path.write_bytes(tiff(values))
    code = (
        "import pathlib; from headstart.modalities.image import Image\n"
        "from pictures import PLAIN\n"
        "import numpy as np\n"
        f"raw = pathlib.Path({str(path)!r}).read_bytes()\n"
        "before = peak()\n"
        "assert Image().check(raw).problem is None\n"
        "Image().decode(raw, {**PLAIN, 'height': 224, 'width': 224})\n"
        "Image().decode(raw, {**PLAIN, 'height': 224, 'width': 224}, np.random.default_rng(0))\n"
        "print((peak() - before) // 1024)\n"
    )
    assert int(output_of(code)) < 900


def test_what_is_deep_is_noted_once_and_nothing_else_is() -> None:
    assert notes(tiff(RAMP.astype(np.int16)[..., None])) == ("16-bit", "8-bit values")
    assert notes(saved(noise(), "TIFF")) == ()
    shallow = [
        saved(noise(seed=seed), kind, **options)
        for seed in range(40)
        for kind, options in (("JPEG2000", {}), ("TIFF", {"compression": "tiff_lzw"}))
    ]  # some of their lengths and offsets hold the digits 16
    assert {notes(raw) for raw in shallow} == {()}


def test_a_damaged_tag_that_nothing_needs_costs_nothing() -> None:
    raw = tiff(RAMP.astype(np.uint8)[..., None], t305=b"a tool of unknown make\0", t33432=b"mine\0")
    broken = raw.replace(struct.pack("<HHL", 305, 2, 23), struct.pack("<HHL", 305, 2, 2**31))
    assert broken != raw
    assert np.array_equal(whole(broken), RAMP)
