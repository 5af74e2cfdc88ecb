"""Near copies by features: what the network can't tell apart, whatever else features share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data import FileSource, Item
from headstart.features import near as module
from headstart.features.near import near, near_said

ITEMS = [Item(f"{n}.png", "a", "train", FileSource(Path()), f"{n:02x}") for n in range(30)]


@given(st.integers(0, 99), st.integers(1, 30), st.integers(5, 30), st.sampled_from([1, 7, 2**24]))
def test_only_copies_are_near(seed: int, held: int, learned: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(learned, 64)).astype(np.float32)
    new = rng.normal(size=(held, 64)).astype(np.float32)
    copies = rng.integers(learned, size=held)
    new[::2] = values[copies[::2]] + rng.normal(size=new[::2].shape) * 0.01
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        result = near(new, values)
    assert result.tolist() == [[n, copies[n]] for n in range(0, held, 2)]


def test_features_that_all_point_one_way_are_near_none() -> None:
    rng = np.random.default_rng(0)
    every = (100 + rng.normal(size=(60, 64))).astype(np.float32)
    assert near(every[:30], every[30:]).tolist() == []
    assert near(every[:3], every).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert near(every[:0], every).shape == near(every, every[:0]).shape == (0, 2)


def test_a_sentence_names_the_first_pair() -> None:
    features = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    assert near_said((ITEMS, features[:10]), (ITEMS, features[10:])) == ""
    message = near_said((ITEMS, features[[4, 7]]), (ITEMS, features))
    assert message.startswith(
        "2 held-out items are near copies (cosine of features at least 0.996) of"
    )
    assert "such as '0.png' of '4.png'" in message
    assert near_said((ITEMS, features[[5]]), (ITEMS, features)).startswith("1 held-out item is a")
