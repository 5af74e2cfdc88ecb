"""Figures that show no more than there is: bounds, single dots, many classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import page, sections, stored
from records import near, record

from headstart.report import by_class, figures
from headstart.report.contents import large
from headstart.report.figures import Series
from headstart.report.page import LARGE_PICTURES, write_page

NAMES = tuple(f"{a} {b} for class" for a in ("wool", "linen", "silk") for b in range(26))[:77]


def reach(drawing: dict[str, Any], axis: str) -> tuple[float, float]:
    """The least and the greatest that a drawing shows along an axis: its range and its marks."""
    bounds = list(drawing["layout"][f"{axis}axis"].get("range") or ())
    for trace in drawing["data"]:
        values = [value for value in trace[axis] if value is not None]
        spread = trace.get(f"error_{axis}") or {}
        bounds += values
        for sign, name in ((1, "array"), (-1, "arrayminus")):
            bounds += [v + sign * by for v, by in zip(values, spread.get(name, ()), strict=False)]
    return min(bounds), max(bounds)


def test_no_accuracy_is_drawn_above_one(tmp_path: Path) -> None:
    entry = record(items=20)
    high = near(0.99, 0.05)  # up to 1.04
    for arm in entry["arms"].values():
        arm |= high
    entry["labels"] |= {"transfer": [{"items": n} | high for n in (10, 20)], "forecast": []}
    entry["groups"] = [{"group": name, "items": 9} | high for name in "ab"]
    drawings = stored(page(tmp_path, entry), "drawings")
    for name, axis in (("arms", "x"), ("groups", "x"), ("labels", "y"), ("convergence-steps", "y")):
        low, top = reach(drawings[name], axis)
        assert 0 <= low and 0.9 < top <= 1 + 1e-9, name
    everywhere = [each["layout"] for each in drawings.values()]
    axes = [each[f"{axis}axis"] for each in everywhere for axis in "xy"]
    names = [each for each in axes if str(each.get("title", {}).get("text")).startswith("accuracy")]
    assert len(names) >= 6 and all(max(each["range"]) <= 1 for each in names)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5)), min_size=1, max_size=8))
def test_an_axis_holds_all_marks_and_no_impossible_one(points: list[tuple[float, float]]) -> None:
    rows = [near(value, room) for value, room in points]
    drawing = figures.intervals([str(n) for n in range(len(rows))], [Series("a", rows)], "accuracy")
    low, top = drawing["layout"]["xaxis"]["range"]
    assert 0 <= low < top <= 1
    assert low <= min(value for value, _ in points) and max(value for value, _ in points) <= top
    lowest, highest = reach(drawing, "x")
    assert -1e-9 <= lowest and highest <= 1 + 1e-9


def test_a_metric_without_bounds_is_drawn_as_it_is() -> None:
    rows = [near(-3.0), near(4.0)]
    drawing = figures.intervals(["a", "b"], [Series("a", rows)], "negative absolute error")
    assert reach(drawing, "x")[0] < -3 and reach(drawing, "x")[1] > 4
    assert reach(figures.intervals(["a", "b"], [Series("a", rows[:1])], "r2"), "x")[1] <= 1


def test_a_single_dot_is_no_figure(tmp_path: Path) -> None:
    entry = record(items=20)
    entry["arms"] = {"chosen": entry["arms"]["chosen"]}
    entry |= {"verdict": "evaluated", "gain": None, "evaluated": "more", "model": "m"}
    del entry["dropped"]
    entry["groups"] = entry["groups"][:1]
    entry["labels"] |= {"transfer": entry["labels"]["transfer"][:1], "scratch": [], "forecast": []}
    for name in ("chosen", "scratch"):
        entry["convergence"][name] = entry["convergence"][name][:1]
    text = page(tmp_path, entry)
    drawings = stored(text, "drawings")
    alone = {"arms", "groups", "labels", "convergence-steps", "convergence-seconds"}
    assert alone.isdisjoint(drawings) and "robustness" in drawings
    assert {"arms", "groups", "labels"} <= sections(text)  # their numbers stand in tables
    convergence = text[
        text.index('<section id="convergence"') : text.index('<section id="confusion"')
    ]
    assert convergence.count("<table>") == 1  # both would be the same
    assert 'data-figure="arms"' not in text and "<td>night" not in text and "night</th>" in text


def test_of_many_classes_the_confused_pairs_come_first(tmp_path: Path) -> None:
    entry = record(NAMES, items=200)
    counts = 9 * np.eye(77, dtype=int)
    counts[5, 70] = 6
    counts[70, 5] = 4
    counts[8, 9] = 1
    entry["classes"]["confusion"] = counts.tolist()
    section = by_class.confusion(entry)
    assert section is not None
    (figure,) = section.figures
    assert [row[:3] for row in figure.table.rows] == [
        (NAMES[5], NAMES[70], "6"),
        (NAMES[70], NAMES[5], "4"),
        (NAMES[8], NAMES[9], "1"),
    ]
    assert f"6 of 15 items of '{NAMES[5]}' are taken for '{NAMES[70]}'" in section.sentences[0]
    ticks = figure.drawing["layout"]["yaxis"]["ticktext"]
    assert len(set(ticks)) == 40
    assert abs(ticks.index(NAMES[5]) - ticks.index(NAMES[70])) == 1
    assert figure.folded
    assert page(tmp_path, entry).count('<details class="fold">') == 2


def test_many_classes_are_listed_in_groups_from_the_worst() -> None:
    entry = record(NAMES, items=200)
    for number, row in enumerate(entry["classes"]["rows"]):
        row |= near(number / 76)
    section = by_class.classes(entry)
    assert section is not None
    table = section.figures[0].table
    assert [row[0] for row in table.rows] == list(NAMES)
    assert list(table.headings.items()) == [
        (0, "Accuracy below 50 %: 38 classes"),
        (38, "Accuracy 50 % to 80 %: 23 classes"),
        (61, "Accuracy 80 % to 95 %: 12 classes"),
        (73, "Accuracy 95 % to 100 %: 4 classes"),
    ]
    assert table.meters[38] == pytest.approx(0.5)
    few = by_class.classes(record(items=20))
    assert few is not None and not few.figures[0].folded and not few.figures[0].table.headings


def test_large_pictures_take_what_they_may_and_those_of_cards_come_first(tmp_path: Path) -> None:
    entry = record(items=200)
    entry["items"]["mistakes"] *= 2
    small, wide = "data:image/jpeg;base64,AAAA", f"data:image/jpeg;base64,{'A' * 100_000}"
    ids = entry["items"]["map"]["id"]
    pictures = dict.fromkeys(ids, small) | {large(item): wide for item in ids}
    written = write_page(tmp_path, entry, pictures)
    thumbnails = stored(written.read_text(encoding="utf-8"), "pictures")
    opened = [item for item in thumbnails if item.endswith(" large")]
    assert len(opened) * 100_000 <= LARGE_PICTURES < (len(opened) + 1) * 101_000
    assert {large(row["id"]) for row in entry["items"]["mistakes"]} <= set(opened)
    assert set(ids) <= thumbnails.keys()
