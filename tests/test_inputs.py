"""Anything a user holds as inputs: right, or refused in one sentence."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from conftest import write_pictures
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart.data import InlineSource, Schema, inputs_of
from headstart.errors import DataError
from headstart.modalities.image import Image as Pictures
from headstart.modalities.text import Text

TEXTS, PICTURES = Text(), Pictures()
PREPROCESS = {
    "channels": 3,
    "height": 16,
    "width": 16,
    "crop": 1.0,
    "crop_mode": "center",
    "interpolation": "bilinear",
    "mean": (0.5,) * 3,
    "std": (0.5,) * 3,
}


def contents(container: Any, schema: Schema | None = None) -> list[str]:
    """The texts that a thing holds."""
    result = inputs_of(container, TEXTS, schema or Schema())
    return [each.item.read().decode() for each in result]


def pixels(container: Any) -> np.ndarray:
    """The pictures that a thing holds, as a network sees them: (N, 3, 16, 16)."""
    results = [
        PICTURES.decode(each.item.read(), PREPROCESS) for each in inputs_of(container, PICTURES)
    ]
    return np.stack(results)


def names(container: Any, modality: Any = TEXTS, schema: Schema | None = None) -> list[str]:
    return [each.name for each in inputs_of(container, modality, schema or Schema())]


def drawn(texts: list[str]) -> Iterator[str]:
    """A generator, which has no length."""
    yield from texts


@given(st.text(min_size=1))
def test_a_string_is_one_text(text: str) -> None:
    (one,) = inputs_of(text, TEXTS)
    assert one.name == text
    assert isinstance(one.source, InlineSource)


@given(st.lists(st.text(min_size=1)))
def test_several_texts_are_as_many_in_any_container(texts: list[str]) -> None:
    containers: list[Any] = [texts, tuple(texts), drawn(texts), np.array(texts, dtype=object)]
    containers += [pa.array(texts, pa.string()), pa.table({"text": pa.array(texts, pa.string())})]
    for container in containers:
        assert names(container) == texts


def test_texts_in_every_holder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("from a file")
    (tmp_path / "b.txt").write_text("from another")
    assert contents("naïve") == contents(b"na\xc3\xafve") == contents(bytearray("naïve".encode()))
    assert contents(tmp_path / "a.txt") == ["from a file"]
    assert contents(tmp_path) == contents([tmp_path]) == ["from a file", "from another"]
    assert contents(["one", tmp_path / "b.txt", b"three"]) == ["one", "from another", "three"]
    assert contents(io.StringIO("typed")) == contents(io.BytesIO(b"typed")) == ["typed"]
    with open(tmp_path / "a.txt") as file:
        assert contents(file) == ["from a file"]
    assert contents(np.array("alone")) == ["alone"]
    assert contents(np.array([["a"], ["b"]])) == ["a", "b"]
    assert contents({"text": "a row", "stars": 3}) == ["a row"]
    assert contents([{"text": "a"}, {"text": "b", "label": 1}]) == ["a", "b"]


def test_no_file_is_opened_because_a_text_is_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "a.txt").write_text("bad")
    (tmp_path / "bad.txt").write_text("good")
    (tmp_path / "table.csv").write_text("text\nx\ny\n")
    entries = ["good", "bad.txt", "table.csv", "."]
    assert contents(entries) == names(entries) == entries
    assert contents("bad.txt") == ["bad.txt"]
    for alone in ("table.csv", ["table.csv"]):
        with pytest.raises(DataError, match=r"'table.csv' is a text.*pathlib.Path"):
            inputs_of(alone, TEXTS)
    assert contents(b"table.csv") == ["table.csv"]
    assert contents(Path("table.csv")) == ["x", "y"]


TABLE = pa.table(
    {"id": ["r1", "r2", "r3"], "text": ["a", None, "c"], "label": [0, 1, 0], "note": ["=", "", "x"]}
)


def written(folder: Path, suffix: str) -> Path:
    """The table as a manifest."""
    path = folder / f"reviews{suffix}"
    if suffix == ".parquet":
        pa.parquet.write_table(TABLE, path)
    elif suffix == ".jsonl":
        import json

        path.write_text("\n".join(map(json.dumps, TABLE.to_pylist())))
    else:
        rows = [
            list(map(lambda v: "" if v is None else str(v), r.values())) for r in TABLE.to_pylist()
        ]
        sign = "\t" if suffix == ".tsv" else ","
        path.write_text("\n".join(sign.join(row) for row in [TABLE.column_names, *rows]))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_rows_of_a_manifest_keep_their_ids_and_need_no_label(tmp_path: Path, suffix: str) -> None:
    items = list(inputs_of(written(tmp_path, suffix), TEXTS, Schema(label="label")))
    assert [each.id for each in items] == ["r1", "r2", "r3"]
    assert [each.name for each in items if not each.problem] == ["a", "c"]
    assert items[1].problem == "the row names no content"


def test_rows_in_memory_are_those_of_the_file(tmp_path: Path) -> None:
    for container in (
        TABLE,
        TABLE.to_batches()[0],
        pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches()),
    ):
        items = list(inputs_of(container, TEXTS))
        assert [(each.id, each.source is None) for each in items] == [
            ("r1", False),
            ("r2", True),
            ("r3", False),
        ]


def test_data_frames_are_read_by_their_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = TABLE.to_pandas()
    assert [each.id for each in inputs_of(frame, TEXTS)] == ["r1", "r2", "r3"]
    assert names(frame.dropna()) == names(frame["text"].dropna()) == ["a", "c"]
    assert [bool(each.problem) for each in inputs_of(frame["text"], TEXTS)] == [False, True, False]
    grey = [np.full((4, 4), 9, np.uint8), Image.new("L", (4, 4), 9)]
    assert (pixels(pandas.DataFrame({"image": grey, "label": [0, 1]})) == 9).all()


def test_polars_is_read_through_arrow() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"text": ["a", "b"], "label": [1, 0]})
    assert names(frame) == names(frame["text"]) == ["a", "b"]


def test_columns_of_training_are_read_where_others_are_there(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("stars,title,review\n5,no,yes\n1,no,yes too\n")
    fitted = Schema(label="stars", content=("review",))
    assert names(path, schema=fitted) == ["yes", "yes too"]
    path.write_text("title,review\nno,yes\n")
    assert names(path, schema=fitted) == ["yes"]
    path.write_text("verdict,stars\nfine,5\n")
    assert names(path, schema=Schema(label="stars")) == ["fine"]
    assert [each.id for each in inputs_of(path, TEXTS, Schema(label="stars"))] == ["t.csv#2"]
    with pytest.raises(DataError, match=r"has no column for the content.*--text"):
        names(path)
    with pytest.raises(DataError, match=r"The table has no column 'review'"):
        names(pa.table({"verdict": ["x"]}), schema=fitted)
    both = pa.table([["a"], ["b"]], ["text", "text"])
    with pytest.raises(DataError, match="two columns 'text'"):
        names(both)


def test_pairs_of_texts() -> None:
    schema = Schema(content=("premise", "claim"))
    rows = [{"premise": "a", "claim": "b"}, ("c", "d"), ["e", "f"]]
    assert contents(rows, schema) == ["a\x1eb", "c\x1ed", "e\x1ef"]
    assert names(rows, schema=schema) == ["a | b", "c | d", "e | f"]
    with pytest.raises(DataError, match="Item 0 is of type tuple, which is no text"):
        names([("c", "d")])


def test_pictures_in_every_holder(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"ants": 3})
    files = sorted((tmp_path / "ants").iterdir())
    opened = [Image.open(file) for file in files]
    stacked = np.stack([np.asarray(picture) for picture in opened])
    expected = pixels(files)
    (tmp_path / "list.csv").write_text("image\nants/000.png\nants/001.png\nants/002.png\n")
    bare = [{"image": {"bytes": file.read_bytes(), "path": None}} for file in files]
    holders: dict[str, Any] = {
        "folder": tmp_path,
        "folder as a string": str(tmp_path),
        "strings": [str(file) for file in files],
        "pictures": opened,
        "batch": stacked,
        "arrays": list(stacked),
        "fractions": stacked.astype(np.float32) / 255,
        "bytes": [file.read_bytes() for file in files],
        "memory": [io.BytesIO(file.read_bytes()) for file in files],
        "manifest": tmp_path / "list.csv",
        "manifest as a string": str(tmp_path / "list.csv"),
        "rows": bare,
        "column of bytes": pa.array([file.read_bytes() for file in files]),
        "mixed": [files[0], opened[1], stacked[2]],
    }
    for kind, container in holders.items():
        np.testing.assert_array_equal(pixels(container), expected, err_msg=kind)
    with open(files[1], "rb") as file:
        np.testing.assert_array_equal(pixels(file), expected[1:2])
    assert len(pixels(stacked[0])) == len(pixels(stacked[0, ..., 0])) == len(pixels(opened[0])) == 1
    assert names([opened[0], stacked[0]], PICTURES) == [str(files[0]), "item 1"]


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"]
)
def test_a_picture_in_memory_is_seen_as_its_file_is(mode: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = Image.fromarray(rng.integers(0, 255, (16, 16, 4), np.uint8), "RGBA")
    if mode == "I;16":
        picture = Image.fromarray(rng.integers(0, 65535, (16, 16), np.uint16))
    else:
        picture = source.convert("P").convert("PA") if mode == "PA" else source.convert(mode)
    suffix = "tif" if mode in ("CMYK", "YCbCr", "PA", "I;16") else "png"
    picture.save(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(pixels(picture), pixels(tmp_path / f"a.{suffix}"), atol=1)


def test_masks_and_deep_pictures_in_arrays() -> None:
    mask = np.zeros((16, 16), bool)
    mask[:8] = True
    np.testing.assert_array_equal(pixels(mask), pixels(mask.astype(np.uint8) * 255))
    np.testing.assert_array_equal(pixels(mask), pixels(mask.astype(np.uint16) * 65535))
    np.testing.assert_array_equal(pixels(mask), pixels(mask.astype(np.float16)))
    np.testing.assert_array_equal(pixels(mask), pixels(Image.fromarray(mask.astype(np.float32))))


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"a", "b"}, "of type set, which is no text"),
        (None, "The input is of type NoneType"),
        (3.5, "The input is of type float"),
        (["a", 3], "Item 1 is of type int"),
        (["a", ["b"]], "Item 1 is of type list"),
        (np.zeros(3), r"an array of float64 \(3,\), which is no text"),
        (Image.new("L", (4, 4)), "of type Image, which is no text"),
        (pa.table({"text": [1, 2]}), "Row 0 is of type int, which is no text"),
        ([None], "Item 0 is of type NoneType"),
        (Path("a.csv.gz"), ""),
    ],
)
def test_what_is_no_text_is_one_sentence(container: Any, message: str) -> None:
    if not message:
        (missing,) = inputs_of(container, TEXTS)
        assert missing.problem == "it does not exist"
        return
    with pytest.raises(DataError, match=message) as error:
        list(inputs_of(container, TEXTS))
    assert str(error.value).count(". ") == 1


@pytest.mark.parametrize(
    ("container", "message"),
    [
        (np.zeros((3, 20, 20), np.uint8), r"the shape \(3, 20, 20\), which is no picture"),
        (np.zeros((2, 3, 20, 20), np.uint8), r"Item 0 has the shape \(3, 20, 20\)"),
        (np.zeros((20, 20, 5), np.uint8), r"the shape \(20, 20, 5\), which is no picture"),
        (np.zeros((0, 4), np.uint8), r"the shape \(0, 4\)"),
        (np.full((4, 4), 7.0), "values from 7 to 7, and fractions of a picture go from 0 to 1"),
        (np.full((4, 4), np.nan), "values from nan to nan"),
        (np.zeros((4, 4), np.int64), "an array of int64"),
        (np.zeros(4), r"the shape \(4,\)"),
        (io.StringIO("x"), "does not give bytes"),
        ([3], "Item 0 is of type int, which is no picture"),
        ({"ants", "bees"}, "of type set, which is no picture"),
    ],
)
def test_what_is_no_picture_is_one_sentence(container: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(inputs_of(container, PICTURES))


def test_no_string_walks_a_folder_that_it_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path, {"ants": 2})
    monkeypatch.chdir(tmp_path)
    for name in ("", "/nowhere", "a\0b", "nothing.png"):
        (one,) = inputs_of(name, PICTURES)
        assert one.problem == "it does not exist"


@pytest.mark.parametrize("name", ["a.xlsx", "a.json", "a.zip", "a.tar.gz"])
def test_tables_and_archives_are_never_one_item(name: str, tmp_path: Path) -> None:
    from headstart.data.tables import SUFFIXES

    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04")
    if path.suffix in SUFFIXES:
        pytest.skip("this one is read")
    with pytest.raises(DataError, match="is a table or an archive"):
        list(inputs_of(path, TEXTS))
    with open(path, "rb") as file, pytest.raises(DataError, match="Give the path"):
        list(inputs_of(file, TEXTS))


def test_one_that_is_not_there_stops_no_other(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"ants": 1})
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "c.csv").write_text("image\n\x00\n")
    wrong = [tmp_path / name for name in ("gone.png", "empty", "b.zip", "c.csv")]
    every = [*map(str, wrong), "file:///nowhere/d.png", tmp_path / "ants"]
    *failed, last = inputs_of(iter(every), PICTURES)
    assert [each.problem.split(". ")[0] for each in failed][:3] == [
        "it does not exist",
        "it holds no file to predict on",
        "it is a table or an archive that can't be read here",
    ]
    assert len(failed) == 5 and all(each.problem for each in failed) and not last.problem
    with pytest.raises(DataError, match="empty holds no file"):
        list(inputs_of(wrong[1], PICTURES))


def test_names_that_are_no_unicode_are_kept(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    try:
        with open(raw, "wb") as file:
            file.write(b"here")
    except OSError:
        pytest.skip("this file system keeps Unicode alone")
    assert contents(Path(os.fsdecode(raw))) == ["here"]
