"""The benchmark of adaptation, on features that are made up, and what it calls missed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.adaptation import comparing, domains, sounds, table
from benchmarks.adaptation.domains import PAIRS, Pair, draws
from headstart.adaptation import SOURCE

CLASSES = 5
PAIR = Pair("here", "there", "made up", "clouds")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two domains of five clouds, the second by another sensor."""
    centres = np.random.default_rng(7).normal(0, 2, (CLASSES, 16))
    for number, name in enumerate(("here", "there")):
        classes = np.arange(240) % CLASSES
        noise = np.random.default_rng(number).normal(0, 1, (240, 16))
        values = (centres[classes] + noise) * (1 + number) + 5 * number
        np.savez(tmp_path / f"{name}, clouds.npz", x=values.astype(np.float32), y=classes)
    return tmp_path


def test_targets_hold_what_their_part_says(work: Path) -> None:
    draw_of = {part: draw for part, _, draw in draws(PAIR, work, work, 1)}
    counts = {part: np.bincount(draw.truth, minlength=CLASSES) for part, draw in draw_of.items()}
    assert (counts["all"] > 25).all()
    assert (counts["some"] > 0).sum() == 2
    rare = np.sort(counts["uneven"])
    assert rare[1] < 0.5 * rare[2]
    assert len(draw_of["all"].held_out[1]) == 40


def test_a_draw_says_what_each_contender_gains(work: Path) -> None:
    part, seed, draw = next(draws(PAIR, work, work, 1))
    row = comparing.compare(draw, {"skada CORAL": 0.5})
    assert row["gains"]["skada CORAL"] == pytest.approx(100 * (0.5 - row[SOURCE]), abs=0.01)
    assert row["gains"]["ours"] > 5
    assert row["gains"]["best of ours"] >= row["gains"]["ours, 20 labels"]
    assert row["gains"]["best of ours"] == max(0.0, *row["methods"].values())
    shown = table.as_markdown([{"pair": str(PAIRS[0]), "part": part, "seed": seed} | row])
    assert "written digits, all classes" in shown
    assert "No goal is missed." in shown


def row(ours: float, theirs: float, part: str = "all") -> dict[str, Any]:
    gains = {"ours": ours, "ours, 20 labels": ours, "best of ours": ours, "skada CORAL": theirs}
    return {"pair": "a → b", "part": part, "seed": 0, SOURCE: 0.5, "gains": gains, "methods": {}}


def test_goals_that_are_missed_are_said() -> None:
    assert table.missed([row(5.0, 1.0)]) == []
    assert table.missed([row(5.0, 4.0)]) == ["ours gains +5.0 points, skada CORAL +4.0."]
    assert table.missed([row(-1.5, -9.0)]) == ["a → b, all classes: -1.5 points."]
    assert table.missed([row(-1.5, -9.0, "some")]) == []
    late = row(5.0, 1.0)
    late["gains"]["best of ours"] = 8.0
    assert table.missed([late]) == ["20 labels leave 3.0 points to the best method."]


def test_a_spectrogram_has_its_energy_where_the_tone_is() -> None:
    seconds = np.arange(4000) / 8000
    low, high = (np.sin(2 * np.pi * hertz * seconds) for hertz in (300, 2500))
    rows = sounds.log_mel([low, high]).reshape(2, sounds.BANDS, sounds.FRAMES).mean(axis=2)
    places = rows.argmax(axis=1)
    assert places[0] < sounds.BANDS / 3 < sounds.BANDS / 2 < places[1]


def test_all_pairs_have_a_name_of_their_own() -> None:
    names = [str(pair) for pair in PAIRS]
    assert len(set(names)) == len(names)
    assert {pair.parts for pair in PAIRS if pair.kind == "reviews"} == {("all", "uneven")}
    assert set(domains.PARTS) == set(table.LEAST)
