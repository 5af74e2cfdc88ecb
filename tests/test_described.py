"""Numbers about items: computed once for each content, and the same ever after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures

from headstart import catalog
from headstart.data import Item
from headstart.data import load as load_data
from headstart.errors import DataError
from headstart.features.described import described
from headstart.features.reading import Reader
from headstart.modalities.image import Image
from headstart.runtime import known


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Twelve pictures of two classes."""
    folder = write_pictures(tmp_path / "data", {"ants": 8, "bees": 8})
    return list(load_data(folder, catalog.modality("image")).items)


def numbers(items: list[Item]) -> list[Any]:
    """What a new reader says of them."""
    return described(Reader(catalog.modality("image"), {}), items)


def test_numbers_are_those_of_the_modality_and_computed_once(
    items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Reader(catalog.modality("image"), {}).described(items)
    for _ in range(2):
        for mine, own in zip(numbers(items), plain, strict=True):
            assert list(mine) == list(own)
            assert all(np.array_equal(mine[name], own[name]) for name in own)
    real, entries = Image.statistics, list[bytes]()

    def count(self: Image, raw: bytes) -> dict[str, np.ndarray]:
        entries.append(raw)
        return real(self, raw)

    monkeypatch.setattr(Image, "statistics", count)
    numbers(items)
    assert len(entries) == 1  # the first, to see what there is
    monkeypatch.setattr(known, "versions", lambda: {"headstart": "0"})
    numbers(items)
    assert len(entries) == 1 + len(items)


def test_texts_are_not_stored(own_cache: Path, tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    rows = [f"some words {n},{'ab'[n % 2]}" for n in range(12)]
    table.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    modality = catalog.modality("text")
    entries = list(load_data(table, modality).items)
    assert "some words" in described(Reader(modality, {}), entries)[0]
    assert not (own_cache / "features").exists()


def test_no_items_are_nothing() -> None:
    assert numbers([]) == []


def test_what_cannot_be_read_is_said(items: list[Item], tmp_path: Path) -> None:
    for file in (tmp_path / "data").glob("*/*"):
        file.unlink()
    with pytest.raises(DataError):
        numbers(items)
