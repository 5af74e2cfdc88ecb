"""JPEGs read at a fraction of their size: the same verdicts, and nearly the same pixels."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from pictures import IMAGENET, PLAIN, difference, noise, photo, saved
from PIL import Image as pil
from safetensors.torch import load_file
from timm.data.transforms_factory import create_transform

from headstart.modalities.image import Image

KINDS: dict[str, dict[str, Any]] = {
    "full chroma": {"subsampling": 0},
    "halved chroma": {"subsampling": 1},
    "quartered chroma": {"subsampling": 2},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
}
UNDO = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> the transposition it takes back


def fully_decoded(raw: bytes) -> str | None:
    """Why Pillow can't decode all of a file at full size, if so."""
    try:
        pil.open(io.BytesIO(raw)).load()
    except Exception as error:
        return str(error)
    return None


def settings(width: int, height: int, **others: Any) -> dict[str, Any]:
    return {**PLAIN, "width": width, "height": height, **others}


@pytest.mark.parametrize("kind", [*KINDS, "grey", "CMYK"])
def test_the_check_finds_what_a_full_decoding_finds(kind: str) -> None:
    rng = np.random.default_rng(0)
    mode = {"grey": "L", "CMYK": "CMYK"}.get(kind, "RGB")
    whole = saved(photo(93, 70).convert(mode), "JPEG", **KINDS.get(kind, {}))
    broken = [
        whole[:end] for end in [*range(1, len(whole), 37), *range(len(whole) - 9, len(whole))]
    ]
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(2, len(whole), rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        broken.append(bytes(damaged))
    verdicts = [(Image().check(raw).problem is None, fully_decoded(raw) is None) for raw in broken]
    assert all(ours == theirs for ours, theirs in verdicts)
    assert {ours for ours, _ in verdicts} == {True, False}


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(
    ("mode", "size", "crop"),
    [("center", (32, 32), 0.9), ("squash", (40, 24), 1.0), ("border", (32, 20), 1.0)],
)
def test_large_jpegs_are_nearly_those_of_a_full_decoding(
    mode: str, size: tuple[int, int], crop: float, interpolation: str
) -> None:
    ours = settings(*size, crop_mode=mode, crop=crop, interpolation=interpolation)
    for width, height in [(401, 303), (299, 517)]:  # odd, so that they end within a pixel
        raw = saved(photo(width, height), "JPEG", quality=92)
        full = saved(pil.open(io.BytesIO(raw)))  # as a PNG: never decoded smaller
        one, other = Image().decode(raw, ours), Image().decode(full, ours)
        assert 0 < difference(one, other) <= 1


@pytest.mark.parametrize("orientation", range(2, 9))
def test_large_jpegs_are_turned(orientation: int) -> None:
    upright = photo(401, 303)
    exif = pil.Exif()
    exif[0x0112] = orientation
    raw = saved(upright.transpose(pil.Transpose(UNDO[orientation])), "JPEG", quality=95, exif=exif)
    full = saved(upright)
    for ours in (settings(32, 32), settings(48, 20, crop_mode="squash")):
        assert difference(Image().decode(raw, ours), Image().decode(full, ours)) <= 1.5
    views = [
        Image().decode(either, settings(24, 24), np.random.default_rng(seed))
        for either in (raw, full)
        for seed in range(5)
    ]
    # its edges are rounded to pixels of the smaller picture
    assert all(difference(*pair) <= 4 for pair in zip(views[:5], views[5:], strict=True))


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("L", 3), ("RGB", 1), ("CMYK", 3)])
@pytest.mark.parametrize("kind", ["full chroma", "progressive"])
def test_large_jpegs_of_every_kind(kind: str, mode: str, channels: int) -> None:
    raw = saved(photo(400, 300).convert(mode), "JPEG", **KINDS[kind])
    full = saved(pil.open(io.BytesIO(raw)).convert("L" if mode == "L" else "RGB"))
    ours = settings(32, 32, channels=channels)
    small, whole = Image().decode(raw, ours), Image().decode(full, ours)
    assert small.shape == (channels, 32, 32) and difference(small, whole) <= 1


def test_a_picture_beside_others_in_one_file() -> None:
    frames = [photo(400, 300, seed) for seed in (0, 1)]
    raw = saved(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=92)
    assert pil.open(io.BytesIO(raw)).format == "MPO"
    check, expected = Image().check(raw), Image().check(saved(frames[0]))
    assert replace(check, sketch="") == replace(expected, sketch="")
    pixels = Image().decode(saved(frames[0]), settings(32, 32))
    assert difference(Image().decode(raw, settings(32, 32)), pixels) <= 1


def test_jpegs_below_six_times_the_target_are_decoded_fully() -> None:
    theirs = create_transform((3, 50, 50), crop_pct=1.0, interpolation="lanczos", **IMAGENET)
    ours = settings(50, 50, interpolation="lanczos")  # which Pillow computes for both
    exact = []
    for height in (299, 300):
        raw = saved(photo(400, height), "JPEG")
        expected = theirs(pil.open(io.BytesIO(raw)))
        exact.append(torch.equal(Image().collate([Image().decode(raw, ours)], ours)[0], expected))
    assert exact == [True, False]


def test_long_and_nearest_ones_are_decoded_fully() -> None:
    for picture, ours in [
        (photo(2100, 100), settings(8, 8)),
        (photo(400, 300), settings(16, 16, interpolation="nearest")),
    ]:
        raw = saved(picture, "JPEG")
        full = saved(pil.open(io.BytesIO(raw)))
        assert np.array_equal(Image().decode(raw, ours), Image().decode(full, ours))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_random_views_are_one_level_off_pillow_at_most(interpolation: str, mode: str) -> None:
    ours = settings(60, 60, interpolation=interpolation)
    method = {"bilinear": pil.Resampling.BILINEAR, "bicubic": pil.Resampling.BICUBIC}[interpolation]
    # so long a picture has but one part that is 4/3 wide as high: the middle
    picture = noise(500, 90).convert(mode)
    part = picture.crop((190, 0, 310, 90)).convert("RGB").resize((60, 60), method)
    view = Image().decode(saved(picture), ours, np.random.default_rng(3)).transpose(1, 2, 0)
    expected = np.asarray(part).astype(int)
    nearest = min((expected, expected[:, ::-1]), key=lambda each: difference(view, each))
    assert np.abs(view - nearest).max() <= 1


def test_real_photos_move_by_less_than_a_level(shared_data: Path) -> None:
    paths = sorted((shared_data / "images" / "hymenoptera").rglob("*.jpg"))[::16]
    moved = []
    for raw in (path.read_bytes() for path in paths):
        theirs = pil.open(io.BytesIO(raw)).convert("RGB")
        ours = settings(48, 48, interpolation="bicubic")
        moved.append(difference(Image().decode(raw, ours), Image().decode(saved(theirs), ours)))
    assert np.mean(np.array(moved) > 0) > 0.9 and max(moved) <= 1


@pytest.mark.slow
def test_features_of_real_photos_stay(shared_data: Path) -> None:
    weights = shared_data / "weights" / "mobilenetv2_100.imagenet.safetensors"
    network = timm.create_model("mobilenetv2_100", num_classes=0).eval()
    network.load_state_dict(load_file(weights), strict=False)
    ours = settings(96, 96, interpolation="bicubic")
    pairs = []
    for path in sorted((shared_data / "images" / "hymenoptera").rglob("*.jpg"))[::16]:
        photo_of_it = pil.open(path).convert("RGB")
        large = photo_of_it.resize((2 * photo_of_it.width, 2 * photo_of_it.height))
        raw = saved(large, "JPEG", quality=92)
        full = saved(pil.open(io.BytesIO(raw)))
        pairs.append([Image().decode(each, ours) for each in (raw, full)])
    with torch.inference_mode():
        smaller, whole = (network(Image().collate(side, ours)) for side in zip(*pairs, strict=True))
    alike = torch.nn.functional.cosine_similarity(smaller, whole)
    assert alike.mean() >= 0.999 and alike.min() >= 0.995
