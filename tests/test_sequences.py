"""Texts as answers: how pairs are checked, which are left out, and which are never parted."""

from __future__ import annotations

import csv
import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart import catalog
from headstart.contracts.placeholders import placeholders, skeleton
from headstart.contracts.scripts import expected, language, scripts, share
from headstart.data import Dataset, Schema, load, recognise
from headstart.defaults import Settings
from headstart.errors import DataError, HeadstartError
from headstart.pipeline.schema import schema

TEXT = catalog.modality("text")
CYRILLIC = "абвгдежзиклмнопрстуфхцчшщ"
Pair = tuple[str, str]


def words(number: int, letters: str) -> str:
    """Three words that no other number has."""
    rng = random.Random(number)
    return " ".join("".join(rng.choices(letters, k=6)) for _ in range(3))


def pairs(count: int) -> list[Pair]:
    """Sentences of two scripts."""
    return [(words(n, string.ascii_lowercase), words(n, CYRILLIC)) for n in range(count)]


def table(path: Path, rows: Sequence[Sequence[str]], columns: Sequence[str] = ("en", "ru")) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def loaded(path: Path, source: str = "en", target: str = "ru", **more: Any) -> Dataset:
    return load(path, TEXT, Schema(label=target, content=(source,), kind="sequences", **more))


def left_out(dataset: Dataset) -> dict[str, str]:
    return dict(dataset.report.skipped)


def test_labels_are_texts_and_words_that_elsewhere_mean_missing_stay(tmp_path: Path) -> None:
    rows = [*pairs(30), ("None", "NA"), ("null here", "[1, 2]"), ("one", " два ")]
    dataset = loaded(table(tmp_path / "p.csv", rows))
    labels = {item.label for item in dataset.items}
    assert {"NA", "[1, 2]", "два"} <= labels
    assert dataset.labels == ("ru",)
    assert len(dataset.items) == 33
    assert "with a text of `ru`" in str(dataset.report)
    assert dataset.targets("test").shape[0] == dataset.report.sizes["test"]


def test_pairs_that_spoil_are_left_out_and_counted(tmp_path: Path) -> None:
    good = pairs(60)
    english, russian = good[0]
    spoilt = [
        ("", "пустая сторона"),
        ("an empty side", ""),
        (words(901, CYRILLIC), words(901, string.ascii_lowercase)),
        ("This sentence was never translated", "This sentence was never translated"),
        ("This one is in another language", "Dies ist eine andere Sprache"),
        ("Far too short here", words(902, CYRILLIC) * 20),
        (english, russian),
    ]
    rows = [*good, *spoilt, ("HTML", "HTML"), ("%1", "%1")]
    dataset = loaded(table(tmp_path / "p.csv", rows))
    reasons = [left_out(dataset)[f"p.csv#{line}"] for line in range(62, 69)]
    assert "no content" in reasons[0] and "no label" in reasons[1]
    assert "swapped" in reasons[2] and "copy" in reasons[3] and "script" in reasons[4]
    assert "lengths" in reasons[5] and "repeats" in reasons[6]
    assert len(dataset.items) == 62
    text = " ".join(dataset.report.remarks)
    assert "1 as its two texts are swapped" in text
    assert "2 targets equal their source" in text


def test_copies_stay_where_columns_are_no_two_languages(tmp_path: Path) -> None:
    rows = [*pairs(30), *[(text, text) for text, _ in pairs(45)[30:]]]
    path = table(tmp_path / "p.csv", rows, ("typed", "corrected"))
    assert len(loaded(path, "typed", "corrected").items) == 45


def test_columns_in_each_others_script_are_said(tmp_path: Path) -> None:
    rows = [(other, one) for one, other in pairs(30)]
    (sentence,) = loaded(table(tmp_path / "p.csv", rows)).report.warnings
    assert "seem to be swapped. Give --source ru --target en" in sentence


def test_what_differs_by_a_digit_a_placeholder_or_case_is_never_parted(tmp_path: Path) -> None:
    rows = []
    for n, (one, other) in enumerate(pairs(40)):
        rows += [(f"{one} 1", f"{other} 1"), (f"{one.upper()} 27!", other)]
        rows += [(f"{one} %{n % 9} {{name}}", other)]
    dataset = loaded(table(tmp_path / "p.csv", rows))
    splits: dict[str, set[str | None]] = {}
    for item in dataset.items:
        splits.setdefault(skeleton(item.read().decode()), set()).add(item.split)
    assert len(splits) == 40
    assert all(len(own) == 1 for own in splits.values())


def test_named_splits_lose_what_is_held_out_but_for_a_digit(tmp_path: Path) -> None:
    rows = [(*pair, "train") for pair in pairs(40)]
    rows += [(*pair, "test") for pair in pairs(60)[40:]]
    rows += [(f"{one} 7", f"{other} 7", "train") for one, other in pairs(60)[55:]]
    dataset = loaded(table(tmp_path / "p.csv", rows, ("en", "ru", "split")))
    assert len(dataset.report.leaks) == 5
    assert dataset.report.sizes["test"] == 20


def test_one_source_with_several_targets_stays_on_one_side(tmp_path: Path) -> None:
    rows = [(one, f"{other} {extra}") for one, other in pairs(40) for extra in ("да", "нет")]
    dataset = loaded(table(tmp_path / "p.csv", rows))
    assert len(dataset.items) == 80
    splits: dict[bytes, set[str | None]] = {}
    for item in dataset.items:
        splits.setdefault(item.read(), set()).add(item.split)
    assert all(len(own) == 1 for own in splits.values())


def test_documents_stay_together(tmp_path: Path) -> None:
    rows = [(*pair, f"page {n // 4}") for n, pair in enumerate(pairs(80))]
    dataset = loaded(table(tmp_path / "p.csv", rows, ("en", "ru", "page")), group="page")
    splits: dict[str, set[str | None]] = {}
    for item in dataset.items:
        splits.setdefault(item.group, set()).add(item.split)
    assert len(splits) == 20 and all(len(own) == 1 for own in splits.values())


def test_answers_that_were_learned_word_for_word_are_said(tmp_path: Path) -> None:
    rows = [(one, CYRILLIC[n % 4] * 9) for n, (one, _) in enumerate(pairs(60))]
    warnings = loaded(table(tmp_path / "p.csv", rows)).report.warnings
    assert any("word for word" in sentence for sentence in warnings)


def test_one_text_for_all_is_refused(tmp_path: Path) -> None:
    rows = [(one, "всё") for one, _ in pairs(30)]
    with pytest.raises(DataError, match="one text for every item, 'всё'"):
        loaded(table(tmp_path / "p.csv", rows))


def test_two_languages_without_a_direction_are_asked_about(tmp_path: Path) -> None:
    path = table(tmp_path / "p.csv", pairs(20))
    modalities = {name: catalog.modality(name) for name in catalog.MODALITIES}
    with pytest.raises(DataError, match="--source en --target ru, or the other way round"):
        recognise(path, modalities, Schema())
    assert recognise(path, modalities, schema(Settings(source="en", target="ru"))) == "text"
    with pytest.raises(DataError, match="no column 'de'; its columns: 'en', 'ru'"):
        loaded(path, target="de")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"source": "en"}, "Give --target, too"),
        ({"source": "en", "target": "en"}, "a column of its own"),
        ({"target": "ru", "label": "ru"}, "--label ru can't both be"),
        ({"source": "en", "target": "ru", "text": ("en",)}, "--text can't both be"),
        ({"target": "ru", "targets": "numbers"}, "--targets numbers asks for other answers"),
    ],
)
def test_directions_that_contradict_are_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadstartError, match=message):
        schema(Settings(**chosen))


@pytest.mark.parametrize(
    ("text", "actual"),
    [
        ("Page %1 of %2 (100 %)", ["%1", "%2"]),
        ("Hello {name}, {{count}} for ${price} or $5", ["{name}", "{{count}}", "${price}"]),
        ("<b>bold</b> &amp; 3 < 4", ["</b>", "<b>", "&amp;"]),
        ("See https://example.org/a?b=1.", ["https://example.org/a?b=1"]),
        ("%PRODUCTNAME and $(ARG1) at 5%", ["%PRODUCTNAME", "$(ARG1)"]),
        ("%(user)s has %d of %1$s, 50%, 5 %d", ["%(user)s", "%d", "%1$s", "%d"]),
        ("Nothing at all: 12.5% & co.", []),
    ],
)
def test_what_is_never_translated_is_found(text: str, actual: list[str]) -> None:
    assert sorted(placeholders(text).elements()) == sorted(actual)


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(st.sampled_from(string.ascii_letters + "аяßé "), min_size=1),
    number=st.integers(0, 999),
    sign=st.sampled_from(".,!?-…"),
)
def test_a_skeleton_has_neither_case_digits_nor_punctuation(
    text: str, number: int, sign: str
) -> None:
    if skeleton(text):
        assert skeleton(f"{sign}{text.upper()} {number}{sign}") == skeleton(text.upper())
        assert skeleton(skeleton(text)) == skeleton(text)


@pytest.mark.parametrize(
    ("name", "code"),
    [("en", "en"), ("pt_BR", "pt"), ("zh-Hant", "zh"), ("ukrainian", "uk"), ("rus_Cyrl", "rus")]
    + [(name, "") for name in ("xx", "text", "label", "sex", "")],
)
def test_columns_called_after_a_language_are_known(name: str, code: str) -> None:
    assert language(name) == code


def test_scripts_are_those_of_unicode() -> None:
    assert scripts("Ünï ж 漢 한 ｶ") == {
        "LATIN": 3,
        "CYRILLIC": 1,
        "CJK": 1,
        "HANGUL": 1,
        "KATAKANA": 1,
    }
    assert share(scripts("abж"), expected("uk")) == pytest.approx(1 / 3)


def test_columns_of_numbers_are_no_languages(tmp_path: Path) -> None:
    rows = [(f"{n}", f"{n}.5", f"{n * n}") for n in range(20)]
    path = table(tmp_path / "glass.csv", rows, ("Na", "Mg", "Ca"))
    with pytest.raises(DataError, match="is a table of numbers without texts"):
        load(path, TEXT, Schema())
