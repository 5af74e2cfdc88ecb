"""The store of activations: what goes in comes out, in two types, in groups, to several at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.features import store as store_module
from headstart.features.loaders import CachedLoader
from headstart.features.reading import View
from headstart.features.store import FeatureStore, Shape, cache_folder

SHAPE = (2, 3)
SIZE = 4 * 6


def digest(number: int) -> str:
    return blake2b(str(number).encode(), digest_size=16).hexdigest()


def row(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=SHAPE).astype(np.float32)


def rows(numbers: Sequence[int]) -> np.ndarray:
    return np.stack([row(number) for number in numbers])


def digests(numbers: Sequence[int]) -> list[str]:
    return [digest(number) for number in numbers]


def fill(store: FeatureStore, numbers: Sequence[int]) -> None:
    store.append(digests(numbers), rows(numbers))


def serves_only_the_truth(root: Path, numbers: Sequence[int]) -> set[int]:
    """Check whatever a fresh store serves, and answer which numbers it lacks."""
    store = FeatureStore({"a": 1}, SHAPE, root)
    missing = {numbers[position] for position in store.missing(digests(numbers))}
    served = [number for number in numbers if number not in missing]
    if served:
        np.testing.assert_array_equal(store.rows(digests(served)).all(), rows(served))
    return missing


@settings(max_examples=20, deadline=None)
@given(appended=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=6), max_size=5))
def test_what_was_appended_is_read_back(appended: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore({"a": 1}, SHAPE, Path(folder))
        names: set[int] = set()
        for numbers in appended:
            positions = store.missing(digests(numbers))
            expected = [numbers[position] for position in positions]
            assert expected == list(dict.fromkeys(n for n in numbers if n not in names))
            if expected:
                fill(store, expected)
            names |= set(numbers)
            np.testing.assert_array_equal(store.rows(digests(numbers)).all(), rows(numbers))
        assert serves_only_the_truth(Path(folder), range(31)) == set(range(31)) - names


@settings(max_examples=30, deadline=None)
@given(
    names=st.lists(
        st.lists(st.sampled_from([0, 1, 32, 255]), min_size=3, max_size=3),
        min_size=1,
        max_size=30,
        unique_by=tuple,
    )
)
def test_any_two_digests_are_told_apart(names: list[list[int]]) -> None:
    """Also those that end in zeros or spaces, and those with equal first or last bytes."""
    keys = [bytes([*name, *13 * [0]]).hex() for name in names]
    keys += [key[6:] + key[:6] for key in keys if key[:6] != "000000"]
    values = np.arange(len(keys), dtype=np.float32)[:, None]
    with tempfile.TemporaryDirectory() as folder:
        FeatureStore({}, (1,), Path(folder)).append(keys, values)
        store = FeatureStore({}, (1,), Path(folder))
        assert store.missing([*keys, 32 * "7", 32 * "0", *keys]) == (
            [len(keys)] if 32 * "0" in keys else [len(keys), len(keys) + 1]
        )
        np.testing.assert_array_equal(store.rows(keys[::-1]).all(), values[::-1])


def test_values_come_back_to_the_bit(tmp_path: Path) -> None:
    odd = np.array([[np.nan, np.inf, -np.inf], [-0.0, 1e-45, 3.4e38]], np.float32)
    FeatureStore({}, SHAPE, tmp_path).append([digest(0)], odd[None])
    stored_rows = FeatureStore({}, SHAPE, tmp_path).rows([digest(0)])
    assert stored_rows.all().tobytes() == odd.tobytes()
    tensor = stored_rows.tensor(np.array([0, 0]))
    assert (tensor.dtype, tensor.shape) == (torch.float32, (2, *SHAPE))
    assert tensor[1].numpy().tobytes() == odd.tobytes()


def test_bf16_is_rounded_as_torch_rounds(tmp_path: Path) -> None:
    """Every upper half of a float32, with lower halves on both sides of each tie."""
    upper = np.arange(2**16, dtype=np.uint32)[:, None] << 16
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    values = (upper | lower).view(np.float32)
    keys = [f"{number:032x}" for number in range(len(values))]
    store = FeatureStore({}, (6,), tmp_path, dtype="bf16")
    store.append(keys, values)
    expected = torch.from_numpy(values).to(torch.bfloat16)

    stored_rows = FeatureStore({}, (6,), tmp_path, dtype="bf16").rows(keys)
    order = np.random.default_rng(0).permutation(len(values))
    tensor = stored_rows.tensor(order)
    assert tensor.dtype == torch.bfloat16
    expected_rows = expected[torch.from_numpy(order)]
    nan = expected_rows.isnan()
    assert torch.equal(tensor.isnan(), nan) and nan.any()
    assert torch.equal(tensor.view(torch.int16)[~nan], expected_rows.view(torch.int16)[~nan])
    assert stored_rows[order].dtype == np.float32
    np.testing.assert_array_equal(stored_rows[order], expected_rows.float().numpy())
    assert (store.folder / "rows.bin").stat().st_size == 2 * values.size


def test_both_types_of_one_key_live_side_by_side(tmp_path: Path) -> None:
    full = FeatureStore({}, SHAPE, tmp_path)
    half = FeatureStore({}, SHAPE, tmp_path, dtype="bf16")
    fill(full, [0])
    fill(half, [1])
    assert full.missing(digests([0, 1])) == [1] and half.missing(digests([0, 1])) == [0]


def test_the_shape_is_known_to_later_runs(tmp_path: Path) -> None:
    assert FeatureStore.shape_of({"a": 1}, tmp_path) is None
    fill(FeatureStore({"a": 1}, SHAPE, tmp_path), [0])
    fill(FeatureStore({"b": 1}, (6,), tmp_path, dtype="bf16"), [0])
    assert FeatureStore.shape_of({"a": 1}, tmp_path) == Shape.alone(SHAPE)
    assert FeatureStore.shape_of({"b": 1}, tmp_path) == Shape.alone((6,))
    meta = FeatureStore({"a": 1}, SHAPE, tmp_path).folder / "meta.json"
    text = meta.read_text()
    damages = [text[:count] for count in range(len(text))]
    damages += [json.dumps({"shape": shape}) for shape in ("ab", 3, None, [2, "3"], [-1, 3], [0.5])]
    for damage in [*damages, "[]", "\x00"]:
        meta.write_text(damage)
        assert FeatureStore.shape_of({"a": 1}, tmp_path) is None
    fill(FeatureStore({"a": 1}, SHAPE, tmp_path), [1])  # writing mends it
    assert FeatureStore.shape_of({"a": 1}, tmp_path) == Shape.alone(SHAPE)
    assert serves_only_the_truth(tmp_path, [0, 1]) == set()


def test_rows_are_read_in_any_order_and_as_often_as_asked(tmp_path: Path) -> None:
    store = FeatureStore({}, SHAPE, tmp_path)
    fill(store, range(5))
    stored_rows = store.rows(digests([4, 0, 2]))
    assert len(stored_rows) == 3
    np.testing.assert_array_equal(stored_rows[np.array([2, 0, 2])], rows([2, 4, 2]))
    assert stored_rows[np.array([], np.int64)].shape == (0, *SHAPE)
    assert store.rows([]).all().shape == (0, *SHAPE)
    with pytest.raises(KeyError):
        store.rows([digest(7)])


def test_rows_are_mapped_not_loaded(tmp_path: Path) -> None:
    store = FeatureStore({}, SHAPE, tmp_path)
    fill(store, range(2))
    stored_rows = store.rows(digests([0, 1]))
    np.testing.assert_array_equal(stored_rows.all(), rows([0, 1]))
    with open(store.folder / "rows.bin", "r+b") as file:
        file.seek(SIZE)
        file.write(row(9).tobytes())
    np.testing.assert_array_equal(stored_rows[np.array([0, 1])], rows([0, 9]))


def test_a_row_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    one, other = (FeatureStore({"a": 1}, SHAPE, tmp_path) for _ in range(2))
    assert one.missing(digests(range(3))) == other.missing(digests(range(3))) == [0, 1, 2]
    fill(one, [0, 1])
    fill(other, [1, 2])
    assert (one.folder / "rows.bin").stat().st_size == 3 * SIZE
    assert serves_only_the_truth(tmp_path, range(3)) == set()


def test_rows_in_a_group_are_written_together(tmp_path: Path) -> None:
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    buffer = rows([0, 1])
    with store:
        store.append(digests([0, 1]), buffer)
        buffer[:] = np.nan  # an engine may use its output anew
        fill(store, [2])
        assert serves_only_the_truth(tmp_path, range(3)) == {0, 1, 2}
        store.flush()
        assert serves_only_the_truth(tmp_path, range(3)) == set()
        fill(store, [3])
        np.testing.assert_array_equal(store.rows(digests([3, 0])).all(), rows([3, 0]))
        fill(store, [4])
        assert store.missing(digests(range(6))) == [5]
        fill(store, [5])
    assert serves_only_the_truth(tmp_path, range(6)) == set()
    fill(store, [6])
    assert serves_only_the_truth(tmp_path, range(7)) == set()


def test_an_interrupted_group_is_kept(tmp_path: Path) -> None:
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    with pytest.raises(KeyboardInterrupt), store:
        fill(store, [0])
        raise KeyboardInterrupt
    assert serves_only_the_truth(tmp_path, range(2)) == {1}


def test_a_group_ends_by_size_and_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    with store:
        monkeypatch.setattr(store_module, "GROUP_BYTES", 2 * SIZE)
        fill(store, [0])
        assert serves_only_the_truth(tmp_path, range(2)) == {0, 1}
        fill(store, [1])
        assert serves_only_the_truth(tmp_path, range(2)) == set()
        monkeypatch.setattr(store_module, "GROUP_SECONDS", 0.02)
        fill(store, [2])
        time.sleep(0.03)
        monkeypatch.setattr(store_module, "GROUP_BYTES", 100 * SIZE)
        fill(store, [3])
        assert serves_only_the_truth(tmp_path, range(4)) == set()


APPENDING = """
import sys
from hashlib import blake2b
from pathlib import Path
import numpy as np
from headstart.features.store import FeatureStore

store = FeatureStore({"a": 1}, (2, 3), Path(sys.argv[1]))
for number in range(*map(int, sys.argv[2].split())):
    digest = blake2b(str(number).encode(), digest_size=16).hexdigest()
    if store.missing([digest]):
        store.append([digest], np.random.default_rng(number).normal(size=(1, 2, 3)))
"""


def test_two_processes_may_append_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPENDING, str(tmp_path)]
    running = [
        subprocess.Popen([*command, span], stderr=subprocess.PIPE) for span in ("0 60", "100 30 -1")
    ]
    here = FeatureStore({"a": 1}, SHAPE, tmp_path)
    least = 0
    while any(process.poll() is None for process in running):
        missing = here.missing(digests(range(101)))
        served = sorted(set(range(101)) - set(missing))
        assert len(served) >= least
        least = len(served)
        if served:
            np.testing.assert_array_equal(here.rows(digests(served)).all(), rows(served))
        time.sleep(0.01)
    for process in running:
        _, complaint = process.communicate()
        assert process.returncode == 0, complaint.decode()
    assert serves_only_the_truth(tmp_path, range(101)) == set()
    assert (here.folder / "rows.bin").stat().st_size == 101 * SIZE


def test_the_cache_lies_where_the_environment_says(own_cache: Path) -> None:
    assert cache_folder() == own_cache
    fill(FeatureStore({}, SHAPE), [0])
    assert [path.parent.parent.parent for path in own_cache.rglob("rows.bin")] == [own_cache]
    assert os.listdir(own_cache / "features") == [FeatureStore({}, SHAPE).folder.name]


def test_a_stored_feed_gives_its_own_rows_with_their_targets(tmp_path: Path) -> None:
    store = FeatureStore({}, SHAPE, tmp_path)
    fill(store, range(6))
    positions, targets = np.array([1, 3, 5]), np.array([10, 30, 50])
    feed = CachedLoader(store.rows(digests(range(6))), positions, targets, start=2)
    batches = list(feed.batches(np.array([2, 0, 1]), 2, View(0, 0)))
    assert [batch.start for batch in batches] == [2, 2]
    assert [batch.targets.tolist() for batch in batches] == [[50, 10], [30]]
    np.testing.assert_array_equal(torch.cat([b.inputs for b in batches]), rows([5, 1, 3]))
