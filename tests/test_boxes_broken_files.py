"""Broken XML and YOLO files: each fault said, and nothing else lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from annotations import BOUNDS, KEPT, OBJECT, boxes, found, picture, voc, yolo

from headstart.errors import DataError


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (OBJECT.format(""), "it has no <bndbox>; left out"),
        ("<object>" + BOUNDS + "</object>", "the box has no class; left out"),
        (
            OBJECT.format("<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax></bndbox>"),
            "['1', '2', '3', None] is no box of four numbers; left out",
        ),
    ],
)
def test_broken_xml_objects(tmp_path: Path, part: str, message: str) -> None:
    voc(tmp_path, OBJECT.format(BOUNDS) + part)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    assert contents.repaired == (("a.xml object 2", message),)


def test_documents_with_types_are_not_read(tmp_path: Path) -> None:
    voc(tmp_path, OBJECT.format(BOUNDS))
    bomb = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
    (tmp_path / "evil.xml").write_text(bomb)
    (tmp_path / "torn.xml").write_text("<annotation><object>")
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    faults = dict(contents.repaired)
    assert "declares document types" in faults["evil.xml"]
    assert "is no XML" in faults["torn.xml"]


def test_pictures_and_annotations_without_each_other(tmp_path: Path) -> None:
    voc(tmp_path, OBJECT.format(BOUNDS))
    picture(tmp_path / "alone.jpg")
    (tmp_path / "gone.xml").write_text(
        f"<annotation><filename>gone.jpg</filename>{OBJECT.format(BOUNDS)}</annotation>"
    )
    rows = {row.place: row for row in found(tmp_path).rows}
    assert rows["alone.jpg"].missing == "no annotation names the picture"
    assert rows["gone.xml"].source is None and rows["gone.xml"].missing
    assert rows["a.xml"].source is not None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", "class 2 is none of the 2 that are named; left out"),
        ("cat 0.5 0.5 0.1 0.1", "'cat' is no number of a class; left out"),
        ("0 0.5 0.5 0.1", "'0 0.5 0.5 0.1' is no class with four numbers; left out"),
        ("0 50 40 20 20", "'0 50 40 20 20' holds pixels in the place of shares; left out"),
        ("0 0.5 0.5 0 0", "it is 0x0 pixels large; left out"),
    ],
)
def test_broken_lines(tmp_path: Path, line: str, message: str) -> None:
    yolo(tmp_path, f"0 0.25 0.5 0.3 0.5\n{line}\n")
    contents = found(tmp_path)
    assert boxes(contents, "images/a.jpg") == [KEPT]
    assert boxes(contents, "images/b.jpg") == []
    assert contents.repaired == (("a.txt line 2", message),)


def test_a_broken_list_of_classes_is_refused(tmp_path: Path) -> None:
    yolo(tmp_path, "0 0.25 0.5 0.3 0.5\n", "names: [cat\n")
    with pytest.raises(DataError, match=r"data\.yaml can't be read: .* Correct the file\."):
        found(tmp_path)


def test_names_that_unfold_are_refused(tmp_path: Path) -> None:
    """Lists of lists of the same list would fill the memory, were they written out."""
    levels = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    yolo(tmp_path, "0 0.25 0.5 0.3 0.5\n", f"a0: &a0 [x]\n{levels}names: [*a39]\n")
    with pytest.raises(DataError, match="are no words"):
        found(tmp_path)


def test_why_no_box_can_be_read_is_said(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 50 40 20 20\n")
    with pytest.raises(DataError, match="holds pixels in the place of shares"):
        found(tmp_path)


def test_a_class_of_a_huge_number_is_not_counted_up_to(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("names: {0: cat, 99999999999: dog}\n")
    assert boxes(found(tmp_path), "a.jpg") == [["cat", 40.0, 32.0, 60.0, 48.0]]


def test_an_annotation_goes_by_its_own_name_where_its_picture_was_renamed(tmp_path: Path) -> None:
    voc(tmp_path, OBJECT.format(BOUNDS))
    body = (tmp_path / "a.xml").read_text().replace("a.jpg", "IMG_0001.png")
    (tmp_path / "a.xml").write_text(body)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    assert [row.missing for row in contents.rows] == [""]


def test_an_empty_annotation_is_said(tmp_path: Path) -> None:
    voc(tmp_path, OBJECT.format(BOUNDS))
    picture(tmp_path / "b.jpg")
    (tmp_path / "b.xml").write_text("")
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    assert "is no XML" in dict(contents.repaired)["b.xml"]


def test_one_name_is_no_list_of_classes(tmp_path: Path) -> None:
    yolo(tmp_path, "0 0.25 0.5 0.3 0.5\n", "names: cat\n")
    with pytest.raises(DataError, match=r"one name, 'cat', .* Write \[cat\]"):
        found(tmp_path)
