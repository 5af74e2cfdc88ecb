"""The store of activations: never wrong, whatever happens to its files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_feature_store import SHAPE, SIZE, digest, digests, fill, rows, serves_only_the_truth

from headstart.errors import HeadstartError
from headstart.features.store import RECORD, FeatureStore, Shape


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def damage(store: FeatureStore, name: str, where: int) -> None:
    """Change one byte of a file and nothing else, as a failing disk would."""
    path = store.folder / name
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    with open(path, "r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["rows.bin", "index.bin"])
def test_a_tail_torn_at_any_byte_is_dropped_and_computed_again(tmp_path: Path, name: str) -> None:
    numbers = range(3)
    whole = FeatureStore({"a": 1}, SHAPE, tmp_path / "whole")
    fill(whole, numbers)
    width = {"rows.bin": SIZE, "index.bin": RECORD.itemsize}[name]
    for count in range(3 * width):
        root = tmp_path / str(count)
        shutil.copytree(tmp_path / "whole", root)
        os.truncate(FeatureStore({"a": 1}, SHAPE, root).folder / name, count)
        missing = serves_only_the_truth(root, numbers)
        assert missing == set(range(count // width, 3))
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


def test_a_group_that_cant_be_written_is_one_clear_error(tmp_path: Path) -> None:
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    fill(store, [0, 1])
    with pytest.raises(HeadstartError, match="HEADSTART_CACHE"), store:
        fill(store, [2])
        with file_size_limit(2 * SIZE + 5):
            store.rows(digests([0]))
    fill(store, [3])
    assert serves_only_the_truth(tmp_path, range(4)) == {2}


def test_an_unchanged_store_opens_unread_and_damage_is_found_at_the_first_read(
    tmp_path: Path,
) -> None:
    fill(FeatureStore({"a": 1}, SHAPE, tmp_path), range(4))
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    damage(store, "rows.bin", 2 * SIZE + 3)
    assert store.missing(digests(range(4))) == []
    stored_rows = store.rows(digests([3, 2, 1]))
    np.testing.assert_array_equal(stored_rows[np.array([0, 2])], rows([3, 1]))
    for _ in range(2):
        with pytest.raises(HeadstartError, match=rf"^1 stored .* {store.folder} are damaged\. Run"):
            stored_rows[np.array([0, 1, 1])]
    assert store.missing(digests(range(4))) == [2]
    assert serves_only_the_truth(tmp_path, range(4)) == {2}
    fill(store, [2])
    assert serves_only_the_truth(tmp_path, range(4)) == set()


@pytest.mark.parametrize("name", ["verified.json", "meta.json"])
def test_a_damaged_note_costs_time_not_truth(tmp_path: Path, name: str) -> None:
    fill(FeatureStore({"a": 1}, SHAPE, tmp_path), range(2))
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    whole = (store.folder / name).read_bytes()
    for count in range(0, len(whole), 5):
        (store.folder / name).write_bytes(whole[:count])
        assert serves_only_the_truth(tmp_path, range(2)) == set()
    (store.folder / name).unlink()
    damage(store, "rows.bin", 0)
    if name == "verified.json":  # then nothing says that the rows were right
        assert serves_only_the_truth(tmp_path, range(2)) == {0}


def test_rows_of_another_shape_are_not_served(tmp_path: Path) -> None:
    fill(FeatureStore({"a": 1}, SHAPE, tmp_path), range(4))
    other = FeatureStore({"a": 1}, (4,), tmp_path)
    assert other.missing(digests(range(4))) == [0, 1, 2, 3]
    other.append(digests(range(2)), np.ones((2, 4)))
    assert FeatureStore.shape_of({"a": 1}, tmp_path) == Shape.alone((4,))
    assert (FeatureStore({"a": 1}, (4,), tmp_path).rows(digests([1, 0])).all() == 1).all()


def test_a_store_that_can_only_be_read_is_read(tmp_path: Path) -> None:
    fill(FeatureStore({"a": 1}, SHAPE, tmp_path), range(3))
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    for name in ("users", "lock"):  # neither can be made now
        place = store.folder / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    (store.folder / "users").write_text("")
    (store.folder / "lock").mkdir()
    damage(store, "rows.bin", SIZE)
    os.utime(store.folder / "rows.bin")
    assert store.missing(digests(range(3))) == [1]
    np.testing.assert_array_equal(store.rows(digests([2, 0])).all(), rows([2, 0]))


def test_a_store_removed_by_hand_starts_anew(tmp_path: Path) -> None:
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    fill(store, range(3))
    shutil.rmtree(store.folder)
    assert store.missing(digests(range(3))) == [0, 1, 2]
    fill(FeatureStore({"a": 1}, SHAPE, tmp_path), [5, 6, 7, 8])
    fill(store, [1])
    assert serves_only_the_truth(tmp_path, range(9)) == {0, 2, 3, 4}


def test_comparing_all_rows_takes_little_memory(tmp_path: Path) -> None:
    store = FeatureStore({}, (2**18,), tmp_path)
    for number in range(4):
        block = np.full((16, 2**18), number, np.float32)
        store.append(digests(range(16 * number, 16 * number + 16)), block)
    del block
    os.utime(store.folder / "rows.bin")
    tracemalloc.start()
    assert FeatureStore({}, (2**18,), tmp_path).missing(digests(range(64))) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 2**23 < (store.folder / "rows.bin").stat().st_size


KILLED = """
import sys
from hashlib import blake2b
from pathlib import Path
import numpy as np
from headstart.features import store as settings
from headstart.features.store import FeatureStore

settings.GROUP_SECONDS = 0.002
store = FeatureStore({"a": 1}, (2, 3), Path(sys.argv[1]))
print("ready", flush=True)
with store:
    for number in range(10**6):
        digest = blake2b(str(number).encode(), digest_size=16).hexdigest()
        row = np.random.default_rng(number).normal(size=(1, 2, 3))
        if number % 7 == 0 and not store.missing([digest]):
            continue
        store.append([digest], row)
"""


def test_a_process_killed_while_it_appends_loses_only_its_last_rows(tmp_path: Path) -> None:
    most_served = 0
    for trial in range(4):
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline()
        time.sleep(0.05 + 0.037 * trial)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        numbers = range(most_served + 3000)
        missing = serves_only_the_truth(tmp_path, numbers)
        served = len(numbers) - len(missing)
        assert missing == set(range(served, len(numbers)))  # in order, without a gap
        assert served >= most_served
        most_served = served
    assert most_served > 20


def test_appending_to_a_changed_file_does_not_vouch_for_it(tmp_path: Path) -> None:
    store = FeatureStore({"a": 1}, SHAPE, tmp_path)
    fill(store, range(2))
    damage(store, "rows.bin", 0)
    os.utime(store.folder / "rows.bin")
    fill(FeatureStore({"a": 1}, SHAPE, tmp_path), [2])
    assert serves_only_the_truth(tmp_path, range(3)) == {0}
