"""Which modality a data set is of, where no backbone says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_pictures

from headstart import catalog
from headstart.data import Schema, recognise
from headstart.errors import DataError

ALL = {name: catalog.modality(name) for name in ("image", "text")}


def told(place: Path, schema: Schema | None = None) -> str:
    return recognise(place, ALL, schema or Schema())


def test_pictures(pictures: Path) -> None:
    assert told(pictures) == "image"


def test_texts_in_a_table(tmp_path: Path) -> None:
    table = tmp_path / "reviews.csv"
    table.write_text("review,stars\nfine,good\npoor,bad\n")
    assert told(table, Schema(label="stars")) == "text"


def test_texts_in_files(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.txt").write_text(f"{name} enough")
    assert told(tmp_path) == "text"


def test_pictures_in_a_table_beside_them(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"ants": 2, "bees": 2})
    table = tmp_path / "all.csv"
    rows = [f"{name}/00{n}.png,{name}" for name in ("ants", "bees") for n in (0, 1)]
    table.write_text("\n".join(["image,label", *rows]) + "\n")
    assert told(table) == "image"


def test_the_kind_of_most_items_counts(pictures: Path) -> None:
    (pictures / "ants" / "notes.txt").write_text("seen in June")
    (pictures / "bees" / "notes.txt").write_text("seen in July")
    assert told(pictures) == "image"


def test_a_named_text_column_means_texts(tmp_path: Path) -> None:
    table = tmp_path / "all.csv"
    table.write_text("image,caption,label\na.png,an ant,ant\nb.png,a bee,bee\n")
    assert told(table, Schema(content=("caption",))) == "text"


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_nothing_there_is_an_error_of_the_first_modality(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        told(tmp_path / name)
