"""What words of a label column may mean: none, amounts with a unit, twins, or no class at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.data import Schema, load
from headstart.data.dataset import Dataset
from headstart.errors import DataError
from headstart.modalities.table import Table
from headstart.modalities.table.columns import NUMBER, kind_of
from headstart.modalities.text import Text


def labelled(path: Path, labels: list[str], **named: Any) -> Dataset:
    rows = [f'text {n} of some {n * 7 % 11} words\t"{label}"' for n, label in enumerate(labels)]
    (path / "all.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return load(path / "all.tsv", Text(), Schema(**named))


@pytest.mark.parametrize(
    ("form", "amounts"),
    [
        ("${:,.2f}", [1200.5 + 37 * n for n in range(40)]),
        ("{:.1f} %", [2.5 * n for n in range(40)]),
        ("{:.1f}%", [-2.5 * n for n in range(1, 41)]),
        ("€{:.2f}", [n + 0.25 for n in range(40)]),
        ("${:,}", [1200 + 37 * n for n in range(40)]),
    ],
)
def test_amounts_with_one_unit_are_numbers(tmp_path: Path, form: str, amounts: list[float]) -> None:
    data = labelled(tmp_path, [form.format(amount) for amount in amounts])
    every = np.concatenate([data.targets(name)[:, 0] for name in ("train", "validation", "test")])
    assert data.kind == "numbers"
    assert sorted(every) == pytest.approx(sorted(amounts))


def test_amounts_of_several_units_are_words(tmp_path: Path) -> None:
    assert labelled(tmp_path, ["$5", "€5"] * 20).labels == ("$5", "€5")
    assert labelled(tmp_path, ["100%", "50%"] * 20, kind="classes").labels == ("100%", "50%")


@pytest.mark.parametrize("word", ["?", "-", "n.a."])
def test_a_word_that_may_be_no_label_is_said_and_the_advice_works(
    tmp_path: Path, word: str
) -> None:
    data = labelled(tmp_path, ["yes", "no", word] * 20)
    said = f"{word!r} is read as a class (--missing '{word}' leaves its rows out)"
    assert said in data.report.remarks
    assert labelled(tmp_path, ["yes", "no", word] * 20, missing=word).labels == ("no", "yes")


@pytest.mark.parametrize("labels", [("+", "-"), ("a", "b")])
def test_two_signs_are_two_classes(tmp_path: Path, labels: tuple[str, str]) -> None:
    data = labelled(tmp_path, [*labels] * 20)
    assert not any("--missing" in remark for remark in data.report.remarks)


@pytest.mark.parametrize(("one", "other"), [("❤", "❤️"), ("New York", "New  York"), ("cat", "cat​")])
def test_classes_that_look_the_same_are_warned_of(tmp_path: Path, one: str, other: str) -> None:
    data = labelled(tmp_path, [one, other, "dog"] * 20)
    assert len(data.labels) == 3
    assert any("differ in signs that are not seen alone" in w for w in data.report.warnings)


def test_a_column_of_captions_names_no_class(tmp_path: Path) -> None:
    captions = [f"a drawing of {n} things" for n in range(30)]
    with pytest.raises(
        DataError, match="35 different labels for 40 items in column 'label', 30 of"
    ):
        labelled(tmp_path, captions + [f"{letter}" for letter in "abcde"] * 2)


def test_a_sign_for_what_is_not_known_leaves_a_column_numbers() -> None:
    kind = kind_of("power", ["?" if n % 4 == 0 else f"{130 + n % 9}.0" for n in range(40)])
    assert (kind.name, kind.remark) == (
        NUMBER,
        "`power` holds '?' 10 times, as missing numbers",
    )
    assert kind_of("root", ["?", "e", "c"] * 20).name == "category"
    assert kind_of("odd", ["?" if n % 3 else str(n) for n in range(40)]).name != NUMBER


def test_a_table_is_learned_from_with_such_signs(tmp_path: Path) -> None:
    rows = [f"{'?' if n % 5 == 0 else 100 + n * 37 % 91},{n * 53 % 83},{n % 2}" for n in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["power,mass,fast", *rows]) + "\n")
    data = load(tmp_path / "a.csv", Table(), Schema(label="fast"))
    assert data.report.remarks[0].startswith("numbers `power`, `mass`; `power` holds '?' 12 times")
