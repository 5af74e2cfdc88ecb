"""Tables on the pages whose rows are what tests saw: a form of input, and what became of it.

`WRITE_TABLES=1 python -m pytest tests/test_layouts.py` writes the rows anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.errors import HeadstartError

WRITES = os.environ.get("WRITE_TABLES") == "1"
_ROW = re.compile(r"^\| (.*?) \| (.*) \|$", re.M)


@dataclass(frozen=True)
class Form:
    """One form of input.

    `name` is how the page shows it, `write` makes it in an empty folder and may answer with the
    path to read in place of that folder, and `expected` is a pattern of the whole outcome.
    """

    name: str
    write: Callable[[Path], object]
    expected: str


def outcome(form: Form, folder: Path, reader: Callable[[Path], str]) -> str:
    """What `read` says of the form, or `refused: ` and the sentence; for one cell of a table.

    Paths in it start at `folder`'s own name. Raises AssertionError where it isn't as expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = form.write(folder)
    try:
        content = reader(path if isinstance(path, Path) else folder)
    except HeadstartError as error:
        content = f"refused: {error}"
    content = content.replace(f"{folder.parent}{os.sep}", "").replace("\n", " ")
    assert re.fullmatch(form.expected, content), content
    return content.replace("|", r"\|").replace("<", "&lt;")


def check_row(page: Path, table: str, form: Form, message: str) -> None:
    """Demand that the page's table says this of the form; with WRITE_TABLES=1 write it there."""
    rows = _rows(page, table)
    if WRITES and rows.get(form.name) != message:
        _write(page, table, rows | {form.name: message})
        return
    assert rows.get(form.name) == message, "run this file once with WRITE_TABLES=1"


def check_names(page: Path, table: str, forms: Sequence[Form]) -> None:
    """Demand that the table has these forms in this order; with WRITE_TABLES=1 arrange them so."""
    rows, names = _rows(page, table), [form.name for form in forms]
    if WRITES:
        _write(page, table, {name: rows.get(name, "") for name in names})
        return
    assert list(rows) == names, "run this file once with WRITE_TABLES=1"


def _block(table: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- table: {table} -->\n\|.*\|\n\|[-| ]+\|\n)((?:\|.*\|\n)*)")


def _rows(page: Path, table: str) -> dict[str, str]:
    block = _block(table).search(page.read_text(encoding="utf-8"))
    assert block, f"{page.name} has no table under <!-- table: {table} -->"
    return dict(_ROW.findall(block[2]))


def _write(page: Path, table: str, rows: dict[str, str]) -> None:
    lines = "".join(f"| {name} | {message} |\n" for name, message in rows.items())
    text = page.read_text(encoding="utf-8")
    page.write_text(_block(table).sub(lambda block: block[1] + lines, text), encoding="utf-8")
