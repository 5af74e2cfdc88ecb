"""Lists of items by split, beside folders that name classes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import layouts
import pytest

from headstart.data import Schema, load
from headstart.data.dataset import Dataset
from headstart.errors import DataError
from headstart.modalities.image import Image

KINDS = ("cat", "dog")


def listed(path: Path, numbers: range, form: str = "{kind}/{n}.bmp") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [form.format(kind=kind, n=n) for kind in KINDS for n in numbers]
    path.write_text("\n".join(lines) + "\n")


def loaded(path: Path) -> Dataset:
    layouts.classes("images")(path)
    return load(path, Image(), Schema())


@pytest.mark.parametrize(
    "form", ["{kind}/{n}.bmp", "{kind}/{n}", "./images/{kind}/{n}.bmp", "images/{kind}/{n}.bmp 1 2"]
)
def test_all_splits_are_as_listed(tmp_path: Path, form: str) -> None:
    for name, numbers in (("train", range(12)), ("val", range(12, 16)), ("test", range(16, 20))):
        listed(tmp_path / "splits" / f"{name}1.txt", numbers, form)
    data = loaded(tmp_path)
    splits = {int(Path(i.id).stem): i.split for i in data.items}
    assert splits == {
        n: "train" if n < 12 else "validation" if n < 16 else "test" for n in range(20)
    }
    assert data.report.split_rule.startswith("`train1.txt`, `val1.txt` and `test1.txt` are")


def test_what_no_list_names_is_learned_from_or_not_used(tmp_path: Path) -> None:
    listed(tmp_path / "testing_list.txt", range(5))
    data = loaded(tmp_path)
    assert Counter(item.split for item in data.items)["test"] == 10
    assert data.report.split_rule.startswith("`testing_list.txt` is the held-out test; validation")
    listed(tmp_path / "trainval.txt", range(5, 18))
    data = load(tmp_path, Image(), Schema())
    assert len(data.items) == 36
    assert "4 files that no list of a split names are not used." in data.report.warnings


def test_lists_called_after_a_split_alone_go_before_those_of_classes(tmp_path: Path) -> None:
    """Pascal VOC's `ImageSets/Main`."""
    main = tmp_path / "ImageSets" / "Main"
    for name, numbers in (("train", range(12)), ("val", range(12, 20)), ("trainval", range(20))):
        listed(main / f"{name}.txt", numbers, "{kind}/{n}")
        listed(main / f"cat_{name}.txt", numbers, "{kind}/{n}  1")
    data = loaded(tmp_path)
    assert Counter(item.split for item in data.items)["test"] == 16
    assert data.report.split_rule.startswith("`val.txt` is the held-out test; ")


def test_boxes_are_parted_by_lists_too(tmp_path: Path) -> None:
    root = tmp_path / "VOC2012"
    for n in range(20):
        layouts.picture(root / "JPEGImages" / f"{n:06}.bmp")
        marks = "".join(f"<{side}>{n}</{side}>" for n, side in ((0, "xmin"), (0, "ymin")))
        marks += "".join(f"<{side}>{n}</{side}>" for n, side in ((3, "xmax"), (3, "ymax")))
        text = f"<annotation><filename>{n:06}.bmp</filename><object><name>{'ab'[n % 2]}</name>"
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{n:06}.xml").write_text(
            f"{text}<bndbox>{marks}</bndbox></object></annotation>"
        )
    (root / "ImageSets/Main").mkdir(parents=True)
    for name, numbers in (("train", range(14)), ("val", range(14, 20))):
        lines = "".join(f"{n:06}\n" for n in numbers)
        (root / "ImageSets/Main" / f"{name}.txt").write_text(lines)
    data = load(tmp_path, Image(), Schema(kind="boxes"))
    assert {int(Path(i.id).stem) for i in data.items if i.split == "test"} == {*range(14, 20)}


@pytest.mark.parametrize("text", ["cat/0.bmp\nnowhere/1.bmp\n", "see https://example.org\n", ""])
def test_a_text_that_lists_other_things_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "test.txt").write_text(text)
    listed(tmp_path / "train.txt", range(5))
    data = loaded(tmp_path)
    assert (len(data.items), data.report.split_rule[:8]) == (40, "train, v")


def test_several_lists_of_a_split_are_left_alone(tmp_path: Path) -> None:
    for name in ("train1", "train2", "test1", "test2"):
        listed(tmp_path / "splits" / f"{name}.txt", range(3))
    assert loaded(tmp_path).report.split_rule.startswith("train, validation and test (70/15/15)")


@pytest.mark.parametrize("numbered", [True, False])
def test_one_list_of_flags_says_both_splits(tmp_path: Path, numbered: bool) -> None:
    """CUB-200's `train_test_split.txt`, whose numbers `images.txt` gives to files."""
    layouts.classes("images")(tmp_path)
    names = [f"{kind}/{n}.bmp" for kind in KINDS for n in range(20)]
    ids = range(1, 41) if numbered else names
    for name, cells in (
        ("bounding_boxes", ["1.0 2.0 5.0 6.0"] * 40),
        ("image_class_labels", [1 + (n > 19) for n in range(40)]),
        ("images", names),
        ("train_test_split", [int(n % 4 > 0) for n in range(40)]),
    ):
        lines = [f"{own} {cell}\n" for own, cell in zip(ids, cells, strict=True)]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    data = load(tmp_path, Image(), Schema())
    tests = {item.id for item in data.items if item.split == "test"}
    assert tests == {f"images/{kind}/{n}.bmp" for kind in KINDS for n in range(0, 20, 4)}
    assert "`train_test_split.txt` says which split a file is in" in data.report.remarks


def test_flags_of_what_is_not_here_part_nothing(tmp_path: Path) -> None:
    layouts.classes("images")(tmp_path)
    (tmp_path / "train_test_split.txt").write_text("".join(f"{n} {n % 2}\n" for n in range(40)))
    data = load(tmp_path, Image(), Schema())
    assert Counter(item.split for item in data.items)["test"] == 6


def celeba(root: Path) -> None:
    """Lists of 48 files, 40 of which are here."""
    layouts.pictures(root / "faces", count=40)
    signs = [f"{n}.bmp {(-1, 1)[n % 2]:2d} {(-1, 1)[n % 3 > 0]:2d}" for n in range(48)]
    (root / "list_attr.txt").write_text("\n".join(["48", "Male Young ", *signs]))
    parts = [f"{n}.bmp {n // 28 + n // 34 - n // 40}" for n in range(48)]
    (root / "list_eval_partition.txt").write_text("\n".join(parts))
    (root / "identity.txt").write_text("\n".join(f"{n}.bmp {n % 5}" for n in range(48)))


@pytest.mark.parametrize(
    ("given", "label", "first"),
    [("list_attr.txt", None, "[]"), ("", "Male", "-1"), ("list_attr.txt", "Young", "-1")],
)
def test_partitions_are_numbered_behind_the_files(
    tmp_path: Path, given: str, label: str | None, first: str
) -> None:
    celeba(tmp_path)
    data = load(tmp_path / given, Image(), Schema(label=label))
    splits = {int(Path(i.id).stem): i.split for i in data.items}
    assert splits == {
        n: "train" if n < 28 else "validation" if n < 34 else "test" for n in range(40)
    }
    assert data.items[0].label == first
    assert len(data.report.skipped) == 8


def test_a_torn_line_below_a_count_is_named(tmp_path: Path) -> None:
    celeba(tmp_path)
    text = (tmp_path / "list_attr.txt").read_text()
    (tmp_path / "list_attr.txt").write_text(text + "\n48.bmp 1\n")
    with pytest.raises(DataError, match=r"line 51 has 2 words under 3 columns\."):
        load(tmp_path / "list_attr.txt", Image(), Schema())
    (tmp_path / "list_attr.txt").write_text(text.rpartition("\n")[0])
    data = load(tmp_path / "list_attr.txt", Image(), Schema())
    assert "the list counts 48 files and names 47" in data.report.remarks[0]


def test_labels_called_after_splits_are_labels(tmp_path: Path) -> None:
    """Numbers behind files say the class in any list but one of partitions."""
    layouts.pictures(tmp_path / "faces", count=40)
    lines = "".join(f"{n}.bmp {n % 3}\n" for n in range(40))
    (tmp_path / "split1.txt").write_text(lines)
    data = load(tmp_path, Image(), Schema())
    assert data.labels == ("0", "1", "2")
    assert data.report.split_rule.startswith("train, validation and test (70/15/15)")
