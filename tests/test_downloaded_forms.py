"""Data sets as people download them: what was read wrongly, or refused with useless advice."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import layouts
import pytest

from headstart.data import Schema, load
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.modalities.text import Text


def test_splits_below_folders_that_all_share(tmp_path: Path) -> None:
    """`metadata.csv` of Hugging Face beside `data/train` and `data/test`."""
    layouts.flat("data/train", "data/test")(tmp_path)
    names = [f"data/{split}/{n}.bmp" for split in ("train", "test") for n in range(20)]
    layouts.table(tmp_path / "metadata.csv", "file_name,label", layouts.alternate(names))
    data = load(tmp_path, Image(), Schema())
    assert {i.id for i in data.items if i.split == "test"} == {*names[20:]}


def test_labels_of_whole_pictures_in_the_form_of_coco(tmp_path: Path) -> None:
    """As iNaturalist has them: no boxes, and categories by number."""
    pictures = layouts.pictures(tmp_path / "train_val", ("Plantae/0", "Plantae/1"))
    files = [path.relative_to(tmp_path).as_posix() for path in pictures]
    document = {
        "images": [{"id": n, "file_name": file, "width": 4} for n, file in enumerate(files)],
        "annotations": [{"id": n, "image_id": n, "category_id": n % 2} for n in range(40)],
        "categories": [{"id": 0, "name": "Acer"}, {"id": 1, "name": "Abies"}],
    }
    (tmp_path / "train.json").write_text(json.dumps(document))
    for place in (tmp_path, tmp_path / "train.json"):
        data = load(place, Image(), Schema())
        labels = {item.id: item.label for item in data.items}
        assert labels == {file: ("Acer", "Abies")[n % 2] for n, file in enumerate(files)}


def test_a_list_of_one_split_says_labels_too(tmp_path: Path) -> None:
    """Places365's validation pictures in one folder, and a file with their numbers."""
    layouts.pictures(tmp_path / "val_256", count=40)
    lines = "".join(f"{n}.bmp {n % 3}\n" for n in range(40))
    (tmp_path / "places365_val.txt").write_text(lines)
    (tmp_path / "categories_places365.txt").write_text("/a/airfield 0\n/a/abbey 1\n/b/bar 2\n")
    data = load(tmp_path, Image(), Schema())
    assert Counter(item.label for item in data.items) == {"0": 14, "1": 13, "2": 13}


def test_names_without_suffix_in_a_list_without_a_header(tmp_path: Path) -> None:
    """Oxford Pets' `annotations/list.txt`, and the lists of splits beside it."""
    layouts.pictures(tmp_path / "images", count=40)
    (tmp_path / "annotations").mkdir()
    rows = [f"{n} {n % 2 + 1} 1 {n % 5}\n" for n in range(40)]
    for name, own in (("list", rows), ("trainval", rows[:30]), ("test", rows[30:])):
        (tmp_path / "annotations" / f"{name}.txt").write_text("".join(own))
    for place in (tmp_path, tmp_path / "annotations" / "list.txt"):
        data = load(place, Image(), Schema(label="column 2"))
        tests = {item.id for item in data.items if item.split == "test"}
        assert tests == {f"images/{n}.bmp" for n in range(30, 40)}


def test_one_folder_is_one_class(tmp_path: Path) -> None:
    """UTKFace's names say what the files are; a folder without pictures is not to be filled."""
    for n in range(20):
        layouts.picture(tmp_path / "UTKFace" / f"{n}_{n % 2}_0_2017.bmp")
    (tmp_path / "devkit").mkdir()
    (tmp_path / "devkit" / "annos.mat").touch()
    with pytest.raises(DataError, match=r"only one class, 'UTKFace', as .* --label name:1"):
        load(tmp_path, Image(), Schema())
    assert load(tmp_path, Image(), Schema(label="name:2")).labels == ("0", "1")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("digits.mat", b"MATLAB", "holds arrays and no table"),
        ("raw/train-images-idx3-ubyte", b"\0\0\x08\x03", "holds arrays of MNIST's form"),
        ("raw/t10k-labels-idx1-ubyte.gz", b"\x1f\x8b", "is compressed. Unpack it by `gzip -dk"),
        ("batches/data_batch_1", pickle.dumps({b"data": 1}), "is a pickle, and opening one may"),
        ("Archery/v_1.avi", b"RIFF", r"is a film, which is not read\. .* `ffmpeg -i "),
        ("a.arff", b"@relation a", r"is a table of Weka\. Save it as CSV"),
    ],
)
def test_arrays_pickles_and_films_are_called_so(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(DataError, match=message):
            load(place, Image(), Schema())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reviews", r"is a text without a suffix\. .* rename it to end in \.csv\."),
        ("Musical.json", r"Give \S+Musical\.json itself, if it is a table of them\."),
    ],
)
def test_the_only_file_there_is_named(tmp_path: Path, name: str, message: str) -> None:
    text = "".join(f"go until point {n}\t{('ham', 'spam')[n % 2]}\n" for n in range(40))
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load(tmp_path if name.endswith(".json") else tmp_path / name, Text(), Schema())
    (tmp_path / name).rename(tmp_path / "a.csv")
    columns = Schema(label="column 2", content=("column 1",))
    assert load(tmp_path / "a.csv", Text(), columns).labels == ("ham", "spam")


def test_numbers_of_classes_with_commas_between(tmp_path: Path) -> None:
    """GoEmotions' `3,10`, which reads as a decimal number."""
    lines = [f"my favourite {n} food\t{n % 3}{',5' * (n % 4 == 0)}\te{n}" for n in range(60)]
    (tmp_path / "train.tsv").write_text("\n".join(lines))
    columns = Schema(label="column 2", content=("column 1",))
    data = load(tmp_path, Text(), replace(columns, delimiter=","))
    assert data.labels == ("0", "1", "2", "5")
    data = load(tmp_path, Text(), columns)
    sentence = "'0,5' is read as the number 0.5 (--delimiter ',' parts it in two)"
    assert sentence in data.report.remarks


def test_names_of_splits_in_files_names_are_no_groups(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for kind in ("abbey", "bar"):
            for n in range(12):
                layouts.picture(tmp_path / split / kind / f"Places365_{split}_{n:04}.bmp")
    data = load(tmp_path, Image(), Schema())
    assert not any("--group" in warning for warning in data.report.warnings)
