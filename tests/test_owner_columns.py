"""Columns that say to whom rows belong are proposed as groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data import Schema, load
from headstart.data.names import names_owner
from headstart.modalities.table import Table
from headstart.modalities.text import Text


@pytest.mark.parametrize(
    ("column", "owned"),
    [
        ("client_id", True),
        ("Patient ID", True),
        ("speakerId", True),
        ("speaker", True),
        ("subject_no", True),
        ("video_id", True),
        ("subject", False),  # of a mail
        ("category_id", False),
        ("id", False),
        ("userland", False),
        ("", False),
    ],
)
def test_a_column_says_by_its_name_whether_rows_belong_to_someone(column: str, owned: bool) -> None:
    assert names_owner(column) is owned


def table(path: Path, rows: int, each: int, more: str = "") -> Path:
    lines = [f"the text of row {n},{n % 2},p{n // each}{more}" for n in range(rows)]
    path.write_text("\n".join(["text,label,patient_id" + ",split" * bool(more), *lines]))
    return path


def test_an_owner_of_several_rows_is_proposed(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", 40, 4)
    (warning,) = [w for w in load(path, Text()).report.warnings if "patient_id" in w]
    assert warning.endswith("Keep each on one side with --group patient_id.")
    data = load(path, Text(), Schema(group="patient_id"))
    owners = {split: {i.group for i in data.split(split)} for split in ("train", "test")}
    assert owners["train"] and owners["test"] and not owners["train"] & owners["test"]
    assert not [w for w in data.report.warnings if "Keep each" in w]
    rows = load(path, Table(), Schema(label="label")).report.warnings
    assert any("--group patient_id" in warning for warning in rows)


def test_one_of_a_row_each_is_not(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", 40, 1)
    assert not [w for w in load(path, Text()).report.warnings if "patient_id" in w]
