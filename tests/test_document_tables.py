"""The mechanism behind the pages' tables: what isn't true on a page is seen."""

from __future__ import annotations

from pathlib import Path

import document_tables
import pytest
from document_tables import Form, check_names, check_row, outcome

from headstart.errors import DataError

PAGE = "# Page\n\n<!-- table: forms -->\n| form | outcome |\n|---|---|\n| one | old |\n\nMore.\n"
ONE = Form("one", lambda folder: (folder / "a").touch(), "read: 1 file")
TWO = Form("two", lambda folder: None, r"refused: data has no file \| no folder\.")


def read(path: Path) -> str:
    files = len(list(path.iterdir()))
    if not files:
        raise DataError(f"{path} has no file | no folder.")
    return f"read: {files} file"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(document_tables, "WRITES", False)
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_a_row_that_is_not_true_is_seen(page: Path, tmp_path: Path) -> None:
    message = outcome(ONE, tmp_path / "data", read)
    with pytest.raises(AssertionError, match="WRITE_TABLES"):
        check_row(page, "forms", ONE, message)
    with pytest.raises(AssertionError, match="WRITE_TABLES"):
        check_names(page, "forms", [ONE, TWO])
    with pytest.raises(AssertionError, match="no table"):
        check_row(page, "others", ONE, message)


def test_an_outcome_that_is_not_expected_is_seen(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="read: 1 file"):
        outcome(Form("one", ONE.write, "read: 2 files"), tmp_path / "data", read)


def test_what_was_written_is_true(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = {form: outcome(form, tmp_path / form.name / "data", read) for form in (TWO, ONE)}
    monkeypatch.setattr(document_tables, "WRITES", True)
    for form, message in forms.items():
        check_row(page, "forms", form, message)
    check_names(page, "forms", [*forms])
    monkeypatch.setattr(document_tables, "WRITES", False)
    for form, message in forms.items():
        check_row(page, "forms", form, message)
    check_names(page, "forms", [*forms])
    two = r"| two | refused: data has no file \| no folder. |"
    rows = f"{two}\n| one | read: 1 file |\n"
    assert page.read_text() == PAGE.replace("| one | old |\n", rows)
