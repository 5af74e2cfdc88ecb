"""Lists of items in folders of their own, masks beside pictures, and classes in files' names."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import layouts
import pytest
from layouts import alternate, picture, pictures, table

from headstart.data import Schema, load, load_labelled
from headstart.data.items.lists import listed_classes
from headstart.data.tables import counted, known_refusal
from headstart.data.trees import walk
from headstart.errors import DataError
from headstart.modalities.image import Image


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ("a.png\tants\nb.png\tbees\n", 2),
        ("a.png\tants\nb.png\tbees\na.png\tbees\n", 0),  # a file of two classes
        ("a.png\tants\nb.png\twasps\n", 0),
    ],
)
def test_a_list_names_the_classes_of_a_split(tmp_path: Path, lines: str, count: int) -> None:
    for name in ("one/a.png", "one/b.png"):
        picture(tmp_path / name)
    (tmp_path / "val_annotations.txt").write_text(lines)
    assert len(listed_classes(walk(tmp_path, Image()), {"ants", "bees"})) == count
    picture(tmp_path / "two/a.png")  # another file of the same name
    assert listed_classes(walk(tmp_path, Image()), {"ants", "bees"}) == {}


def test_a_count_that_no_list_can_have_is_none(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{'9' * 5000}\nSmiling\na.png 1\n")
    assert counted.read(tmp_path / "list.txt") is None


def test_a_pipe_among_the_files_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert known_refusal(tmp_path / "pipe") == ""


def classes(path: Path, schema: Schema | None = None) -> dict[str, int]:
    return dict(Counter(item.label for item in load(path, Image(), schema or Schema()).items))


def test_a_list_in_a_folder_of_its_own_says_the_classes(tmp_path: Path) -> None:
    """ESC-50's `meta/` beside `audio/`, given as a folder or by the list."""
    root = tmp_path / "data" / "ESC-50-master"
    pictures(root / "clips", count=40)
    rows = [(f"{n}.bmp", n % 5, kind) for n, (_, kind) in enumerate(alternate("x" * 40))]
    table(root / "meta/esc50.csv", "filename,fold,category", rows)
    for place in (root.parent, root, root / "meta/esc50.csv"):
        assert classes(place, Schema(label="category")) == {"cat": 20, "dog": 20}


def test_a_list_leads_no_further_than_beside_its_folder(tmp_path: Path) -> None:
    pictures(tmp_path / "elsewhere", count=4)
    rows = [(f"../../elsewhere/{n}.bmp", "ab"[n % 2]) for n in range(4)]
    table(tmp_path / "set/meta/all.csv", "file,label", rows)
    with pytest.raises(DataError, match="lies outside the data set's folder"):
        load(tmp_path / "set/meta/all.csv", Image(), Schema())


def test_one_column_of_0_and_1_a_class_beside_the_pictures(tmp_path: Path) -> None:
    """ISIC's archives, each unpacked into its own folder."""
    pictures(tmp_path / "ISIC_Training_Input", count=30)
    rows = [(n, *(float(n % 3 == k) for k in range(3))) for n in range(30)]
    table(tmp_path / "ISIC_Training_GroundTruth/ISIC.csv", "image,MEL,NV,BCC", rows)
    assert classes(tmp_path) == {"MEL": 10, "NV": 10, "BCC": 10}


@pytest.mark.parametrize("marks", ["masks", "annotations/trimaps", "Segmentations", "labels"])
def test_folders_of_masks_are_no_classes(tmp_path: Path, marks: str) -> None:
    layouts.flat("images", marks)(tmp_path)
    with pytest.raises(DataError, match="in one folder, 'images', which names no class"):
        load(tmp_path, Image(), Schema())
    layouts.classes("images", marks)(tmp_path)
    for path in (tmp_path / "images").glob("*.bmp"):
        path.unlink()
    data = load(tmp_path, Image(), Schema())
    assert (data.labels, len(data.items)) == (("cat", "dog"), 40)
    name = marks.partition("/")[0]
    said = f"Folder {name!r} holds files that belong to items and is not used."
    assert said in data.report.warnings


def test_classes_of_faces_with_and_without_a_mask_are_read(tmp_path: Path) -> None:
    layouts.classes("", names=("mask", "no_mask"))(tmp_path)
    assert classes(tmp_path) == {"mask": 20, "no_mask": 20}


def test_masks_beside_their_pictures_are_no_items(tmp_path: Path) -> None:
    for kind in ("benign", "malignant"):
        for n in range(12):
            picture(tmp_path / kind / f"{kind} ({n}).bmp")
            picture(tmp_path / kind / f"{kind} ({n})_mask.bmp")
        picture(tmp_path / kind / f"{kind} (0)_mask_1.bmp")
    picture(tmp_path / "benign" / "lone_mask.bmp")  # of no other
    data = load(tmp_path, Image(), Schema())
    assert Counter(item.label for item in data.items) == {"benign": 13, "malignant": 12}
    assert "26 files are masks of others and are not used." in data.report.warnings


@pytest.mark.parametrize("folder", ["images", "jpg", "recordings", ""])
def test_where_no_folder_names_a_class_the_advice_works(tmp_path: Path, folder: str) -> None:
    for n in range(20):
        picture(tmp_path / folder / f"american_bulldog_{n}.bmp")
        picture(tmp_path / folder / f"Bengal_{n}.bmp")
    with pytest.raises(DataError, match=r"by --label name:0, which say 'Bengal', 'american_bulld"):
        load(tmp_path, Image(), Schema())
    assert classes(tmp_path, Schema(label="name:0")) == {"Bengal": 20, "american_bulldog": 20}


def test_splits_of_files_whose_names_say_the_class(tmp_path: Path) -> None:
    """Dogs vs. Cats: `train/cat.0.jpg`, and a test of numbers alone."""
    for n in range(20):
        for kind in ("cat", "dog"):
            picture(tmp_path / "train" / f"{kind}.{n}.bmp")
    pictures(tmp_path / "test1", count=10)
    with pytest.raises(DataError, match=r"--label name:0, which say 'cat', 'dog'\."):
        load(tmp_path, Image(), Schema())
    data = load(tmp_path, Image(), Schema(label="name:0"))
    assert Counter(item.label for item in data.items) == {"cat": 20, "dog": 20}
    assert data.report.split_rule.startswith("`test1` has no labels; train, validation and test")
    judged = load_labelled(tmp_path / "train", Image(), ("cat", "dog"), Schema(label="name:0"))
    assert Counter(item.label for item in judged.items) == {"cat": 20, "dog": 20}


def test_a_part_of_the_files_names_is_the_class_and_another_the_group(tmp_path: Path) -> None:
    for n in range(36):
        picture(tmp_path / "recordings" / f"{n % 3}_{'abcdef'[n // 6]}o_{n}.bmp")
    with pytest.raises(DataError, match="the part of the files' names that says the class, as"):
        load(tmp_path, Image(), Schema())
    data = load(tmp_path, Image(), Schema(label="name:1", group="name:2"))
    assert Counter(item.label for item in data.items) == {"0": 12, "1": 12, "2": 12}
    assert {item.group for item in data.items} == {f"{letter}o" for letter in "abcdef"}
    with pytest.raises(DataError, match="has no file with a part 7 in its name"):
        load(tmp_path, Image(), Schema(label="name:7"))


def test_a_file_that_may_list_the_pictures_is_named(tmp_path: Path) -> None:
    pictures(tmp_path / "images")
    (tmp_path / "project.json").write_text("[]")
    (tmp_path / "README.txt").write_text("")
    with pytest.raises(DataError, match=r"or give \S+project\.json itself, if that lists them\."):
        load(tmp_path, Image(), Schema())
