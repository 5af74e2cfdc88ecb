"""Commands and workers that are killed at random moments, as the benchmark does it more often."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

from benchmarks.arguments import RefusedError
from benchmarks.scale import kills, running, workers


@pytest.mark.slow
def test_what_is_killed_is_mended(tmp_path: Path) -> None:
    done = kills.over(tmp_path, "seeded:convnet", items=1500, count=2)
    assert [each.victim for each in done] == ["worker", "command"]
    assert all(each.equal for each in done)
    assert done[0].computed == 1500  # nothing is counted twice
    assert done[1].computed <= 1500
    assert len(kills.as_markdown(done).splitlines()) == 4


def test_outcomes_are_kept_and_weighed(tmp_path: Path) -> None:
    """Two workers twice as fast as one at all but fit, whose answers differ."""
    bench = workers.Bench(tmp_path, "timm:any", (10, 20), 32, 1.0)
    for cell in bench.cells():
        many = 10.0 if cell["size"] == 20 else 0.0
        two, fit = cell["way"] == workers.TWO, cell["work"] == "fit"
        seconds = 20.0 + many / (2.0 if two else 1.0) if cell["work"] == "extract" else 100.0
        seconds /= 2.0 if two and cell["work"] == "rank" else 1.0
        outcome = {"seconds": seconds, "spent": seconds, "answer": "b" if two and fit else "a"}
        bench.lines.once(cell, lambda outcome=outcome: outcome)  # type: ignore[misc]
    rows = workers.compare(bench)  # where all is there, nothing is run
    assert workers.missed(rows) == [
        "fit: two workers are 1.00 times as fast as one, below 1.6.",
        "fit: answers differ.",
    ]
    assert "| extract | headstart, 2 workers | 5.0 | 5.0 | 2.00 | yes |" in workers.as_markdown(
        rows
    )
    flat = workers.Bench(tmp_path / "flat", "timm:any", (10, 20), 32, 1.0)
    for cell in flat.cells():
        flat.lines.once(cell, lambda: {"seconds": 9.0, "spent": 9.0, "answer": ""})
    with pytest.raises(RefusedError, match="Give larger --sizes than 10,20"):
        workers.compare(flat)


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}])"
    script = child.format("import time; time.sleep(60)")
    with pytest.raises(RuntimeError, match=r"took longer than 1 s; see .*log"):
        running.run(["-c", script], tmp_path / "log", 1.0, {})
    done = running.run(["-c", "print('x' * 10**6)"], tmp_path / "log", 60.0, {})
    assert len(done.output) == 10**6 + 1  # more than a pipe holds that nobody reads
