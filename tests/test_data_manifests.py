"""Tables that list items: CSV, TSV, JSON lines, Parquet, and the Hugging Face layout."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as pil

from headstart.data import Dataset, Schema, load, load_labelled
from headstart.data.tables.columnar import RowSource, _RowGroups
from headstart.errors import DataError
from headstart.modalities.image import Image

COUNT = 40


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    pil.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Loose pictures, to be listed by a manifest."""
    (tmp_path / "files").mkdir()
    for number in range(COUNT):
        (tmp_path / "files" / f"{number}.png").write_bytes(picture(number))
    return tmp_path


def rows(first: int = 0, count: int = COUNT) -> list[dict[str, str]]:
    return [
        {"image": f"files/{number}.png", "label": ["ants", "bees"][number % 2]}
        for number in range(first, first + count)
    ]


def as_csv(path: Path, records: list[dict[str, str]], comma: str = ",", bom: bool = False) -> Path:
    lines = [comma.join(records[0])] + [comma.join(record.values()) for record in records]
    path.write_text("\n".join(lines), encoding="utf-8-sig" if bom else "utf-8")
    return path


def as_jsonl(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n\n")
    return path


def as_parquet(path: Path, columns: dict[str, list[Any]], group: int = 7, **features: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    table = pa.table(columns)
    if features:
        meta = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": meta})
    pq.write_table(table, path, row_group_size=group)
    return path


def expect(data: Dataset) -> None:
    assert data.labels == ("ants", "bees")
    assert data.report.items == COUNT
    labels = {item.digest: item.label for item in data.items}
    assert len(labels) == COUNT
    for item in data.items:
        assert pil.open(io.BytesIO(item.read())).size == (4, 4)


@pytest.mark.parametrize(
    "write",
    [
        lambda root: as_csv(root / "list.csv", rows()),
        lambda root: as_csv(root / "list.CSV", rows(), bom=True),
        lambda root: as_csv(root / "list.tsv", rows(), comma="\t"),
        lambda root: as_jsonl(root / "list.jsonl", rows()),
        lambda root: as_parquet(
            root / "list.parquet", {key: [row[key] for row in rows()] for key in rows()[0]}
        ),
    ],
)
def test_paths_count_from_the_manifest(files: Path, write: Callable[[Path], Path]) -> None:
    data = load(write(files), Image())
    expect(data)
    assert data.items[3].id == "files/3.png"
    assert data.items[3].label == "bees"
    assert data.items[3].read() == picture(3)


def test_a_table_and_a_folder_of_the_same_content_agree(files: Path) -> None:
    listed = load(as_csv(files / "list.csv", rows()), Image())
    for item in listed.items:
        path = files / "tree" / item.label / Path(item.id).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(item.read())
    inside = as_parquet(
        files / "list.parquet",
        {"image": [item.read() for item in listed.items], "label": [i.label for i in listed.items]},
    )
    folder = load(files / "tree", Image())
    assert listed.fingerprint == folder.fingerprint == load(inside, Image()).fingerprint


def hugging_face(count: int = COUNT, first: int = 0) -> dict[str, list[Any]]:
    numbers = range(first, first + count)
    return {
        "image": [{"bytes": picture(number), "path": f"/gone/{number}.png"} for number in numbers],
        "label": [number % 2 for number in numbers],
    }


def test_the_hugging_face_layout(tmp_path: Path) -> None:
    path = as_parquet(
        tmp_path / "a.parquet",
        hugging_face(),
        image={"_type": "Image"},
        label={"names": ["ants", "bees"], "_type": "ClassLabel"},
    )
    data = load(path, Image())
    expect(data)
    assert data.items[17].id == "a.parquet#17"
    assert data.items[17].read() == picture(17)


def test_integer_labels_without_names(tmp_path: Path) -> None:
    assert load(as_parquet(tmp_path / "a.parquet", hugging_face()), Image()).labels == ("0", "1")


def test_rows_without_label_or_content_are_listed(tmp_path: Path) -> None:
    columns = hugging_face()
    columns["label"][3] = -1  # how ClassLabel says that there is none
    columns["image"][4] = {"bytes": None, "path": None}
    columns["image"][5] = None
    path = as_parquet(tmp_path / "a.parquet", columns, label={"names": ["ants", "bees"]})
    assert load(path, Image()).report.skipped == (
        ("a.parquet#3", "the row has no label"),
        ("a.parquet#4", "the row names no content"),
        ("a.parquet#5", "the row names no content"),
    )


def test_bytes_and_paths_in_one_column(files: Path) -> None:
    columns = hugging_face()
    for number in (3, 20):
        columns["image"][number] = {"bytes": None, "path": f"files/{number}.png"}
    data = load(
        as_parquet(files / "a.parquet", columns, label={"names": ["ants", "bees"]}), Image()
    )
    expect(data)
    assert data.items[20].id == "files/20.png"


def test_threads_read_rows_in_any_order(tmp_path: Path) -> None:
    data = load(as_parquet(tmp_path / "a.parquet", hugging_face(), group=3), Image())
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(COUNT), 5))
    with ThreadPoolExecutor(8) as pool:
        items = list(pool.map(lambda number: data.items[number].read(), order))
    assert items == [picture(number) for number in order]


def test_few_row_groups_are_held(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "a.parquet", {"image": [bytes(1000)] * 50, "label": [0] * 50}, 10)
    groups = _RowGroups(limit=25_000)
    for group in (0, 1, 2, 0, 3, 4, 0):
        assert groups.column(path, "image", group)[0].as_py() == bytes(1000)
    assert [key[2] for key in groups.columns] == [4, 0]
    small = _RowGroups(limit=10)
    small.column(path, "image", 0)
    assert len(small.columns) == 1


def test_a_file_that_went_away(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.parquet can't be read as Parquet"):
        RowSource(tmp_path / "gone.parquet", "image", 0, 0).read()


@pytest.mark.parametrize("folder", [".", "data"])
@pytest.mark.parametrize("name", ["{}.parquet", "{}-00000-of-00001.parquet", "digits_{}.parquet"])
def test_manifests_named_after_splits(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / "README.md").write_text("# Data")
    for place, (split, count) in enumerate({"train": 20, "validation": 6, "test": 8}.items()):
        columns = hugging_face(count, 100 * place)
        as_parquet(tmp_path / folder / name.format(split), columns)
    data = load(tmp_path, Image())
    assert [len(data.split(split)) for split in ("train", "validation", "test")] == [20, 6, 8]
    first = data.split("train")[0]
    assert first.id == (Path(folder) / name.format("train")).as_posix() + "#0"
    assert len(load_labelled(tmp_path, Image(), ["0", "1"]).items) == 8


def test_shards_of_a_split_are_joined(tmp_path: Path) -> None:
    for shard in range(2):
        as_parquet(tmp_path / f"train-0000{shard}-of-00002.parquet", hugging_face(20, 20 * shard))
    as_parquet(tmp_path / "test-00000-of-00001.parquet", hugging_face(10, 90))
    data = load(tmp_path, Image())
    assert data.report.items == 50 and len(data.split("test")) == 10


def test_split_manifests_that_list_files(files: Path) -> None:
    as_csv(files / "train.csv", rows(0, 30))
    as_csv(files / "val.csv", rows(30, 10))
    data = load(files, Image())
    assert {item.id for item in data.split("test")} == {row["image"] for row in rows(30, 10)}
    assert "`val` is the held-out test" in data.report.split_rule


def test_two_data_sets_in_one_folder(tmp_path: Path) -> None:
    as_parquet(tmp_path / "mnist_train.parquet", hugging_face())
    as_parquet(tmp_path / "usps_train.parquet", hugging_face())
    with pytest.raises(DataError, match=r"mnist_train\.parquet and usps_train\.parquet"):
        load(tmp_path, Image())


def test_a_folder_with_one_manifest(files: Path) -> None:
    lines = [{"file_name": Path(row["image"]).name, "label": row["label"]} for row in rows()]
    as_csv(files / "files" / "metadata.csv", lines)
    expect(load(files / "files", Image()))


def test_the_label_column_is_the_one_named_or_the_only_other(files: Path) -> None:
    wide_rows = [{"label": "x", "kind": row["label"], "file": row["image"]} for row in rows()]
    expect(load(as_csv(files / "a.csv", wide_rows), Image(), Schema(label="kind")))
    only = [{"kind": row["label"], "Image": row["image"]} for row in rows()]
    expect(load(as_csv(files / "b.csv", only), Image()))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "value", ["../secret.png", "/etc/passwd", "files/../../secret.png", "out.png"]
)
def test_a_path_that_leaves_the_folder_is_refused(files: Path, value: str, kind: str) -> None:
    inside = files / "inside"
    (files / "files").rename(files / "moved")
    inside.mkdir()
    (files / "moved").rename(inside / "files")
    (files / "secret.png").write_bytes(picture(0))
    (inside / "out.png").symlink_to(files / "secret.png")
    write = as_csv if kind == "csv" else as_jsonl
    path = write(inside / f"a.{kind}", [*rows()[:3], {"image": value, "label": "ants"}])
    line = 5 if kind == "csv" else 4
    with pytest.raises(DataError) as raised:
        load(path, Image())
    assert f"{path} line {line} names {value!r}" in str(raised.value)
    assert "outside" in str(raised.value)


def test_a_path_that_leaves_from_parquet(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "a.parquet", {"image": ["../b.png"], "label": ["ants"]})
    with pytest.raises(DataError, match=r"a\.parquet row 0 names '../b\.png'"):
        load(path, Image())


def test_files_that_miss_are_listed(files: Path) -> None:
    (files / "files" / "7.png").unlink()
    data = load(as_csv(files / "a.csv", rows()), Image())
    assert data.report.skipped == (("files/7.png", "can't be read: no such file or directory"),)


def test_usps(shared_data: Path) -> None:
    data = load(shared_data / "images" / "usps_test.parquet", Image())
    assert data.labels == tuple("0123456789")
    assert data.report.items == 2007
    assert data.report.notes == {"greyscale": 2007}
    item = data.split("test")[0]
    settings = {"channels": 1, "height": 16, "width": 16, "crop": 1.0, "crop_mode": "center"}
    pixels = np.asarray(pil.open(io.BytesIO(item.read())))
    assert np.array_equal(Image().decode(item.read(), settings)[0], pixels)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_column_of_groups_is_kept_and_is_no_label(files: Path, kind: str) -> None:
    records = [
        {"image": row["image"], "insect": row["label"], "garden": f"g{number % 3}"}
        for number, row in enumerate(rows())
    ]
    path = files / f"all.{kind}"
    if kind == "parquet":
        as_parquet(path, {name: [row[name] for row in records] for name in records[0]})
    else:
        (as_csv if kind == "csv" else as_jsonl)(path, records)
    dataset = load(path, Image(), Schema(group="garden"))  # the one column left is the label
    assert dataset.labels == ("ants", "bees")
    names = {row["image"]: row["garden"] for row in records}
    if kind != "parquet":
        assert {item.id: item.group for item in dataset.items} == names
    assert {item.group for item in dataset.items} == {"g0", "g1", "g2"}
