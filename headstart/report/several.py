"""The page of a model of several tasks: a row a task, each with a link to its own page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader

from headstart.report.page import FILE


def write_several(
    folder: Path,
    sentences: Iterable[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    folders: Mapping[str, str],
) -> Path:
    """Write the page of several tasks into their folder; answer with its path.

    The first cell of a row is the task, whose page lies in the folder that `folders` names.
    """
    files = PackageLoader("headstart", "templates")
    environment = Environment(loader=files, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("several.html").render(
        sentences=list(sentences),
        columns=columns,
        rows=list(rows),
        links={name: f"{quote(own)}/{FILE}" for name, own in folders.items()},
    )
    path = folder / FILE
    path.write_text(page, encoding="utf-8")
    return path
