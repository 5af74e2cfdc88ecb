"""Robustness: corruptions that do what they say, to the picture as the model looks at it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import PLAIN, noise, photo, saved
from PIL import Image as pil
from PIL import ImageOps

from headstart.data import InlineSource, Item
from headstart.evidence.robustness import (
    CLEAN,
    CORRUPTIONS,
    ITEMS,
    corrupted,
    picture,
    robustness,
)
from headstart.features.reading import Reader
from headstart.modalities.image import Image
from headstart.modalities.text import Text
from headstart.tasks.classification import Classification

READER = Reader(Image(), PLAIN)
PHOTO = np.asarray(photo(120, 90))


def item(content: bytes, name: str = "a.png") -> Item:
    return Item(name, "ants", "test", InlineSource(content))


def changed(name: str, pixels: np.ndarray = PHOTO) -> np.ndarray:
    """The picture after a corruption, from the file that it is kept in."""
    raw = corrupted(item(b""), pixels, name).read()
    return np.asarray(pil.open(io.BytesIO(raw)), dtype=np.float64)


@pytest.mark.parametrize("crop", [1.0, 0.875, 0.9])
@pytest.mark.parametrize("size", [(120, 90), (90, 121), (400, 300), (33, 31), (20, 28)])
def test_a_clean_picture_is_what_the_model_sees_anyway(size: tuple[int, int], crop: float) -> None:
    reader = replace(READER, preprocess={**PLAIN, "crop": crop})
    one_item = item(saved(photo(*size)))
    clean = corrupted(one_item, picture(one_item.read(), reader), CLEAN)
    assert (reader.decode(clean) == reader.decode(one_item)).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_picture_looks_as_to_the_model(mode: str, channels: int) -> None:
    shown = photo(64, 48)
    if mode == "I;16":
        shown = pil.fromarray(np.asarray(shown.convert("L")).astype(np.uint16) * 257)
    else:
        shown = shown.convert(mode)
    reader = replace(READER, preprocess={**PLAIN, "channels": channels})
    one_item = item(saved(shown))
    pixels = picture(one_item.read(), reader)
    assert pixels.shape == (32, 42, channels)
    assert (reader.decode(corrupted(one_item, pixels, CLEAN)) == reader.decode(one_item)).all()
    for name in CORRUPTIONS:
        assert reader.decode(corrupted(one_item, pixels, name)).shape == (channels, 32, 32)


def test_a_turned_photo_is_upright() -> None:
    shown = photo(100, 60)
    exif = pil.Exif()
    exif[0x0112] = 6
    turned = picture(saved(shown, exif=exif), READER)
    upright = picture(saved(ImageOps.exif_transpose(pil.open(_file(shown, exif)))), READER)
    assert turned.shape == (53, 32, 3)
    assert (turned == upright).all()


def _file(shown: pil.Image, exif: pil.Exif) -> io.BytesIO:
    return io.BytesIO(saved(shown, exif=exif))


@settings(max_examples=20, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    name=st.sampled_from([CLEAN, *CORRUPTIONS]),
)
def test_any_size_is_corrupted_alike_each_time(width: int, height: int, name: str) -> None:
    pixels = picture(saved(noise(width, height)), READER)
    assert pixels.dtype == np.uint8
    assert min(pixels.shape[:2]) == min(32, width, height)
    first, again = (corrupted(item(b""), pixels, name) for _ in range(2))
    assert first.read() == again.read()
    assert first.digest == again.digest != ""
    assert READER.decode(first).shape == (3, 32, 32)


def test_noise_has_its_strength_and_differs_between_pictures() -> None:
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    image = changed("gaussian noise", grey)
    assert image.std() == pytest.approx(0.18 * 255, rel=0.05)
    assert image.mean() == pytest.approx(128, abs=2)
    other = changed("gaussian noise", grey + 1)
    assert np.corrcoef(image.ravel(), other.ravel())[0, 1] < 0.1


def test_blur_takes_detail_in_proportion_to_the_size() -> None:
    rough = np.asarray(noise(224, 224))
    image = changed("blur", rough)
    assert image.mean() == pytest.approx(rough.mean(), abs=1)
    # white noise under a Gaussian of 3 px keeps 1 / (2 sqrt(pi) 3) of its standard deviation
    assert image.std() == pytest.approx(rough.std() / (2 * np.sqrt(np.pi) * 3), rel=0.2)
    small = np.asarray(noise(28, 28))
    assert changed("blur", small).std() > 3 * image.std()


def test_compression_costs_detail_and_keeps_the_shapes() -> None:
    image = changed("jpeg compression")
    error = np.abs(image - PHOTO).mean()
    assert 2 < error < 30


def test_brightness_raises_the_value_and_keeps_the_hue() -> None:
    colour = np.array([[[100, 50, 0], [0, 0, 0], [250, 125, 250]]], dtype=np.uint8)
    image = changed("brightness", colour)
    assert image[0].tolist() == pytest.approx(
        np.array([[176.5, 88.25, 0], [76.5, 76.5, 76.5], [255, 127.5, 255]]), abs=1
    )


def test_contrast_falls_to_a_fifth_about_the_mean() -> None:
    image = changed("contrast")
    assert image.mean() == pytest.approx(PHOTO.mean(), abs=0.5)
    assert image.std(axis=(0, 1)) == pytest.approx(PHOTO.std(axis=(0, 1)) / 5, rel=0.05)


def by_brightness(items: Sequence[Item]) -> np.ndarray:
    """Answers class 1 for pictures above middle grey."""
    bright = [READER.decode(each).mean() / 255 - 0.5 for each in items]
    return np.stack([np.zeros(len(items)), bright], axis=1)


def by_halves(items: Sequence[Item]) -> np.ndarray:
    """Answers class 1 for pictures whose right half is the brighter one, whatever the level."""
    halves = [np.split(READER.decode(each).astype(float), 2, axis=2) for each in items]
    return np.stack([np.zeros(len(items)), [b.mean() - a.mean() for a, b in halves]], axis=1)


def shades(count: int) -> tuple[list[Item], np.ndarray]:
    """Dark pictures with a darker right half, and bright ones with a brighter right half."""
    targets = np.arange(count) % 2
    rng = np.random.default_rng(0)
    items = []
    for number, target in enumerate(targets):
        pixels = rng.normal(150 if target else 105, 10, (32, 32, 3))
        pixels[:, 16:] += 20 if target else -20
        image = pil.fromarray(pixels.clip(0, 255).astype(np.uint8))
        items.append(item(saved(image), f"{number}.png"))
    return items, targets


def test_each_corruption_has_a_row_and_hits_who_relies_on_it() -> None:
    items, targets = shades(30)
    record = robustness(by_brightness, READER, Classification(), items, targets, by_halves)
    assert record is not None
    assert json.loads(json.dumps(record)) == record
    assert [row["corruption"] for row in record] == [CLEAN, *CORRUPTIONS]
    rows = {row["corruption"]: row for row in record}
    assert rows[CLEAN]["value"] == rows[CLEAN]["scratch"] == 1.0
    assert rows["brightness"]["value"] == 0.5  # all are bright now
    assert rows["brightness"]["scratch"] == 1.0
    assert all(row["low"] <= row["value"] <= row["high"] for row in record)
    alone = robustness(by_brightness, READER, Classification(), items, targets)
    assert alone == [row | {"scratch": None} for row in record]


def test_of_many_items_a_share_of_each_class_is_tried() -> None:
    items, targets = shades(2 * ITEMS)
    calls: list[Sequence[Item]] = []

    def outputs(given: Sequence[Item]) -> np.ndarray:
        calls.append(given)
        return np.tile([0.0, 1.0], (len(given), 1))

    record = robustness(outputs, READER, Classification(), items, targets)
    assert record is not None
    assert {len(given) for given in calls} == {ITEMS}
    assert record[0]["value"] == 0.5


def test_what_is_no_picture_is_left_alone() -> None:
    reader = Reader(Text(), {"max_length": 8})
    task: Any = Classification()
    assert robustness(by_brightness, reader, task, [item(b"words")], np.zeros(1)) is None
    assert robustness(by_brightness, READER, task, [], np.zeros(0)) is None
