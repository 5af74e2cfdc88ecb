"""The cache's limit: what goes first, what never goes, and what `headstart cache` says of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from told import run

from headstart.cli.cache import OTHERS
from headstart.errors import HeadstartError
from headstart.features import cache
from headstart.features.store import FeatureStore
from headstart.transferability import history

ROW = np.ones((1, 1000), np.float32)
KEY = {"architecture": "timm:resnet18", "boundary": 4, "precision": "fp32"}


def fill(number: int, used: float, root: Path | None = None) -> Path:
    """A store of two rows, about 8 kB, last used at this time; it isn't in use any more."""
    store = FeatureStore(KEY | {"number": number}, (1000,), root)
    for name in range(2):
        store.append([f"{name:032x}"], ROW + number)
    os.utime(store.folder / "meta.json", (used, used))
    return store.folder


def test_all_that_lies_there_has_a_name() -> None:
    assert {*OTHERS} == {*cache.OTHERS}


def there() -> set[str]:
    return {entry.name for entry in cache.entries()}


HOLDING = """
import sys
from headstart.features.store import FeatureStore

store = FeatureStore({**eval(sys.argv[1])}, (1000,))
assert store.missing([f"{0:032x}"]) == []
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(number: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that works with a store."""
    command = [sys.executable, "-c", HOLDING, repr(KEY | {"number": number})]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout and process.stdout.readline() == "open\n", process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 5 * 10**8),
        ("20GB", 2 * 10**10),
        ("1.5TB", 15 * 10**11),
        ("0B", 0),
        (" 2.25 kb ", 2250),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert cache.size_of(text) == size


@pytest.mark.parametrize("text", ["", "20", "20G", "-1GB", "1e3GB", "GB", "20GBs", "1.GB", "٢GB"])
def test_other_words_are_no_sizes(text: str) -> None:
    with pytest.raises(HeadstartError, match=r"is not a size\. Write it like 500MB, 20GB or 1"):
        cache.size_of(text)


def test_the_limit_is_a_share_of_the_disk_until_one_is_set(own_cache: Path) -> None:
    usual = min(shutil.disk_usage(own_cache.parent).total // 5, 50 * 10**9)
    assert cache.limit() == usual
    assert not own_cache.exists()
    cache.set_limit(123)
    assert cache.limit() == 123
    for damaged in ("", "{", "[]", '{"limit": null}', '{"limit": "many"}', "\x00"):
        (own_cache / "cache.json").write_text(damaged)
        assert cache.limit() == usual
    cache.set_limit(0)
    assert cache.limit() == 0
    cache.set_limit(None)
    assert cache.limit() == usual


def test_what_was_used_least_recently_goes_first() -> None:
    one, two, three = (fill(number, used) for number, used in ((1, 300.0), (2, 100.0), (3, 200.0)))
    sizes = {entry.name: entry.bytes for entry in cache.entries()}
    assert [entry.name for entry in cache.entries()] == [one.name, three.name, two.name]
    cache.set_limit(sum(sizes.values()))
    assert cache.enforce_limit() == [] and len(there()) == 3
    cache.set_limit(sizes[one.name] + sizes[three.name])
    assert [entry.name for entry in cache.enforce_limit()] == [two.name]
    FeatureStore(KEY | {"number": 3}, (1000,)).missing([])  # opening is using
    cache.set_limit(sizes[three.name])
    assert [entry.name for entry in cache.enforce_limit()] == [one.name]
    result = FeatureStore(KEY | {"number": 3}, (1000,)).rows([f"{1:032x}"]).all()
    assert (result == 4).all()
    assert not one.exists() and not two.exists()


def test_entries_say_what_they_are(own_cache: Path) -> None:
    folder = fill(1, 100.0)
    (entry,) = cache.entries()
    assert entry.key == KEY | {"number": 1}
    assert (entry.rows, entry.last_used, entry.in_use) == (2, 100.0, False)
    assert entry.bytes == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    for damaged in ("", "[]", '{"key": 3}'):
        (folder / "meta.json").write_text(damaged)
        assert [(each.name, each.key) for each in cache.entries()] == [(folder.name, {})]


def test_what_a_living_process_uses_stays() -> None:
    old, new = fill(1, 100.0), fill(2, 200.0)
    cache.set_limit(0)
    with held(1) as process:
        assert {entry.name: entry.in_use for entry in cache.entries()} == {
            old.name: True,
            new.name: False,
        }
        assert [entry.name for entry in cache.enforce_limit()] == [new.name]
        assert cache.clear() == [] and there() == {old.name}
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [entry.in_use for entry in cache.entries()] == [False]
        assert [entry.name for entry in cache.clear()] == [old.name]
    assert there() == set()


def test_rows_keep_their_store_in_use() -> None:
    fill(1, 100.0)
    store = FeatureStore(KEY | {"number": 1}, (1000,))
    rows = store.rows([f"{0:032x}"])
    del store
    assert cache.clear() == []
    assert (rows.all() == 2).all()
    del rows
    assert len(cache.clear()) == 1


def test_marks_of_killed_processes_are_taken_away() -> None:
    folder = fill(1, 100.0)
    for _ in range(2):
        with held(1):
            pass
    assert len(os.listdir(folder / "users")) <= 2
    store = FeatureStore(KEY | {"number": 1}, (1000,))
    assert store.missing([f"{0:032x}"]) == []
    assert len(os.listdir(folder / "users")) == 1


def test_other_files_of_the_cache_count_and_go_too(own_cache: Path) -> None:
    fill(1, 100.0)
    (own_cache / "engines" / "abc").mkdir(parents=True)
    (own_cache / "engines" / "abc" / "model.bin").write_bytes(bytes(5000))
    (own_cache / "engines.json").write_text("{}")
    (own_cache / "checks").mkdir()
    (own_cache / "checks" / "Image-1.jsonl").write_text("{}\n")
    (own_cache / "notes.txt").write_text("not ours")
    sizes = {entry.name: entry.bytes for entry in cache.entries() if entry.rows is None}
    assert sizes == {"engines": 5002, "checks": 3}
    assert len(cache.clear()) == 3
    assert cache.entries() == []
    assert {"notes.txt"} == set(os.listdir(own_cache)) - {"lock", "features"}


def test_unpacked_archives_count_and_go_unless_in_use(own_cache: Path) -> None:
    for name in ("used", "unused"):
        (own_cache / "unpacked" / name / "a.zip").mkdir(parents=True)
        (own_cache / "unpacked" / name / "a.zip" / "1.png").write_bytes(bytes(700))
    use = cache.Use(own_cache / "unpacked" / "used")
    assert {e.name: (e.bytes, e.in_use) for e in cache.entries()} == {
        "unpacked/used": (700, True),
        "unpacked/unused": (700, False),
    }
    assert [entry.name for entry in cache.clear()] == ["unpacked/unused"]
    assert use.holds and os.listdir(own_cache / "unpacked") == ["used"]
    del use


def test_what_past_runs_found_goes_only_when_asked(own_cache: Path) -> None:
    store = fill(1, 200.0)
    history.remember([history.Past("d", "t", "accuracy", "timm:a", "w", 0.5, 1.0)])
    os.utime(own_cache / "history.jsonl", (100.0, 100.0))  # older than the store
    assert there() == {store.name, "history"}
    assert "scores of past runs" in run("cache").stdout
    cache.set_limit(0)
    assert [entry.name for entry in cache.enforce_limit()] == [store.name]
    assert len(history.recall()) == 1
    assert cache.enforce_limit() == []
    assert [entry.name for entry in cache.clear()] == ["history"]
    assert there() == set() and list(history.recall()) == []


def test_what_a_killed_removal_left_goes_with_the_next(own_cache: Path) -> None:
    folder = fill(1, 100.0)
    remains = own_cache / "removed-0"
    shutil.copytree(folder, remains)
    cache.clear()
    assert not remains.exists()


WRITING = """
import sys
import numpy as np
from headstart.features.store import FeatureStore

for trial in range(30):
    store = FeatureStore({"a": 1}, (1000,))
    names = [f"{number:032x}" for number in range(4)]
    missing = store.missing(names)
    with store:
        for number in missing:
            store.append([names[number]], np.full((1, 1000), number))
    assert (store.rows(names).all() == np.arange(4)[:, None]).all()
    del store
"""


def test_clearing_while_others_write_harms_nobody() -> None:
    command = [sys.executable, "-c", WRITING]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    removed = 0
    while any(process.poll() is None for process in running):
        removed += len(cache.clear())
    for process in running:
        _, complaint = process.communicate()
        assert process.returncode == 0, complaint.decode()
    assert removed


def test_the_command_lists_limits_and_clears(own_cache: Path) -> None:
    empty = json.loads(run("cache", "--json").stdout)
    assert (empty["folder"], empty["entries"], empty["total"]) == (str(own_cache), [], 0)
    assert not own_cache.exists()
    old, new = fill(1, 100.0), fill(2, 200.0)
    text = run("cache").stdout
    assert str(own_cache) in text and "timm:resnet18, 4 stages, fp32" in text
    assert "1970-01-01" in text
    record = json.loads(run("cache", "--json").stdout)
    assert [entry["name"] for entry in record["entries"]] == [new.name, old.name]
    assert record["entries"][0] | {"bytes": 0} == {
        "name": new.name,
        "bytes": 0,
        "last_used": "1970-01-01T00:03:20+00:00",
        "in_use": False,
        "rows": 2,
        "key": KEY | {"number": 2},
    }
    assert record["total"] == sum(entry["bytes"] for entry in record["entries"])
    record = json.loads(run("cache", "--max", "10kb", "--json").stdout)
    assert [entry["name"] for entry in record["removed"]] == [old.name]
    assert json.loads(run("cache", "--json").stdout)["limit"] == 10_000
    with held(2):
        text = run("cache", "--clear").stdout
        assert "0 removed, 0 B" in text and "What a running process uses was kept." in text
    text = run("cache", "--clear").stdout
    assert "1 removed, 8." in text and "kept" not in text
    assert run("cache", "--max", "auto").exit_code == 0
    assert json.loads(run("cache", "--json").stdout)["limit"] == cache.limit() > 10_000


def test_the_command_answers_mistakes_with_one_sentence(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("cache", "--max", "lots", "--clear").sentence() == (
        "'lots' is not a size. Write it like 500MB, 20GB or 1.5TB."
    )
    own_cache.write_text("")
    assert str(own_cache) in run("cache", "--max", "1GB").sentence()
    assert run("cache").exit_code == 0
