"""What the backbone sees of a picture: size, crop, random views, batches."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import IMAGENET, PLAIN, decoded, noise, saved
from PIL import Image as pil
from timm.data.transforms_factory import create_transform

from headstart.modalities.image import Image


def levels_off(ours: torch.Tensor, theirs: torch.Tensor) -> tuple[float, float]:
    """How far normalised pictures are apart at worst and on average, in levels of 255."""
    std = torch.tensor(IMAGENET["std"]).view(-1, 1, 1)
    off = ((ours - theirs) * std * 255).abs()
    return float(off.max()), float(off.mean())


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
def test_decodes_like_timm(
    mode: str, crop: float, size: tuple[int, int], interpolation: str
) -> None:
    theirs = create_transform(
        (3, *size), crop_pct=crop, crop_mode=mode, interpolation=interpolation, **IMAGENET
    )
    ours = {**PLAIN, "height": size[0], "width": size[1], "crop": crop, "crop_mode": mode}
    ours["interpolation"] = interpolation
    for width, height in [(500, 333), (231, 400), (57, 91), (224, 224), (131, 131)]:
        picture = noise(width, height)
        item = Image().decode(saved(picture), ours)
        assert item.dtype == np.uint8
        worst, mean = levels_off(Image().collate([item], ours)[0], theirs(picture))
        assert worst <= {"lanczos": 1e-3, "bilinear": 1.01, "bicubic": 20}[interpolation]
        assert mean < 0.5  # of noise from pixel to pixel, where bicubic overshoots most


def test_decodes_a_real_photo_like_timm(shared_data: Path) -> None:
    raw = (shared_data / "images" / "parrot.jpg").read_bytes()
    theirs = create_transform((3, 224, 224), crop_pct=0.875, interpolation="bicubic", **IMAGENET)
    ours = {**PLAIN, "height": 224, "width": 224, "crop": 0.875, "interpolation": "bicubic"}
    expected = theirs(pil.open(io.BytesIO(raw)).convert("RGB"))
    result = Image().collate([Image().decode(raw, ours)], ours)[0]
    worst, mean = levels_off(result, expected)
    assert worst <= 2.01 and mean < 0.01


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


@pytest.mark.parametrize(("side", "least"), [(60, 0.5), (64, 0.35)])
def test_random_views_take_a_good_part_of_the_area(side: int, least: float) -> None:
    across = np.tile(np.arange(240, dtype=np.uint8), (240, 1))
    down = across.T
    raw = saved(pil.fromarray(np.stack([across, down, down], axis=2)))
    ours = {**PLAIN, "height": side, "width": side}
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        view = Image().decode(raw, ours, rng).astype(int)
        step = 240 / side  # about what the last column or row spans
        width, height = np.ptp(view[0]) + step, np.ptp(view[1]) + step
        shares.append(width * height / 240**2)
        assert 0.72 < width / height < 1.39
    assert least - 0.05 < min(shares) < least + 0.06 and 0.9 < max(shares) < 1.06


def test_collate_normalises() -> None:
    settings = {**PLAIN, "mean": [0.0, 0.5, 1.0], "std": [1.0, 0.5, 2.0]}
    batch = Image().collate([np.full((3, 2, 2), 255, np.uint8)], settings)
    assert batch[0, :, 0, 0].tolist() == [1.0, 1.0, 0.0]
