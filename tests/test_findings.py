"""Checks are remembered by content, across runs, and damage to the memory costs only time."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import pytest

from headstart.contracts import Check, Modality, Preprocess
from headstart.data.check import check_items
from headstart.data.findings import Findings
from headstart.data.sources import FileSource, Item
from headstart.progress import Silent


@final
class Words(Modality):
    """Finds content bad that says so, and counts what it looks at."""

    suffixes: ClassVar[frozenset[str]] = frozenset({".txt"})
    columns: ClassVar[tuple[str, ...]] = ("text",)
    version: ClassVar[int] = 1

    def __init__(self, alike: bool = False) -> None:
        self.alike = alike  # whether case makes no difference
        self.looked = 0
        self._lock = threading.Lock()

    def check(self, raw: bytes) -> Check:
        with self._lock:
            self.looked += 1
        problem = "it is bad" if raw.startswith(b"bad") else None
        return Check(problem, (raw[:1].decode(),), raw.decode().lower() if self.alike else "")

    def decode(self, raw: bytes, preprocess: Preprocess, rng: Any = None) -> bytes:
        return raw

    def collate(self, items: Sequence[bytes], preprocess: Preprocess) -> list[bytes]:
        return list(items)


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    made = []
    for number, text in enumerate(("a cat", "a dog", "bad", "a cat")):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        made.append(Item(path.name, "x", None, FileSource(path)))
    return made


def test_content_is_looked_at_once(items: list[Item]) -> None:
    first, second = Words(), Words()
    found = check_items(items, first, Silent())
    assert found == check_items(items, second, Silent())
    assert first.looked in (3, 4)  # identical files may be looked at by two threads at once
    assert second.looked == 0
    assert found.skipped == (("2.txt", "it is bad"),)
    assert found.notes == {"a": 3}


def test_what_counts_as_identical_is_remembered(items: list[Item]) -> None:
    louder = items[1].source
    assert isinstance(louder, FileSource)
    louder.path.write_text("A Cat")
    first = check_items(items, Words(alike=True), Silent()).items
    again = Words(alike=True)
    assert check_items(items, again, Silent()).items == first
    assert again.looked == 0
    assert len({item.identity for item in first}) == 1
    assert len({item.digest for item in first}) == 2


def test_lines_of_an_earlier_version_are_read(items: list[Item], own_cache: Path) -> None:
    expected = check_items(items, Words(), Silent())
    (memory,) = (own_cache / "checks").iterdir()
    lines = [json.loads(line) for line in memory.read_text().splitlines() if line]
    assert all(line[3] == "" for line in lines)
    memory.write_text("".join(json.dumps(line[:3]) + "\n" for line in lines))
    again = Words()
    assert check_items(items, again, Silent()) == expected
    assert again.looked == 0


def test_of_content_in_a_manifest_nothing_is_kept(
    items: list[Item], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = check_items(items, Words(), Silent())
    (memory,) = (own_cache / "checks").iterdir()
    memory.unlink()
    monkeypatch.setattr(Words, "inline", True)
    for _ in range(2):
        inline = Words()
        assert check_items(items, inline, Silent()) == expected
        assert inline.looked >= 3
    assert not memory.exists()


def test_changed_content_is_looked_at_again(items: list[Item]) -> None:
    check_items(items, Words(), Silent())
    source = items[0].source
    if not isinstance(source, FileSource):
        raise TypeError
    source.path.write_text("bad now")
    again = Words()
    assert len(check_items(items, again, Silent()).skipped) == 2
    assert again.looked == 1


def test_another_version_of_a_check_starts_anew(
    items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_items(items, Words(), Silent())
    monkeypatch.setattr(Words, "version", 2)
    again = Words()
    check_items(items, again, Silent())
    assert again.looked >= 3


def test_a_damaged_memory_costs_only_time(items: list[Item], own_cache: Path) -> None:
    expected = check_items(items, Words(), Silent())
    (memory,) = (own_cache / "checks").iterdir()
    whole = memory.read_bytes()
    for cut in range(len(whole)):
        memory.write_bytes(whole[:cut])
        assert check_items(items, Words(), Silent()) == expected
    odd = b'["x", 3, []]\n{}\n7\n["x", null, [], 5]\n["x", null, [], "", ""]\n"text"\n[]\n'
    memory.write_bytes(b"\x00\xff[1, 2\n" + odd + whole)
    again = Words()
    assert check_items(items, again, Silent()) == expected
    assert again.looked == 0


def test_a_cache_that_cannot_be_written_is_done_without(items: list[Item], own_cache: Path) -> None:
    own_cache.mkdir(parents=True, exist_ok=True)
    (own_cache / "checks").write_text("in the way")
    for _ in range(2):
        looking = Words()
        check_items(items, looking, Silent())
        assert looking.looked >= 3
    findings = Findings(Words())
    findings.add("0" * 32, Check())
    findings.save()
    assert findings.get("0" * 32) == Check()
