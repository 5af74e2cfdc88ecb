"""Pictures of every kind that Pillow reads, and of those that it can't."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil
from timm.data import create_transform

from headstart.errors import DataError
from headstart.modalities.image import Image

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PLAIN = {
    "channels": 3,
    "height": 32,
    "width": 32,
    "crop": 1.0,
    "crop_mode": "center",
    "interpolation": "bilinear",
    **IMAGENET,
}


def noise(width: int = 40, height: int = 30, seed: int = 0) -> pil.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return pil.fromarray(pixels)


def saved(picture: pil.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def as_is(picture: pil.Image, channels: int = 3) -> dict[str, Any]:
    """Preprocessing that leaves a picture's size alone."""
    return {**PLAIN, "channels": channels, "width": picture.width, "height": picture.height}


def decoded(raw: bytes, width: int, height: int, channels: int = 3) -> np.ndarray:
    settings = {**PLAIN, "width": width, "height": height, "channels": channels}
    return Image().decode(raw, settings).transpose(1, 2, 0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(
    ("mode", "crop", "size"),
    [
        ("center", 0.875, (224, 224)),
        ("center", 0.95, (96, 160)),
        ("center", 1.0, (33, 33)),
        ("squash", 0.9, (64, 48)),
        ("border", 1.0, (100, 60)),
        ("border", 0.9, (64, 64)),
    ],
)
def test_decodes_like_timm_to_the_bit(
    mode: str, crop: float, size: tuple[int, int], interpolation: str
) -> None:
    theirs = create_transform(
        (3, *size), crop_pct=crop, crop_mode=mode, interpolation=interpolation, **IMAGENET
    )
    ours = {**PLAIN, "height": size[0], "width": size[1], "crop": crop, "crop_mode": mode}
    ours["interpolation"] = interpolation
    for width, height in [(500, 333), (231, 400), (57, 91), (224, 224)]:
        picture = noise(width, height)
        item = Image().decode(saved(picture), ours)
        assert item.dtype == np.uint8
        assert torch.equal(Image().collate([item], ours)[0], theirs(picture))


def test_decodes_a_real_photo_like_timm(shared_data: Path) -> None:
    raw = (shared_data / "images" / "parrot.jpg").read_bytes()
    theirs = create_transform((3, 224, 224), crop_pct=0.875, interpolation="bicubic", **IMAGENET)
    ours = {**PLAIN, "height": 224, "width": 224, "crop": 0.875, "interpolation": "bicubic"}
    expected = theirs(pil.open(io.BytesIO(raw)).convert("RGB"))
    assert torch.equal(Image().collate([Image().decode(raw, ours)], ours)[0], expected)


def test_a_picture_of_the_target_size_is_not_resampled() -> None:
    grey = noise(8, 8).convert("L")
    assert np.array_equal(decoded(saved(grey), 8, 8, channels=1)[..., 0], np.asarray(grey))
    assert np.array_equal(decoded(saved(noise(8, 8)), 8, 8), np.asarray(noise(8, 8)))


@given(
    width=st.integers(1, 80),
    height=st.integers(1, 80),
    target=st.tuples(st.integers(1, 48), st.integers(1, 48)),
    crop=st.floats(0.3, 1.0),
    mode=st.sampled_from(["center", "squash", "border"]),
    channels=st.sampled_from([1, 3]),
    seed=st.none() | st.integers(0, 9),
)
def test_any_picture_gets_the_target_shape(
    width: int,
    height: int,
    target: tuple[int, int],
    crop: float,
    mode: str,
    channels: int,
    seed: int | None,
) -> None:
    ours = {**PLAIN, "height": target[0], "width": target[1], "crop": crop, "crop_mode": mode}
    ours |= {"channels": channels, "mean": [0.5] * channels, "std": [0.5] * channels}
    rng = None if seed is None else np.random.default_rng(seed)
    item = Image().decode(saved(noise(width, height)), ours, rng)
    assert item.shape == (channels, *target)
    batch = Image().collate([item, item], ours)
    assert batch.shape == (2, channels, *target)
    assert batch.dtype == torch.float32
    assert batch.abs().max() <= 1


def test_an_extremely_long_picture_fits_into_memory() -> None:
    long = pil.new("RGB", (60_000, 2), "red")
    item = Image().decode(saved(long), {**PLAIN, "height": 224, "width": 224})
    assert item.shape == (3, 224, 224)
    assert (item[0] == 255).all() and (item[1:] == 0).all()


def test_random_views_follow_the_seed_and_differ_from_one_another() -> None:
    raw = saved(noise(120, 90))
    ours = {**PLAIN, "height": 64, "width": 64}

    def views(seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [Image().decode(raw, ours, rng) for _ in range(5)]

    assert all(map(np.array_equal, views(1), views(1)))
    assert not any(map(np.array_equal, views(1), views(2)))
    assert len({view.tobytes() for view in views(1)}) == 5


@pytest.mark.parametrize(
    ("size", "channels", "mirrors"), [(64, 3, True), (63, 3, False), (64, 1, False)]
)
def test_only_large_pictures_in_colour_are_mirrored(
    size: int, channels: int, mirrors: bool
) -> None:
    ramp = np.tile(np.arange(0, 240, 2, dtype=np.uint8), (120, 1))  # brighter to the right
    raw = saved(pil.fromarray(np.stack([ramp] * 3, axis=2)))
    ours = {**PLAIN, "height": size, "width": size, "channels": channels}
    rng = np.random.default_rng(0)
    views = [Image().decode(raw, ours, rng)[0].astype(int) for _ in range(30)]
    falling = sum(view[:, 0].mean() > view[:, -1].mean() for view in views)
    assert (5 <= falling <= 25) if mirrors else falling == 0


def test_random_views_take_half_to_all_of_the_area() -> None:
    across = np.tile(np.arange(240, dtype=np.uint8), (240, 1))
    down = across.T
    raw = saved(pil.fromarray(np.stack([across, down, down], axis=2)))
    ours = {**PLAIN, "height": 60, "width": 60}
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        view = Image().decode(raw, ours, rng).astype(int)
        width, height = np.ptp(view[0]) + 4, np.ptp(view[1]) + 4  # 4 px a step when halved twice
        shares.append(width * height / 240**2)
        assert 0.72 < width / height < 1.39
    assert 0.45 < min(shares) < 0.56 and 0.9 < max(shares) < 1.06


def test_collate_normalises() -> None:
    settings = {**PLAIN, "mean": [0.0, 0.5, 1.0], "std": [1.0, 0.5, 2.0]}
    batch = Image().collate([np.full((3, 2, 2), 255, np.uint8)], settings)
    assert batch[0, :, 0, 0].tolist() == [1.0, 1.0, 0.0]


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
    stored = (
        upright if orientation == 1 else upright.transpose(pil.Transpose(undo[orientation]))
    )
    raw = saved(stored, exif=exif)
    assert Image().check(raw).notes == (() if orientation == 1 else ("EXIF turn",))
    assert np.array_equal(decoded(raw, 6, 4), np.asarray(upright))


def test_a_broken_exif_block_costs_nothing() -> None:
    raw = saved(noise(8, 8), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 20)
    assert Image().check(raw).problem is None
    assert Image().decode(raw, as_is(noise(8, 8))).shape == (3, 8, 8)


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
    assert Image().check(saved(noise(), "JPEG")) == Image().check(saved(noise(), "BMP"))
    assert Image().check(saved(noise(), "JPEG")).notes == ()


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
    found = Image().check(raw).problem
    assert found is not None and found.startswith(problem)
    with pytest.raises(DataError, match="^it "):
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
    found = Image().check(raw)
    if found.problem is None:
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
            found = list(pool.map(Image().check, [bomb(9_500, 9_500)] * 6))
        assert all("Bomb" not in str(check.problem) for check in found)
        assert list(warnings.filters) == before


def test_threads_decode_alike() -> None:
    raws = [saved(noise(seed=seed), "JPEG") for seed in range(20)]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(lambda raw: Image().decode(raw, PLAIN), raws))
    assert all(map(np.array_equal, parallel, (Image().decode(raw, PLAIN) for raw in raws)))
