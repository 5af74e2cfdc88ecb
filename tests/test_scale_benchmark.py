"""Commands and workers that are killed at random moments, as the benchmark does it more often."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

from benchmarks.scale import kills


@pytest.mark.slow
def test_what_is_killed_is_mended(tmp_path: Path) -> None:
    done = kills.over(tmp_path, "seeded:convnet", items=1500, count=2)
    assert [each.victim for each in done] == ["worker", "command"]
    assert all(each.equal for each in done)
    assert done[0].computed == 1500  # nothing is counted twice
    assert done[1].computed <= 1500
    assert len(kills.as_markdown(done).splitlines()) == 4
