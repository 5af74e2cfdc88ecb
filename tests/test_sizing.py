"""What features will take: said from a sample, true to what is then stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.errors import DataError, HeadstartError
from headstart.pipeline.sizing import SAMPLE, plan

TINY = "seeded:convnet"


def test_the_disk_it_says_is_the_disk_it_takes(
    pictures: Path, tmp_path: Path, own_cache: Path
) -> None:
    settings = hs.Settings(device="cpu", engine="torch")
    sizes = plan(pictures, TINY, settings=settings)
    assert (sizes.items, sizes.sample, sizes.workers) == (80, SAMPLE, 1)
    assert sizes.checking > 0 and sizes.extracting > 0 and sizes.memory > 0
    assert not [*own_cache.glob("features/*")]  # nothing was stored yet
    hs.cache_features(pictures, TINY, settings=settings)
    stored = sum(path.stat().st_size for path in own_cache.glob("features/*/*.bin"))
    assert sizes.disk == stored


def test_more_workers_take_less_time_and_more_memory(pictures: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    done = CliRunner().invoke(
        app,
        ["plan", str(pictures), "-b", TINY, "--on", "ray", "--workers", "8", "--json"],
    )
    assert done.exit_code == 0, done.output
    sizes = json.loads(done.stdout)
    assert sizes["workers"] == 8
    assert sizes["memory"] > 700 << 20


def test_what_can_not_be_reckoned_is_said(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match="rows of tables"):
        plan(pictures, "table:columns")
    for file in pictures.rglob("*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="no usable item among 64"):
        plan(pictures, TINY)
