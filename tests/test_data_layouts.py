"""Folders: classes, splits by name, and what lies beside them."""

from __future__ import annotations

import io
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import open_to_all, write_pictures
from PIL import Image as pil

from headstart.data import Dataset, find_inputs, load, load_labelled
from headstart.data.items import demand_data
from headstart.errors import DataError
from headstart.modalities.image import Image


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    pil.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def sizes(data: Dataset) -> dict[str, int]:
    return {name: len(data.split(name)) for name in ("train", "validation", "test")}


def tree(root: Path, splits: dict[str, int], seed: int = 0) -> Path:
    for split, count in splits.items():
        seed += 1
        write_pictures(root / split, {"ants": count, "bees": count}, size=4, seed=seed)
    return root


def test_a_folder_per_class_is_cut_by_content(pictures: Path) -> None:
    data = load(pictures, Image())
    assert data.labels == ("ants", "bees")
    assert len(data.items) == 80 == sum(sizes(data).values())
    assert all(sizes(data).values())
    assert "70/15/15" in data.report.split_rule
    first = data.items[0]
    assert first.id == "ants/000.png"
    assert first.read() == (pictures / "ants" / "000.png").read_bytes()
    assert len(first.digest) == 32


def test_targets_follow_the_items(pictures: Path) -> None:
    data = load(pictures, Image())
    for name in ("train", "validation", "test"):
        targets = data.targets(name)
        assert targets.dtype == np.int64
        assert [data.labels[number] for number in targets] == [i.label for i in data.split(name)]


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("training", "valid", "testing"),
        ("Train", "VALIDATION", "Test"),
        ("train", "dev", "test"),
    ],
)
def test_three_splits_are_used_as_named(tmp_path: Path, names: tuple[str, str, str]) -> None:
    tree(tmp_path, dict(zip(names, (9, 4, 5), strict=True)))
    data = load(tmp_path, Image())
    assert sizes(data) == {"train": 18, "validation": 8, "test": 10}
    assert all(f"`{name}`" in data.report.split_rule for name in names)
    assert all(item.id.startswith(names[2] + "/") for item in data.split("test"))


@pytest.mark.parametrize("second", ["val", "test"])
def test_of_two_splits_the_second_is_held_out(tmp_path: Path, second: str) -> None:
    tree(tmp_path, {"train": 30, second: 7})
    data = load(tmp_path, Image())
    assert {item.id.split("/")[0] for item in data.split("test")} == {second}
    assert sizes(data)["test"] == 14
    assert {item.id.split("/")[0] for item in data.split("validation")} == {"train"}
    assert 1 < sizes(data)["validation"] < 25
    assert f"`{second}` is the held-out test" in data.report.split_rule
    assert "cut from `train`" in data.report.split_rule


def test_one_split_is_no_split(tmp_path: Path) -> None:
    data = load(tree(tmp_path, {"train": 30}), Image())
    assert "only `train` is there" in data.report.split_rule
    assert all(sizes(data).values())


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    data = load(write_pictures(tmp_path, {"train": 12, "test": 12, "car": 12}, size=4), Image())
    assert data.labels == ("car", "test", "train")


def test_folders_beside_the_splits_are_told(tmp_path: Path) -> None:
    tree(tmp_path, {"train": 12, "test": 12})
    put(tmp_path / "more" / "a.png", picture(1))
    data = load(tmp_path, Image())
    assert "Folder 'more' lies beside the splits and is not used." in data.report.warnings


def test_nested_hidden_and_other_files(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"ants": 8, "bees": 8}, size=4)
    put(tmp_path / "ants" / "deep" / "er" / "a.JPG", picture(1))
    put(tmp_path / "ants" / "notes.txt", b"ants!")
    put(tmp_path / "ants" / ".hidden.png", b"")
    put(tmp_path / ".git" / "a.png", b"")
    put(tmp_path / "__MACOSX" / "a.png", b"")
    data = load(tmp_path, Image())
    assert data.labels == ("ants", "bees")
    assert "ants/deep/er/a.JPG" in {item.id for item in data.items}
    assert data.report.items == 17
    assert data.report.notes == {"other file": 1}
    assert not data.report.skipped


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"ants": 8, "bees": 8}, size=4)
    (tmp_path / "ants" / "again").symlink_to(tmp_path / "ants")
    assert load(tmp_path, Image()).report.items == 16


def test_names_places_and_order_do_not_move_an_item(pictures: Path, tmp_path: Path) -> None:
    data = load(pictures, Image())
    other = tmp_path / "other"
    for number, item in enumerate(reversed(data.items)):
        put(other / item.label / "deeper" / f"{number}.png", item.read())
    again = load(other, Image())
    assert again.fingerprint == data.fingerprint
    assert {i.digest: i.split for i in again.items} == {i.digest: i.split for i in data.items}


def test_adding_files_moves_few_others(pictures: Path) -> None:
    before = {item.id: item.split for item in load(pictures, Image()).items}
    fingerprint = load(pictures, Image()).fingerprint
    for seed in range(6):
        put(pictures / ["ants", "bees"][seed % 2] / f"new{seed}.png", picture(seed))
    after = load(pictures, Image())
    moved = before.items() - {item.id: item.split for item in after.items}.items()
    assert len(moved) <= 6  # of 80; at most one to or from each of two splits for each new file
    assert after.fingerprint != fingerprint


def test_a_tiny_class_is_spread_over_the_splits(pictures: Path) -> None:
    for seed in range(3):
        put(pictures / "wasps" / f"{seed}.png", picture(seed))
    data = load(pictures, Image())
    assert Counter(i.split for i in data.items if i.label == "wasps") == Counter(
        train=1, validation=1, test=1
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: shutil.rmtree(root), "does not exist"),
        (lambda root: None, "holds no items"),
        (lambda root: put(root / "a.png", picture(1)), "no folder of a class"),
        (lambda root: put(root / "ants" / "a.txt", b""), "holds no items"),
        (lambda root: write_pictures(root, {"ants": 5}), "only one class, 'ants'"),
        (
            lambda root: write_pictures(root, {"ants": 5, "bees": 5, "wasps": 0}),
            "Folder 'wasps' .* holds no item",
        ),
        (
            lambda root: write_pictures(root, {"ants": 5, "bees": 1}),
            "Class 'bees' .* only one usable item",
        ),
        (
            lambda root: (
                tree(root, {"train": 5, "test": 5}),
                write_pictures(root / "test", {"wasps": 3}, seed=9),
            ),
            "Class 'wasps' .* nothing to train on",
        ),
        (
            lambda root: (tree(root, {"train": 5, "val": 5}), (root / "test").mkdir()),
            "no usable item for the test split",
        ),
        (
            lambda root: (write_pictures(root, {"ants": 5}), put(root / "bees" / "a.png", b"")),
            "Class 'bees' .* none could be read",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_one_sentence(
    tmp_path: Path, make: object, message: str
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    assert callable(make)
    make(root)
    with pytest.raises(DataError, match=message) as raised:
        load(root, Image())
    assert str(root) in str(raised.value) and "\n" not in str(raised.value)


def test_a_file_that_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png is no data set.*\.csv"):
        load(put(tmp_path / "a.png", picture(1)), Image())


def test_hymenoptera(shared_data: Path) -> None:
    data = load(shared_data / "images" / "hymenoptera", Image())
    assert sizes(data)["test"] == 153
    assert sizes(data)["train"] + sizes(data)["validation"] == 245
    assert data.report.notes["palette"] == 1
    assert "`val` is the held-out test" in data.report.split_rule


def test_flowers_hold_six_identical_pairs(shared_data: Path) -> None:
    data = load(shared_data / "images" / "flowers", Image())
    report = data.report
    assert report.items + sum(map(len, report.conflicts)) == 4317
    assert len(report.duplicates) + len(report.conflicts) == 6
    assert {label for group in report.conflicts for _, label in group} == {"rose", "tulip"}
    split_of = {item.id: item.split for item in data.items}
    assert all(len({split_of[name] for name in group}) == 1 for group in report.duplicates)


def test_evaluation_takes_everything(pictures: Path) -> None:
    data = load_labelled(pictures, Image(), ["bees", "ants", "wasps"])
    assert data.labels == ("bees", "ants", "wasps")
    assert sizes(data) == {"train": 0, "validation": 0, "test": 80}
    assert Counter(data.targets("test").tolist()) == Counter({0: 40, 1: 40})


@pytest.mark.parametrize(("last", "count"), [("test", 10), ("val", 8)])
def test_evaluation_takes_only_the_held_out_split(tmp_path: Path, last: str, count: int) -> None:
    tree(tmp_path, {"train": 6, "val": 4, **({"test": 5} if last == "test" else {})})
    data = load_labelled(tmp_path, Image(), ["ants", "bees"])
    assert sizes(data)["test"] == count
    assert data.report.split_rule == f"only the held-out `{last}` is used"


def test_evaluation_names_an_unknown_label(pictures: Path) -> None:
    with pytest.raises(DataError, match="label 'bees', which is not one of 'ants', 'wasps'"):
        load_labelled(pictures, Image(), ["ants", "wasps"])


def test_inputs_to_predict_on(pictures: Path, tmp_path: Path) -> None:
    single = put(tmp_path / "odd.name", picture(1))
    result = find_inputs([single, str(pictures / "bees"), pictures / "ants"], Image())
    assert result[0] == single
    assert result[1:41] == sorted((pictures / "bees").iterdir())
    assert len(result) == 81


def test_inputs_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png does not exist"):
        find_inputs([tmp_path / "none.png"], Image())
    put(tmp_path / "a" / "b.txt", b"")
    with pytest.raises(DataError, match=r"holds no file to predict on.*\.png"):
        find_inputs([tmp_path / "a"], Image())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try on another user's rights")
def test_a_folder_without_permission_is_named(pictures: Path) -> None:
    open_to_all(pictures)
    (pictures / "bees").chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(DataError, match=r"bees can't be read: permission denied"):
            load(pictures, Image())
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("there", ["s3://bucket/pictures", "hf://datasets/x/y.parquet"])
def test_an_address_in_the_place_of_data_is_told_apart(there: str) -> None:
    with pytest.raises(DataError, match=f"^{there} is an address.*Copy or mount it"):
        demand_data(Path(there))
    with pytest.raises(DataError, match="Give the path alone: /data/x"):
        demand_data(Path("file:///data/x"))
    with pytest.raises(DataError, match="does not exist"):
        demand_data(Path("C:/pictures"))
