"""Columns that number the classes that others name, and labels of several words."""

from __future__ import annotations

from pathlib import Path

import layouts
import pytest

from headstart.contracts.labels import parting_sign
from headstart.data import Schema, load
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.modalities.table import Table
from headstart.modalities.text import Text

KINDS = ("cat", "dog", "eel")


@pytest.mark.parametrize(
    ("numbers", "names", "more"),
    [
        ("Label", "ClassName", ""),
        ("label", "label_text", ""),
        ("label_id", "label_name", ""),
        ("target", "category", ",take"),
        ("classID", "class", ",fold"),
    ],
)
def test_names_go_before_the_numbers_of_classes(
    tmp_path: Path, numbers: str, names: str, more: str
) -> None:
    layouts.pictures(tmp_path / "im", count=30)
    extra = "ABCDE" if more == ",take" else "12345"
    rows = [(f"im/{n}.bmp", n % 3, KINDS[n % 3], extra[n % 5]) for n in range(30)]
    cells = rows if more else [row[:3] for row in rows]
    layouts.table(tmp_path / "all.csv", f"filename,{numbers},{names}{more}", cells)
    data = load(tmp_path, Image(), Schema())
    assert data.labels == KINDS
    sentence = f"`{numbers}` says the same classes as `{names}` and is not used"
    assert sentence in data.report.remarks[0]
    assert load(tmp_path, Image(), Schema(label=numbers)).labels == ("0", "1", "2")
    assert load(tmp_path, Image(), Schema(label=names)).labels == KINDS


@pytest.mark.parametrize("last", ["dog", ""])
def test_names_that_say_less_or_more_than_the_numbers_are_left(tmp_path: Path, last: str) -> None:
    rows = [(f"text {n} of it", n % 3, KINDS[n % 3]) for n in range(30)]
    rows[0] = (rows[0][0], 0, last)
    layouts.table(tmp_path / "all.csv", "text,label,label_text", rows)
    assert load(tmp_path, Text(), Schema()).labels == ("0", "1", "2")


@pytest.mark.parametrize("label", [None, "label", "label_text"])
def test_rows_are_not_learned_from_what_says_their_label(tmp_path: Path, label: str | None) -> None:
    rows = [(n * 37 % 101, n * 53 % 97, n % 3, KINDS[n % 3]) for n in range(60)]
    layouts.table(tmp_path / "a.csv", "a,b,label,label_text", rows)
    data = load(tmp_path / "a.csv", Table(), Schema(label=label))
    assert data.report.columns["content"] == ("a", "b")
    assert data.labels == (("0", "1", "2") if label == "label" else KINDS)


@pytest.mark.parametrize(
    ("labels", "sign"),
    [
        (("clear", "clear haze", "haze", "haze road", "clear road"), " "),
        (("a;b", "b;c", "a;c", "a"), ";"),
        (("golden retriever", "labrador retriever", "poodle"), ""),
        (("New York", "New Jersey"), ""),
        (("cat", "dog"), ""),
    ],
)
def test_the_sign_between_several_labels(labels: tuple[str, ...], sign: str) -> None:
    assert parting_sign(labels) == sign


def test_labels_of_several_words_are_told_of_with_the_flag_that_parts_them(tmp_path: Path) -> None:
    tags = ("clear", "clear haze", "haze", "haze road", "clear road", "clear haze road")
    rows = [(f"text {n} of it", tags[n % 6]) for n in range(60)]
    layouts.table(tmp_path / "all.csv", "text,tags", rows)
    data = load(tmp_path, Text(), Schema())
    sentence = "'clear haze' is read as one class (--delimiter ' ' parts it into several labels)"
    assert sentence in data.report.remarks
    parted = load(tmp_path, Text(), Schema(delimiter=" "))
    assert (parted.kind, parted.labels) == ("label sets", ("clear", "haze", "road"))


def test_sets_that_mostly_come_once_are_refused_with_the_flag_that_parts_them(
    tmp_path: Path,
) -> None:
    sets = [" ".join(w for bit, w in enumerate("abcde") if n >> bit & 1) for n in range(1, 32)]
    layouts.table(tmp_path / "all.csv", "text,tags", [(f"text {s} x", s) for s in sets])
    with pytest.raises(DataError, match="Part them by --delimiter ' ', name another column"):
        load(tmp_path, Text(), Schema())
    assert load(tmp_path, Text(), Schema(delimiter=" ")).labels == ("a", "b", "c", "d", "e")
