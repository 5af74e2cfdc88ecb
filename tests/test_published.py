"""Published data sets hold the right pictures, texts, labels and splits; what is broken is said."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import pictures, table
from PIL import Image as pil

from headstart.contracts import Modality
from headstart.data import Dataset, Schema, load, recognise, tables
from headstart.data.inputs.reading import inputs_of
from headstart.data.inputs.tables import manifest_inputs
from headstart.data.tables import arrays, labelled_lines, svmlight
from headstart.data.tables.pixels import Pixels
from headstart.data.tables.whole_numbers import NumberTable
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.modalities.table import Table
from headstart.modalities.text import Text

KINDS = {"image": Image(), "text": Text(), "table": Table()}


def pixels(data: Dataset, name: str) -> np.ndarray:
    item = next(item for item in data.items if item.id == name)
    return np.asarray(pil.open(io.BytesIO(item.read())))


def splits(data: Dataset) -> dict[str, int]:
    return dict(Counter(item.split or "" for item in data.items))


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([(), (3,)]), st.integers(0, 99))
def test_pixels_are_read_as_they_are(
    height: int, width: int, rest: tuple[int, ...], seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, *rest), dtype=np.uint8)
    assert np.array_equal(np.asarray(pil.open(io.BytesIO(Pixels(values).read()))), values)


def test_grey_values_in_a_cell(tmp_path: Path) -> None:
    published.fer(tmp_path)
    assert recognise(tmp_path, KINDS, Schema()) == "image"
    data = load(tmp_path, Image(), Schema())
    assert np.array_equal(pixels(data, "fer2013.csv#7"), published.bright(60, 64)[5].reshape(8, 8))
    assert splits(data) == {"train": 20, "validation": 20, "test": 20}
    assert {i.id: i.label for i in data.items}["fer2013.csv#7"] == "1"


@pytest.mark.parametrize("header", [True, False])
def test_a_column_for_each_pixel(tmp_path: Path, header: bool) -> None:
    published.columns(tmp_path, header)
    data = load(tmp_path, Image(), Schema())
    assert np.array_equal(
        pixels(data, "mnist_test.csv#4"), published.bright(20, 64, 20)[2].reshape(8, 8)
    )
    assert splits(data)["test"] == 20 + (not header)
    label = "label" if header else "column 1"
    table = load(tmp_path / "mnist_train.csv", Table(), Schema(label=label))
    assert len(table.items) == 40 + (not header)


def test_colours_pixel_by_pixel(tmp_path: Path) -> None:
    rows = published.bright(20, 192)
    names = ",".join([*(f"pixel{n:04}" for n in range(192)), "label"])
    published.lines(
        tmp_path / "a.csv",
        [names, *(f"{','.join(map(str, r))},{n % 2}" for n, r in enumerate(rows))],
    )
    assert np.array_equal(
        pixels(load(tmp_path / "a.csv", Image(), Schema()), "a.csv#2"), rows[0].reshape(8, 8, 3)
    )


def test_pixels_without_labels_are_answered_about(tmp_path: Path) -> None:
    rows = published.bright(3, 64)
    names = ",".join(f"pixel{n}" for n in range(64))
    path = published.lines(tmp_path / "test.csv", [names, *(",".join(map(str, r)) for r in rows)])
    every = list(manifest_inputs(path, Image(), Schema()))
    assert [each.item.read()[:11] for each in every] == [b"P5 8 8 255\n"] * 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0," + "7," * 63 + "256", "line 42 has a pixel that is no whole number from 0 to 255"),
        ("0," + "7," * 63 + "1.5", "line 42 has a pixel that is no whole number from 0 to 255"),
    ],
)
def test_a_number_that_is_no_pixel_is_said(tmp_path: Path, row: str, message: str) -> None:
    published.columns(tmp_path)
    with (tmp_path / "mnist_train.csv").open("a") as file:
        file.write(f"{row}\n")
    with pytest.raises(DataError, match=message):
        load(tmp_path, Image(), Schema())


def test_numbers_up_to_16_are_no_pixels(tmp_path: Path) -> None:
    """As of scikit-learn's digits, which a picture would show nearly black."""
    rows = published.bright(40, 64) // 16
    names = ",".join([*(f"pixel{n}" for n in range(64)), "label"])
    published.lines(
        tmp_path / "a.csv",
        [names, *(f"{','.join(map(str, r))},{n % 2}" for n, r in enumerate(rows))],
    )
    assert recognise(tmp_path / "a.csv", KINDS, Schema()) == "table"


def test_measurements_are_no_pixels(tmp_path: Path) -> None:
    """Numbers up to 200 in columns called by numbers, or by nothing, of which no two are alike."""
    rng = np.random.default_rng(0)
    rows = np.clip(rng.integers(0, 200, 64) + rng.integers(-9, 9, (40, 64)), 0, 255)
    body = [f"{n % 2},{','.join(map(str, row))}" for n, row in enumerate(rows)]
    header = ",".join(["label", *map(str, range(64))])
    for name, every in (("named.csv", [header, *body]), ("bare.csv", body)):
        path = published.lines(tmp_path / name, every)
        label = "label" if name == "named.csv" else "column 1"
        assert recognise(path, KINDS, Schema(label=label)) == "table"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("cell", "is_array"), [("7", True), ("07", False), ("", False), ("7.0", False)]
)
def test_long_tables_of_numbers_are_read_as_short_ones(
    tmp_path: Path, ending: str, cell: str, is_array: bool
) -> None:
    width = 65
    header = ",".join(f"pixel{n}" for n in range(width))
    rows = [",".join([str(n)] * width) for n in range(1100)]
    rows[-1] = rows[-1].replace("1099", cell, 1)
    for end in (ending, ""):
        path = tmp_path / "a.csv"
        path.write_bytes((ending.join([header, *rows]) + end).encode())
        (numbers,) = tables.read(path)
        assert isinstance(numbers, NumberTable) is is_array
        cells = [row.split(",") for row in rows]
        assert [*numbers.values("pixel0")] == [row[0] for row in cells]
        assert [*numbers.numbers()][-1] == 1101
        pairs = [[str(v) for v in pair] for pair in numbers.cells(["pixel64", "pixel0"])]
        assert pairs == [[row[64], row[0]] for row in cells]


def test_mnist_packed_and_not(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    published.idx(folder)
    published.idx(folder, ".gz")
    for place in (folder, tmp_path / "data"):
        data = load(place, Image(), Schema())
        assert splits(data)["test"] == 20 and len(data.items) == 60
    name = next(i.id for i in data.items if i.id.endswith("t10k-images-idx3-ubyte#3"))
    assert np.array_equal(pixels(data, name), published.bright(20, 64, 20)[3].reshape(8, 8))
    assert {item.id: item.label for item in data.items}[name] == "1"
    assert len(load(folder / "train-images-idx3-ubyte.gz", Image(), Schema()).items) == 40


def test_cifar_has_planes(tmp_path: Path) -> None:
    for finer in (False, True):
        folder = tmp_path / str(finer)
        folder.mkdir()
        published.cifar(folder, finer)
        data = load(folder, Image(), Schema())
        name = "train.bin#5" if finer else "data_batch_1.bin#5"
        planes = published.bright(20, 3072, 0)[5].reshape(3, 32, 32)
        assert np.array_equal(pixels(data, name), planes.transpose(1, 2, 0))
        assert {item.id: item.label for item in data.items}[name] == "dog"


def test_stl_goes_column_by_column(tmp_path: Path) -> None:
    published.stl(tmp_path)
    data = load(tmp_path, Image(), Schema())
    planes = published.bright(10, 27648, 10)[3].reshape(3, 96, 96)
    assert np.array_equal(pixels(data, "test_X.bin#3"), planes.transpose(2, 1, 0))
    assert {item.id: item.label for item in data.items}["test_X.bin#3"] == "dog"
    assert splits(data)["test"] == 10


def test_arrays_of_matlab_and_numpy(tmp_path: Path) -> None:
    for name in ("svhn", "medmnist"):
        (tmp_path / name).mkdir()
    published.svhn(tmp_path / "svhn")
    data = load(tmp_path / "svhn", Image(), Schema())
    every = published.bright(10, 3072, 10).reshape(32, 32, 3, 10)
    assert np.array_equal(pixels(data, "test_32x32.mat#3"), every[..., 3])
    assert {item.id: item.label for item in data.items}["test_32x32.mat#2"] == "0"
    published.medmnist(tmp_path / "medmnist")
    data = load(tmp_path / "medmnist", Image(), Schema())
    every = published.bright(10, 192, 10).reshape(10, 8, 8, 3)
    assert np.array_equal(pixels(data, "pathmnist.npz#35"), every[3])
    assert splits(data) == {"train": 20, "validation": 12, "test": 10}


def test_several_labels_a_picture_are_refused(tmp_path: Path) -> None:
    published.medmnist(tmp_path, columns=14)
    with pytest.raises(DataError, match=r"has 14 labels a picture\. Save pictures as PNG"):
        load(tmp_path, Image(), Schema())


def test_objects_in_arrays_are_not_unpickled(tmp_path: Path) -> None:
    names = [f"{x}_{split}" for x in "xy" for split in ("train", "test")]
    arrays: dict[str, Any] = {name: np.array([{}, {}], object) for name in names}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=r"can't be read \(Object arrays cannot be loaded"):
        load(tmp_path / "a.npz", Image(), Schema())


def test_columns_in_the_form_of_libsvm(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3)).round(4)
    form = "{y:+d} 1:{a} 3:{c}  # {n}"
    every = (form.format(y=2 * (n % 2) - 1, a=a, c=c, n=n) for n, (a, _, c) in enumerate(rows))
    path = published.lines(tmp_path / "heart_scale", every)
    data = load(path, Table(), Schema())
    assert data.labels == ("-1", "1") and len(data.items) == 40
    row = json.loads(next(item for item in data.items if item.id == "heart_scale#6").read())
    assert row == {"column 1": rows[5][0], "column 3": rows[5][2]}
    assert data.items[5].label in ("-1", "1")


def test_lines_of_libsvm_that_are_none_or_too_wide_are_said(tmp_path: Path) -> None:
    many = [f"1 1:{n} 2:5" for n in range(9000)]
    path = published.lines(tmp_path / "a.svm", [*many, "1 2:x"])
    with pytest.raises(DataError, match=r"a line that is not in LIBSVM's form"):
        load(path, Table(), Schema())
    published.lines(path, ["1 1:5", "0 2001:5"])
    with pytest.raises(DataError, match=r"has 2001 columns, and at most 2000"):
        load(path, Table(), Schema())


def cut(root: Path, name: str) -> None:
    (root / name).write_bytes((root / name).read_bytes()[:-9])


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (published.idx, "train-images-idx3-ubyte", "is cut off, or is no array"),
        (published.idx, "t10k-labels-idx1-ubyte", "is cut off, or is no array"),
        (published.cifar, "data_batch_2.bin", "is cut off, or is no array"),
        (published.stl, "train_y.bin", "holds 20 pictures and 11 labels"),
        (published.svhn, "train_32x32.mat", "can't be read"),
        (lambda root: published.idx(root, ".gz"), "train-images-idx3-ubyte.gz", "can't be read"),
    ],
)
def test_an_array_that_is_cut_off_is_said(
    tmp_path: Path, write: Callable[[Path], None], name: str, message: str
) -> None:
    write(tmp_path)
    cut(tmp_path, name)
    with pytest.raises(DataError, match=rf"{message}.* Fetch "):
        load(tmp_path, Image(), Schema())


def test_a_header_can_claim_no_more_than_is_there(tmp_path: Path) -> None:
    published.idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    with pytest.raises(DataError, match="is cut off"):
        arrays.read(path)


def test_a_class_without_a_name_is_said(tmp_path: Path) -> None:
    published.cifar(tmp_path)
    published.lines(tmp_path / "batches.meta.txt", ["cat"])
    with pytest.raises(DataError, match=r"a class of number 1 .* only 1 have names"):
        load(tmp_path, Image(), Schema())


def test_several_sets_of_one_form_are_kept_apart(tmp_path: Path) -> None:
    published.idx(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        path.rename(path.with_name(f"emnist-letters-{path.name}"))
    published.idx(tmp_path)
    with pytest.raises(DataError, match="holds more than one data set"):
        load(tmp_path, Image(), Schema())


def test_the_first_of_numbered_splits(tmp_path: Path) -> None:
    published.dtd(tmp_path)
    data = load(tmp_path, Image(), Schema())
    listed = {f"images/{line}" for line in (tmp_path / "labels/test1.txt").read_text().split()}
    assert {item.id for item in data.items if item.split == "test"} == listed


def test_questions_and_their_finer_classes(tmp_path: Path) -> None:
    published.trec(tmp_path)
    data = load(tmp_path, Text(), Schema())
    first = next(item for item in data.items if item.id == "TREC_10.label#2")
    assert first.read().decode() == "Is TREC_10 café 1 ?" and first.label == "LOC"
    assert splits(data)["test"] == 20
    assert load(tmp_path, Text(), Schema(label="fine")).labels == ("HUM:ind", "LOC:city")


def test_a_tree_has_the_class_of_its_root(tmp_path: Path) -> None:
    published.sst(tmp_path)
    data = load(tmp_path, Text(), Schema())
    item = next(item for item in data.items if item.id == "trees/dev.txt#9")
    assert item.read() == b"Its dev8 (" and item.label == "3" and item.split == "validation"


def test_several_labels_before_a_text(tmp_path: Path) -> None:
    published.fast_text(tmp_path, several=True)
    data = load(tmp_path, Text(), Schema())
    assert data.labels == ("1", "2", "x")
    item = next(item for item in data.items if item.id == "train.ft.txt#4")
    assert item.read() == b"train 3: so good"


@pytest.mark.parametrize("line", ["no mark at all", "__label__1"])
def test_a_line_without_a_class_is_said(tmp_path: Path, line: str) -> None:
    many = [f"__label__{n % 2} text {n}" for n in range(9000)]
    path = published.lines(tmp_path / "a.txt", [*many, line])
    with pytest.raises(DataError, match="line 9001 has no class and text"):
        tables.read(path)


def test_two_sets_of_questions_for_training(tmp_path: Path) -> None:
    published.trec(tmp_path)
    shutil.copy(tmp_path / "train_5500.label", tmp_path / "train_1000.label")
    with pytest.raises(
        DataError, match=r"more than one file of train \(train_1000.* Give the path"
    ):
        load(tmp_path, Text(), Schema())


def test_lists_of_words_and_numbers_hold_no_texts(tmp_path: Path) -> None:
    path = published.lines(tmp_path / "counts", (f"word{n}\ttimes {n}" for n in range(40)))
    with pytest.raises(DataError, match="is a text without a suffix"):
        load(path, Text(), Schema())


def test_the_advice_on_latin_1_works(tmp_path: Path) -> None:
    published.trec(tmp_path, "latin-1")
    for name in ("TREC_10", "train_5500"):
        with pytest.raises(DataError) as raised:
            load(tmp_path, Text(), Schema())
        command = re.search(r"`(iconv .*?)`", str(raised.value))
        assert command
        subprocess.run(command[1], shell=True, check=True)
        (tmp_path / f"{name}.utf8.label").replace(tmp_path / f"{name}.label")
    assert len(load(tmp_path, Text(), Schema()).items) == 60


def test_the_advice_on_a_table_without_a_header_works(tmp_path: Path) -> None:
    published.cola(tmp_path)
    data = load(tmp_path, Text(), Schema(label="column 2"))
    assert {item.label for item in data.items} == {"0", "1"}
    assert any(item.read() == b"The cat number 7 sat." for item in data.items)


def test_measures_beside_folders_of_classes_are_not_read(tmp_path: Path) -> None:
    """Rows of numbers in an archive are no pictures, and folders of classes go before arrays."""
    pictures(tmp_path, published.NAMES)
    every: dict[str, Any] = {f"x_{split}": np.ones((3, 4)) for split in ("train", "test")}
    every |= {f"y_{split}": np.arange(3) for split in ("train", "test")}
    np.savez(tmp_path / "features.npz", **every)
    published.keras(tmp_path)
    assert load(tmp_path, Image(), Schema()).labels == published.NAMES
    with pytest.raises(DataError, match=r"features\.npz holds arrays and no table"):
        load(tmp_path / "features.npz", Image(), Schema())


@pytest.mark.parametrize(
    "form", ["INFO:server started {n}", "WARN:disk {n} full", "label\ttext{n}"]
)
def test_lines_of_logs_and_headers_are_no_classes(tmp_path: Path, form: str) -> None:
    name = "data" if "\t" in form else "log.txt"
    path = published.lines(tmp_path / name, (form.format(n=n) for n in range(40)))
    assert not labelled_lines.is_labelled(path)


def test_a_table_that_lists_marked_texts_says_their_labels(tmp_path: Path) -> None:
    for n in range(20):
        published.lines(tmp_path / f"{n}.txt", [f"__label__x text {n}"])
    table(tmp_path / "labels.csv", "text,label", ((f"text {n}", "ab"[n % 2]) for n in range(20)))
    assert load(tmp_path, Text(), Schema()).labels == ("a", "b")


def test_numbered_classes_have_the_names_beside(tmp_path: Path) -> None:
    form = '"{c}","Title of {s} {n}","A longer text of {s}, number {n}"'
    published.headless(tmp_path, form)
    names = ["World", "Sports", "Business", "Sci/Tech"]
    published.lines(tmp_path / "classes.txt", names)
    data = load(tmp_path, Text(), Schema())
    assert {item.id: item.label for item in data.items}["test.csv#2"] == "Sports"
    assert any("the label, named by `classes.txt`" in each for each in data.report.remarks)
    published.lines(tmp_path / "classes.txt", names[:3])
    assert load(tmp_path, Text(), Schema()).labels == ("1", "2", "3", "4")


def test_emnist_is_turned(tmp_path: Path) -> None:
    published.idx(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        path.rename(path.with_name(f"emnist-mnist-{path.name}"))
    data = load(tmp_path, Image(), Schema())
    every = published.bright(20, 64, 20)[3].reshape(8, 8)
    assert np.array_equal(pixels(data, "emnist-mnist-t10k-images-idx3-ubyte#3"), every.T)
    assert any("mirrored along their diagonal" in each for each in data.report.remarks)


def test_a_column_that_a_file_of_libsvm_lacks_is_0(tmp_path: Path) -> None:
    path = published.lines(tmp_path / "a.t", ["1234567.5 1:3", "-2 2:5"])
    (rows,) = tables.read(path)
    assert [*rows.values("label")] == ["1234567.5", "-2"]
    assert [*rows.values("column 2")] == [0, 5] and [*rows.values("column 9")] == [0, 0]


@pytest.mark.parametrize(
    ("write", "modality", "name", "count"),
    [
        (published.idx, Image(), "t10k-images-idx3-ubyte", 20),
        (published.keras, Image(), "mnist.npz", 30),
        (published.cifar, Image(), "test_batch.bin", 20),
        (published.trec, Text(), "TREC_10.label", 20),
        (published.fast_text, Text(), "test.ft.txt", 20),
    ],
)
def test_published_files_are_answered_about_item_by_item(
    tmp_path: Path, write: Callable[[Path], None], modality: Modality, name: str, count: int
) -> None:
    write(tmp_path)
    assert len([*inputs_of(tmp_path / name, modality)]) == count
    every = [*inputs_of(tmp_path, modality)]
    assert len(every) == len(load(tmp_path, modality, Schema()).items)
    assert all(each.source is not None for each in every)


def test_a_folder_of_texts_is_answered_about_file_by_file(tmp_path: Path) -> None:
    published.fast_text(tmp_path)
    published.lines(tmp_path / "own.txt", ["My own text"])
    assert len([*inputs_of(tmp_path, Text())]) == 3


def test_tables_of_another_set_are_said(tmp_path: Path) -> None:
    """As of CoLA, whose development sets are in domain and out of it."""
    published.cola(tmp_path)
    for name in ("in_domain_dev", "out_of_domain_dev"):
        published.lines(
            tmp_path / f"{name}.tsv", (f"a\t{n % 2}\t\tA {name} {n}." for n in range(8))
        )
    data = load(tmp_path, Text(), Schema(label="column 2"))
    assert splits(data)["test"] == 8 and not any(b"out_of" in each.read() for each in data.items)
    assert "out_of_domain_dev.tsv is of another set and is not used." in data.report.warnings


def test_lines_that_nearly_fit_are_told_at_once() -> None:
    """In time that grows with their length, which a stranger chooses."""
    for line in ("(3 " + "(2 a) " * 100_000 + "x", "1" * 200_000 + ":x", "A" * 200_000):
        assert labelled_lines._tree(line) is None
        assert labelled_lines._question(line) is None
        assert svmlight._LINE.fullmatch(line) is None
