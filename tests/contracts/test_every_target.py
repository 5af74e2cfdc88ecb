"""The contract of kinds of target, over every one that the catalog knows."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart import catalog
from headstart.contracts import Encoding, Targets
from headstart.data import Item
from headstart.data.targets import kind_named, known_kind
from headstart.errors import DataError, UnknownNameError
from headstart.testing.targets import CHECKS, Sample, cell, subject

NAMES = sorted(catalog.names("targets"))
every_kind = pytest.mark.parametrize("name", NAMES)
# those whose cells are plain values; boxes have tests of their own
OF_CELLS = ("classes", "label sets", "numbers")
every_kind_of_cells = pytest.mark.parametrize("name", OF_CELLS)
HERE = Path("table.csv")
word = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=5)
CELLS: dict[str, st.SearchStrategy[Any]] = {  # what a table may hold for each of our kinds
    "classes": word,
    "label sets": st.lists(word, max_size=4),
    "numbers": st.floats(-1e6, 1e6, width=32),
}


def items(kind: Targets, cells: list[Any]) -> list[Item]:
    """Different items with these labels, those that are missing left out."""
    return Sample(kind, cells).items(cells)


@st.composite
def tables(draw: st.DrawFn, name: str) -> list[Any]:
    """Cells of a kind that are not all the same label."""
    kind = catalog.targets(name)
    cells = draw(st.lists(CELLS[name], min_size=2, max_size=12))
    if len({kind.read(cell(each)) for each in cells}) < 2:
        cells += [["other", "label"]] if name == "label sets" else ["7e7", "8e8"]
    return cells


def again(kind: Targets, row: Any, names: tuple[str, ...]) -> Any:
    """The cell that an encoded target says, by its encoding alone."""
    if kind.encoding is Encoding.INDEX:
        return names[row]
    if kind.encoding is Encoding.MARKS:
        return [name for name, mark in zip(names, row, strict=True) if mark]
    return row.tolist() if len(names) > 1 else float(row[0])


@every_kind
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(check: Callable[[Sample], None], name: str) -> None:
    check(subject(catalog.targets(name), None))


@every_kind
def test_it_is_documented_and_named(name: str) -> None:
    kind = catalog.targets(name)
    assert isinstance(kind, Targets) and inspect.getdoc(type(kind))
    assert kind.name == name == kind_named(name).name
    assert len(set(kind.words)) == 2 and all(kind.words)
    assert any(catalog.part("tasks", task).kind == name for task in catalog.names("tasks"))


@every_kind_of_cells
@given(data=st.data())
def test_what_is_read_is_encoded_and_says_the_same_label(name: str, data: st.DataObject) -> None:
    kind = catalog.targets(name)
    own = items(kind, data.draw(tables(name)))
    names = kind.names(HERE, own, ("label",))
    kind.recognise(HERE, own, names)
    rows = kind.encode([item.label for item in own], names)
    assert len(rows) == len(own)
    if kind.encoding is Encoding.INDEX:
        assert rows.dtype == np.int64 and rows.shape == (len(own),)
    else:
        assert rows.dtype == np.float32 and rows.shape == (len(own), len(names))
    labels = [kind.read(cell(again(kind, row, names))) for row in rows]
    np.testing.assert_array_equal(kind.encode([str(each) for each in labels], names), rows)
    if kind.encoding is not Encoding.AMOUNTS:  # which float32 rounds
        assert labels == [item.label for item in own]


@every_kind_of_cells
@given(data=st.data())
def test_counts_strata_and_sentences_fit_the_items(name: str, data: st.DataObject) -> None:
    kind = catalog.targets(name)
    own = items(kind, data.draw(tables(name)))
    names = kind.names(HERE, own, ("label",))
    counts = kind.count(own, names)
    assert set(counts) == (set(names) if set(counts) != {"items"} else {"items"})
    doubled = kind.count([*own, *own], names)
    assert doubled == {key: 2 * count for key, count in counts.items()}
    strata = {kind.stratum(item.label) for item in own}
    assert len(strata) in (1, len({item.label for item in own}))
    messages = [kind.heading(names), kind.spread(own, names), *kind.warnings({"train": own}, names)]
    assert messages[0] and all("\n" not in sentence for sentence in messages)


@every_kind_of_cells
def test_no_value_is_no_label_and_one_label_for_all_is_refused(name: str) -> None:
    kind = catalog.targets(name)
    assert kind.read(cell(None)) is None
    label: Any = {"label sets": ["a"], "numbers": 1.5}.get(name, "a")
    same = items(kind, [label] * 4)
    with pytest.raises(DataError, match=r"table\.csv has .*\. Give "):
        kind.names(HERE, same, ("label",))
    with pytest.raises(DataError, match=r"table\.csv has "):
        kind.demand_variety(HERE, same, ("label",))


@every_kind_of_cells
def test_a_stranger_to_the_model_is_refused(name: str) -> None:
    kind = catalog.targets(name)
    label: Any = {"label sets": ["a", "c"], "numbers": [1.0, 2.0]}.get(name, "c")
    with pytest.raises(DataError, match=r"table\.csv has "):
        kind.recognise(HERE, items(kind, [label]), ("b",))


@every_kind_of_cells
@given(data=st.data())
def test_a_table_of_names_sums_over_items(name: str, data: st.DataObject) -> None:
    """They have one row an item and one column a name, and right answers score 1."""
    kind = catalog.targets(name)
    own = items(kind, data.draw(tables(name)))
    names = kind.names(HERE, own, ("label",))
    targets = kind.encode([item.label for item in own], names)
    if kind.encoding is Encoding.INDEX:  # whose table is of the items of each
        assert kind.sums([], targets, names) == ()
        return
    answers = [answer(kind, row, names) for row in targets]
    sums = kind.sums(answers, targets, names)
    assert all(part.shape == (len(own), len(names)) for part in sums)
    scores = kind.measure([part.sum(axis=0) for part in sums])
    assert scores.shape == (len(names),)
    np.testing.assert_allclose(scores[np.isfinite(scores)], 1.0)


def answer(kind: Targets, row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """A decoded answer that is right."""
    message = again(kind, row, names)
    if kind.encoding is Encoding.MARKS:
        return {"labels": message}
    return {"value": message} if len(names) == 1 else {"values": dict(zip(names, row, strict=True))}


@every_kind_of_cells
def test_task_settings_are_json_that_its_tasks_take(name: str) -> None:
    kind = catalog.targets(name)
    cells_of: dict[str, list[Any]] = {
        "label sets": [["a"], ["a", "b"], []] * 4,
        "numbers": [0.5, 2.0, 7.0] * 4,
    }
    own = items(kind, cells_of.get(name, ["a"] * 8 + ["b"] * 2))
    names = kind.names(HERE, own, ("label",))
    targets = kind.encode([item.label for item in own], names)
    settings = kind.task_settings(targets, len(names), True)
    json.dumps(settings)
    for task in catalog.names("tasks"):
        if catalog.part("tasks", task).kind == name:
            settings_taken = catalog.task_settings(task, settings)
            assert settings_taken == settings
            assert catalog.task(task, **settings_taken).metric


@every_kind_of_cells
def test_one_answer_to_all_is_named_and_differing_ones_are_not(name: str) -> None:
    kind = catalog.targets(name)
    assert kind.only_answer(np.tile([3.0, -1.0], (4, 1)), ("ant", "bee"))
    assert not kind.only_answer(np.array([[3.0, -1.0], [-2.0, 4.0]]), ("ant", "bee"))


def test_unknown_kinds_are_refused_by_name_and_none_in_records() -> None:
    with pytest.raises(UnknownNameError, match=r"Kind of target 'number' is not known"):
        kind_named("number")
    assert known_kind("number") is None
