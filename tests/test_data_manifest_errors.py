"""Manifests that can't be read, or lack what is needed: one sentence each, naming file and line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.data import Schema, load
from headstart.errors import DataError
from headstart.modalities.image import Image


@pytest.mark.parametrize(
    ("header", "label", "message"),
    [
        ("picture,label", None, r"no column for the content; its columns: 'picture', 'label'"),
        ("image,kind,size", None, r"no column 'label'; its columns: 'image', 'kind', 'size'"),
        ("image,label", "kind", r"no column 'kind'; its columns: 'image', 'label'"),
        ("image", None, r"no column 'label'; its columns: 'image'"),
        ("", None, r"its columns: 'x'"),
    ],
)
def test_a_missing_column(tmp_path: Path, header: str, label: str | None, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n" + ",".join("x" for _ in header.split(",")))
    with pytest.raises(DataError, match=message):
        load(path, Image(), Schema(label=label))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"image,label\na.png,ants\nb.png,b\xe9b\xe9\n", r"line 3 holds a byte .*0xe9"),
        ("a.csv", b'image,label\n"a.png,ants\n', r"line \d is not valid CSV"),
        ("a.csv", b"image,label\na\0.png,ants\n", r"line 2"),
        ("a.jsonl", b'{"image": "a.png"\n', r"line 1 is not JSON"),
        ("a.jsonl", b'{"image": "a.png", "label": "ants"}\n[1]\n', r"line 2 is not a JSON object"),
        ("a.jsonl", b'{"image": 7, "label": "ants"}\n', r"line 1 has 7 in column 'image'"),
        (
            "a.jsonl",
            b'{"image": "a.png", "label": {"ants": 1}}\n',
            r"line 1 has {'ants': 1} as its label",
        ),
        ("a.parquet", b"PAR1 but no more", r"can't be read as Parquet"),
        ("a.parquet", b"", r"can't be read as Parquet"),
        ("a.csv", b"", r"a.csv is empty. Give a table"),
        ("a.csv", b"image,label\n", r"has no usable item"),
    ],
)
def test_a_broken_manifest_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        load(tmp_path / name, Image())
    assert str(tmp_path / name) in str(raised.value) and "\n" not in str(raised.value)


def test_a_column_of_neither_paths_nor_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [1, 2], "label": ["ants", "bees"]}), path)
    with pytest.raises(DataError, match=r"Column 'image' .* holds int64, neither a path nor bytes"):
        load(path, Image())
