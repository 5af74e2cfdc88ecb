"""Tokens in a store of fixed rows: any lengths go in, and the same tokens come out, unpadded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.features.store import Addresses, FeatureStore, RaggedRows
from headstart.features.store.ragged import spans

WIDTH = 3
lengths = st.lists(st.integers(1, 7), min_size=1, max_size=8)


def digests(count: int) -> list[str]:
    return [hashlib.md5(bytes([number])).hexdigest() for number in range(count)]


def padded(sizes: list[int]) -> np.ndarray:
    """Activations (N, T, WIDTH) that name their item and place; what is padding is NaN."""
    values = np.full((len(sizes), max(sizes), WIDTH), np.nan, np.float32)
    for item, size in enumerate(sizes):
        values[item, :size] = (100 * item + np.arange(size))[:, None]
    return values


@given(sizes=lengths, seed=st.integers(0, 9))
def test_spans_are_the_ranges_in_order(sizes: list[int], seed: int) -> None:
    starts = np.concatenate([[0], np.cumsum(sizes)])
    items = np.random.default_rng(seed).permutation(len(sizes))
    expected = [place for n in items for place in range(starts[n], starts[n + 1])]
    assert spans(starts, items).tolist() == expected


@given(sizes=lengths)
def test_every_token_has_a_digest_of_its_own(sizes: list[int]) -> None:
    addresses = Addresses.of(digests(len(sizes)), np.array(sizes))
    assert len(set(addresses.digests.tolist())) == sum(sizes)
    alone = [
        Addresses.of([d], np.array([s])) for d, s in zip(digests(len(sizes)), sizes, strict=True)
    ]
    assert addresses.digests.tolist() == [d for each in alone for d in each.digests.tolist()]


def test_tokens_come_out_as_they_went_in(tmp_path: Path) -> None:
    sizes = [2, 5, 1, 3]
    addresses = Addresses.of(digests(4), np.array(sizes))
    store = FeatureStore({"a": 1}, (WIDTH,), root=tmp_path)
    assert addresses.items_of(np.array(store.missing(addresses.digests))).tolist() == [0, 1, 2, 3]
    for group in (np.array([1, 3]), np.array([0])):
        values = padded(sizes)[group, : max(sizes[n] for n in group)]
        store.append(addresses.rows_of(group), addresses.packed(group, values))
    assert addresses.items_of(np.array(store.missing(addresses.digests))).tolist() == [2]
    store.append(
        addresses.rows_of(np.array([2])), addresses.packed(np.array([2]), padded(sizes)[[2]])
    )
    result = RaggedRows(store.rows(addresses.digests), addresses.starts)  # type: ignore[arg-type]  # it is ragged
    assert len(result) == 4
    inputs = result.inputs(np.array([3, 1]))
    assert inputs["mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert inputs["hidden"].dtype == torch.float32
    assert inputs["hidden"][:, :, 0].tolist() == [[300, 301, 302, 0, 0], [100, 101, 102, 103, 104]]
    files = (tmp_path / "features").rglob("rows.bin")
    assert next(files).stat().st_size == sum(sizes) * WIDTH * 4  # no padding on disk


def test_a_repeated_item_is_wanted_once() -> None:
    names = digests(2)
    ragged = Addresses.of([names[0], names[1], names[0]], np.array([2, 3, 2]))
    assert ragged.once().tolist() == [0, 1]
    fixed = Addresses.of([names[1], names[1], names[0]], None)
    assert fixed.once().tolist() == [0, 2]
