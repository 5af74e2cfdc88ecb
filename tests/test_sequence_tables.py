"""Where pairs of texts come from: TMX, files side by side, columns of Hugging Face, tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sequences import TEXT, Pair, pairs, table

from headstart.data import Dataset, Schema, data_of, load
from headstart.data.tables import read
from headstart.errors import DataError

PAIRS = pairs(40)


def loaded(data: Any) -> Dataset:
    return load(data_of(data), TEXT, Schema(label="ru", content=("en",), kind="sequences"))


def of(dataset: Dataset) -> set[Pair]:
    return {(item.read().decode(), item.label) for item in dataset.items}


def moses(folder: Path, rows: list[Pair] = PAIRS, name: str = "corpus") -> Path:
    folder.mkdir(exist_ok=True)
    for place, language in enumerate(("en", "ru")):
        text = "".join(f"{row[place]}\n" for row in rows)
        (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    return folder


def unit(row: Pair) -> str:
    sides = zip(("en", "ru"), row, strict=True)
    return "".join(
        f'<tuv xml:lang="{language}"><seg>{escape(text)}</seg></tuv>' for language, text in sides
    )


def tmx(path: Path, rows: list[Pair] = PAIRS, head: str = "") -> Path:
    units = "".join(f"<tu>{unit(row)}</tu>" for row in rows)
    path.write_text(f"{head}<tmx version='1.4'><header/><body>{units}</body></tmx>", "utf-8")
    return path


def records() -> list[dict[str, Any]]:
    return [{"id": n, "translation": {"en": a, "ru": b}} for n, (a, b) in enumerate(PAIRS)]


def lines(path: Path) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in records()))
    return path


def saved(path: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_list(records())
    datasets.DatasetDict({"train": whole}).save_to_disk(str(path))
    return path


def parquet(path: Path) -> Path:
    from pyarrow import Table
    from pyarrow.parquet import write_table

    write_table(Table.from_pylist(records()), path)
    return path


@pytest.mark.parametrize(
    "written",
    [
        lambda folder: table(folder / "p.csv", PAIRS),
        lambda folder: moses(folder / "m"),
        lambda folder: moses(folder / "m") / "corpus.en",
        lambda folder: tmx(folder / "m.tmx"),
        lambda folder: lines(folder / "p.jsonl"),
        lambda folder: parquet(folder / "p.parquet"),
        lambda folder: saved(folder / "saved"),
    ],
    ids=["csv", "files", "file", "tmx", "jsonl", "parquet", "saved"],
)
def test_the_same_pairs_are_read_from_any_form(
    written: Callable[[Path], Path], tmp_path: Path
) -> None:
    assert of(loaded(written(tmp_path))) == set(PAIRS)


def test_a_data_set_of_hugging_face_is_read_in_memory() -> None:
    datasets = pytest.importorskip("datasets")
    assert of(loaded(datasets.Dataset.from_list(records()))) == set(PAIRS)


def test_files_of_splits_are_the_splits(tmp_path: Path) -> None:
    folder = moses(tmp_path / "m", PAIRS[:20], "train")
    moses(folder, PAIRS[20:30], "dev")
    moses(folder, PAIRS[30:], "test")
    (folder / "README.md").write_text("about it")
    assert loaded(folder).report.sizes == {"train": 20, "validation": 10, "test": 10}


def test_files_of_different_lengths_are_refused(tmp_path: Path) -> None:
    folder = moses(tmp_path / "m")
    (folder / "corpus.ru").write_text("одна\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"corpus.en has 40 lines and corpus.ru 1,"):
        loaded(folder)


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    strange = "one\u2028line\x0bof\x85text"
    folder = moses(tmp_path / "m", [(strange, "раз"), ("two", "два")])
    (whole,) = read(folder / "corpus.en")
    assert [*whole.values("en")] == [strange, "two"]


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")))))
def test_a_memory_gives_back_the_texts_that_it_holds(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [(text, f"{text}!") for text in texts] or [("a", "b")]
    (whole,) = read(tmx(tmp_path_factory.mktemp("tmx") / "m.tmx", rows))
    assert [*zip(whole.values("en"), whole.values("ru"), strict=True)] == rows


def test_a_memory_names_its_type_and_holds_marks_of_layout(tmp_path: Path) -> None:
    head = "<?xml version='1.0'?><!DOCTYPE tmx SYSTEM 'tmx14.dtd'>"
    path = tmx(tmp_path / "m.tmx", [("a", "два")], head)
    marked = "<seg>x&nbsp;<bpt i='1'>&lt;b&gt;</bpt>y<ept i='1'>&lt;/b&gt;</ept> <ph>%1</ph></seg>"
    path.write_text(path.read_text().replace("<seg>a</seg>", marked))
    (whole,) = read(path)
    assert [*whole.values("en")] == ["x\u00a0y %1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<!DOCTYPE tmx [<!ENTITY a 'aaaa'>]><tmx><body/></tmx>", "declares entities"),
        ("<!DOCTYPE tmx [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><tmx/>", "declares entities"),
        ("<tmx><body></tmx>", "can't be read as TMX"),
        ("<tmx><body/></tmx>", "holds no unit"),
        ("<tmx><tu><tuv><seg>a</seg></tuv></tu></tmx>", r"says its language \(xml:lang\)"),
    ],
)
def test_what_is_no_memory_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.tmx"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        loaded(path)


def test_real_pairs_are_read_with_what_is_wrong_in_them(shared_data: Path) -> None:
    folder = shared_data / "parallel" / "interface"
    schema = Schema(label="de", content=("en",), kind="sequences")
    report = load(folder, TEXT, schema).report
    assert report.sizes["test"] > 900 and len(report.leaks) > 100
    assert any("copy of its source" in why for _, why in report.skipped)


def test_pairs_without_a_header_are_asked_about_with_flags_that_work(tmp_path: Path) -> None:
    path = tmp_path / "rus.tsv"
    credit = "CC-BY 2.0 (France) Attribution: tatoeba.org"
    rows = [
        f"say {one} now\t{other} уже так\t{credit} #{n}\n" for n, (one, other) in enumerate(PAIRS)
    ]
    path.write_text("".join(rows), encoding="utf-8")
    with pytest.raises(DataError, match=r"--source 'column 1' --target 'column 2'; for classes"):
        load(path, TEXT, Schema())
    schema = Schema(label="column 2", content=("column 1",), kind="sequences")
    one, other = PAIRS[0]
    assert (f"say {one} now", f"{other} уже так") in of(load(path, TEXT, schema))


@pytest.mark.parametrize(
    ("name", "way"), [("a.po", "po2tmx -l"), ("a.xlf", "XLIFF"), ("a.srt", "sub")]
)
def test_catalogues_and_subtitles_are_refused_by_name(name: str, way: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=way):
        load(tmp_path / name, TEXT, Schema())
