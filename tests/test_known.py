"""What is known once holds for one key on one machine, and is whole or absent."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headstart.cli.cache import tend
from headstart.runtime import known

pytestmark = pytest.mark.usefixtures("own_stages")
KEY = {"weights": "sha256:1", "boundary": 4}


def test_what_was_kept_is_known_for_its_key_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert known.recall("stages", KEY) is None
    known.remember("stages", KEY, {"sizes": [1, 2]})
    assert known.recall("stages", KEY) == {"sizes": [1, 2]}
    assert known.recall("stages", {**KEY, "weights": "sha256:2"}) is None
    assert known.recall("agreement", KEY) is None
    for name in ("headstart", "torch", "openvino"):
        with monkeypatch.context() as patch:
            versions = {**known.versions(), name: "0"}
            patch.setattr(known, "versions", lambda versions=versions: versions)
            assert known.recall("stages", KEY) is None
    monkeypatch.setattr(known, "processor", lambda: "another")
    assert known.recall("stages", KEY) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_none(own_cache: Path, content: bytes) -> None:
    known.remember("stages", KEY, {"sizes": [1, 2]})
    (file,) = (own_cache / known.FOLDER).iterdir()
    file.write_bytes(content)
    assert known.recall("stages", KEY) is None
    known.remember("stages", KEY, {"sizes": [3]})
    assert known.recall("stages", KEY) == {"sizes": [3]}


def test_a_place_that_cannot_be_written_is_done_without(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    known.remember("stages", KEY, {})
    assert known.recall("stages", KEY) is None


def test_several_at_once_leave_one_whole(own_cache: Path) -> None:
    contents = [{"sizes": [number] * 500} for number in range(40)]

    def write_and_read(content: dict[str, list[int]]) -> bool:
        known.remember("stages", KEY, content)
        return known.recall("stages", KEY) in contents

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, contents))
    assert len(list((own_cache / known.FOLDER).iterdir())) == 1


def test_the_cache_lists_and_clears_it(own_cache: Path) -> None:
    known.remember("stages", KEY, {"sizes": [1]})
    assert "what is known of backbones" in str(tend(None, clear=False))
    assert "1 removed" in str(tend(None, clear=True))
    assert not (own_cache / known.FOLDER).exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/cpuinfo")
def test_a_processor_is_known_by_what_it_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(text: str) -> str:
        monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
        known.processor.cache_clear()
        return known.processor()

    lines = "model name\t: Some CPU\nflags\t\t: fpu avx2 {}\n"
    try:
        assert called(lines.format("avx512f")) != called(lines.format(""))
        assert called(lines.format("a b")) == called(lines.format("b a"))
        assert called(lines.format("")).startswith("Some CPU ")
    finally:
        monkeypatch.undo()
        known.processor.cache_clear()
