"""The store of activations: never wrong, whatever happens to its files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import HeadstartError
from headstart.features.feed import StoredFeed
from headstart.features.reading import View
from headstart.features.store import RECORD, FeatureStore, cache_folder

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


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@settings(max_examples=20, deadline=None)
@given(appended=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=6), max_size=5))
def test_what_was_appended_is_read_back(appended: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore({"a": 1}, SHAPE, Path(folder))
        known: set[int] = set()
        for numbers in appended:
            positions = store.missing(digests(numbers))
            wanted = [numbers[position] for position in positions]
            assert wanted == list(dict.fromkeys(n for n in numbers if n not in known))
            if wanted:
                fill(store, wanted)
            known |= set(numbers)
            np.testing.assert_array_equal(store.rows(digests(numbers)).all(), rows(numbers))
        assert serves_only_the_truth(Path(folder), range(31)) == set(range(31)) - known


def test_values_come_back_to_the_bit(tmp_path: Path) -> None:
    odd = np.array([[np.nan, np.inf, -np.inf], [-0.0, 1e-45, 3.4e38]], np.float32)
    FeatureStore({}, SHAPE, tmp_path).append([digest(0)], odd[None])
    found = FeatureStore({}, SHAPE, tmp_path).rows([digest(0)]).all()
    assert found.tobytes() == odd.tobytes()


def test_rows_are_read_in_any_order_and_as_often_as_asked(tmp_path: Path) -> None:
    store = FeatureStore({}, SHAPE, tmp_path)
    fill(store, range(5))
    found = store.rows(digests([4, 0, 2]))
    assert len(found) == 3
    np.testing.assert_array_equal(found[np.array([2, 0, 2])], rows([2, 4, 2]))
    assert found[np.array([], np.int64)].shape == (0, *SHAPE)
    assert store.rows([]).all().shape == (0, *SHAPE)
    with pytest.raises(KeyError):
        store.rows([digest(7)])


def test_rows_are_mapped_not_loaded(tmp_path: Path) -> None:
    store = FeatureStore({}, SHAPE, tmp_path)
    fill(store, range(2))
    found = store.rows(digests([0, 1]))
    with open(store.folder / "rows.bin", "r+b") as file:
        file.seek(SIZE)
        file.write(row(9).tobytes())
    np.testing.assert_array_equal(found[np.array([0, 1])], rows([0, 9]))


@pytest.mark.parametrize("name", ["rows.bin", "index.bin"])
def test_a_tail_torn_at_any_byte_is_dropped_and_computed_again(tmp_path: Path, name: str) -> None:
    numbers = range(3)
    whole = FeatureStore({"a": 1}, SHAPE, tmp_path / "whole")
    fill(whole, numbers)
    width = {"rows.bin": SIZE, "index.bin": RECORD.itemsize}[name]
    for kept in range(3 * width):
        root = tmp_path / str(kept)
        shutil.copytree(tmp_path / "whole", root)
        os.truncate(FeatureStore({"a": 1}, SHAPE, root).folder / name, kept)
        missing = serves_only_the_truth(root, numbers)
        assert missing == set(range(kept // width, 3))
        fill(FeatureStore({"a": 1}, SHAPE, root), sorted(missing))
        assert serves_only_the_truth(root, numbers) == set()


@settings(max_examples=40, deadline=None)
@given(rows_kept=st.integers(0, 3 * SIZE), index_kept=st.integers(0, 3 * RECORD.itemsize))
def test_both_tails_may_be_torn(rows_kept: int, index_kept: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore({"a": 1}, SHAPE, Path(folder))
        fill(store, range(3))
        os.truncate(store.folder / "rows.bin", rows_kept)
        os.truncate(store.folder / "index.bin", index_kept)
        missing = serves_only_the_truth(Path(folder), range(3))
        fill(FeatureStore({"a": 1}, SHAPE, Path(folder)), [*sorted(missing), 3])
        assert serves_only_the_truth(Path(folder), range(4)) == set()


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["rows.bin", "index.bin"]),
    where=st.integers(0, 3 * SIZE - 1),
    flipped=st.integers(1, 255),
)
def test_a_corrupted_row_is_never_served(name: str, where: int, flipped: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore({"a": 1}, SHAPE, Path(folder))
        fill(store, range(3))
        path = store.folder / name
        content = bytearray(path.read_bytes())
        content[where] ^= flipped
        path.write_bytes(content)
        width = SIZE if name == "rows.bin" else RECORD.itemsize
        assert serves_only_the_truth(Path(folder), range(3)) == {where // width}
        fill(FeatureStore({"a": 1}, SHAPE, Path(folder)), [where // width])
        assert serves_only_the_truth(Path(folder), range(3)) == set()


APPENDING = """
import sys
from pathlib import Path
from headstart.features.store import FeatureStore
sys.path.insert(0, sys.argv[3])
from hashlib import blake2b
import numpy as np

store = FeatureStore({"a": 1}, (2, 3), Path(sys.argv[1]))
for number in range(*map(int, sys.argv[2].split())):
    digest = blake2b(str(number).encode(), digest_size=16).hexdigest()
    if store.missing([digest]):
        store.append([digest], np.random.default_rng(number).normal(size=(1, 2, 3)))
"""


def test_two_processes_may_append_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPENDING, str(tmp_path)]
    running = [
        subprocess.Popen([*command, span, os.getcwd()], stderr=subprocess.PIPE)
        for span in ("0 60", "100 30 -1")
    ]
    here = FeatureStore({"a": 1}, SHAPE, tmp_path)
    seen = 0
    while any(process.poll() is None for process in running):
        missing = here.missing(digests(range(101)))
        served = sorted(set(range(101)) - set(missing))
        assert len(served) >= seen
        seen = len(served)
        if served:
            np.testing.assert_array_equal(here.rows(digests(served)).all(), rows(served))
        time.sleep(0.01)
    for process in running:
        _, complaint = process.communicate()
        assert process.returncode == 0, complaint.decode()
    assert serves_only_the_truth(tmp_path, range(101)) == set()


FULL_DISK = """
import sys
from pathlib import Path
import numpy as np
from headstart.errors import HeadstartError
from headstart.features.store import FeatureStore

store = FeatureStore({}, (1024,), Path(sys.argv[1]))
kept = 0
try:
    while kept < 100:
        store.append([f"{kept:032x}"], np.full((1, 1024), kept, np.float32))
        kept += 1
except HeadstartError as error:
    print(error)
fresh = FeatureStore({}, (1024,), Path(sys.argv[1]))
found = fresh.rows([f"{number:032x}" for number in range(kept)]).all()
assert kept and (found == np.arange(kept)[:, None]).all()
assert fresh.missing([f"{kept:032x}"]) == [0]
"""


def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare to mount a small disk")
    mount = f"mount -t tmpfs -o size=128k tmpfs {tmp_path}"
    trial = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False)
    if trial.returncode:
        pytest.skip("may not mount a small disk here")
    inside = ["sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", FULL_DISK]
    done = subprocess.run(
        ["unshare", "-rm", *inside, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"The cache {tmp_path} is on a full disk. Free some space")


def test_a_write_that_fails_halfway_loses_nothing(tmp_path: Path) -> None:
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    fill(store, [0, 1])
    with file_size_limit(3 * SIZE + 5):
        with pytest.raises(HeadstartError, match="HEADSTART_CACHE"):
            fill(store, [2, 3, 4])
    assert serves_only_the_truth(tmp_path, range(2)) == set()
    fill(store, [5, 6])
    assert {0, 1, 5, 6}.isdisjoint(serves_only_the_truth(tmp_path, range(7)))


def test_a_cache_that_is_no_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FeatureStore({}, SHAPE, tmp_path / "file")
    assert store.missing([digest(0)]) == [0]
    with pytest.raises(HeadstartError, match="Point HEADSTART_CACHE"):
        fill(store, [0])


def test_the_cache_lies_where_the_environment_says(own_cache: Path) -> None:
    assert cache_folder() == own_cache
    fill(FeatureStore({}, SHAPE), [0])
    assert list(own_cache.rglob("rows.bin"))


def test_a_stored_feed_gives_its_own_rows_with_their_targets(tmp_path: Path) -> None:
    store = FeatureStore({}, SHAPE, tmp_path)
    fill(store, range(6))
    positions, targets = np.array([1, 3, 5]), np.array([10, 30, 50])
    feed = StoredFeed(store.rows(digests(range(6))), positions, targets, start=2)
    batches = list(feed.batches(np.array([2, 0, 1]), 2, View(0, 0)))
    assert [batch.start for batch in batches] == [2, 2]
    assert [batch.targets.tolist() for batch in batches] == [[50, 10], [30]]
    np.testing.assert_array_equal(torch.cat([b.inputs for b in batches]), rows([5, 1, 3]))
