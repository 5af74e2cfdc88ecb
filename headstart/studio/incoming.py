"""Folders and tables that come over the page, or are named in the shell, as examples."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

from headstart.contracts import Modality
from headstart.data import Schema, inputs_of
from headstart.data.items import find
from headstart.data.sources import Source
from headstart.data.targets import USUAL, kind_named
from headstart.errors import DataError, HeadstartError
from headstart.studio.examples import RawExample
from headstart.studio.session import saved

_FOLDER: Final = ".incoming"
_NAME: Final = re.compile(r"[0-9a-f]{16}")
_DEEPEST, _LONGEST = 16, 200  # folders in one another, signs of a name


@final
class Incoming:
    """Where files of a drop wait, below the session's folder, until all of them are there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _FOLDER

    def begin(self) -> str:
        """The name of a new drop."""
        return secrets.token_hex(8)

    def put(self, drop: str, parts: list[str], raw: bytes) -> None:
        """Keep one file of a drop, by its way from there. Raises HeadstartError for a wrong one."""
        sound = all(
            part not in ("", ".", "..") and not set(part) & set("/\\\0") and len(part) <= _LONGEST
            for part in parts
        )
        if not sound or not 1 <= len(parts) <= _DEEPEST:
            raise HeadstartError(
                f"{'/'.join(parts)[:100]!r} is no file's way below a folder. Drop other files."
            )
        path = self._place(drop).joinpath(*parts)
        with saved():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)

    def opened(self, drop: str) -> Path:
        """The folder of a drop."""
        return self._place(drop)

    def end(self, drop: str | None = None) -> None:
        """Remove a drop, or what an earlier run left of any."""
        shutil.rmtree(self._folder if drop is None else self._place(drop), ignore_errors=True)

    def _place(self, drop: str) -> Path:
        if not _NAME.fullmatch(drop):
            raise HeadstartError("That drop is not known. Drop the files once more.")
        return self._folder / drop


def read(place: Path, modality: Modality) -> Iterator[RawExample]:
    """What a folder or table holds, in any layout that `headstart fit` reads.

    Where nothing says classes, the items come without. Raises DataError where there are none.
    """
    try:
        contents = find(place, modality, Schema(kind=USUAL))
    except DataError as error:
        yield from _without_classes(place, modality, error)
        return
    kind = kind_named(USUAL)
    for row in contents.rows:
        yield _example(row.id, row.source, kind.read(row), row.missing)


def _without_classes(place: Path, modality: Modality, error: DataError) -> Iterator[RawExample]:
    try:
        inputs = list(inputs_of(place, modality))
    except DataError:
        raise error from None
    for each in inputs:
        yield _example(each.name, each.source, None, each.problem)


def _example(name: str, source: Source | None, label: str | None, problem: str) -> RawExample:
    if source is None:
        return RawExample(name, b"", problem=problem)
    try:
        return RawExample(name, source.read(), label)
    except DataError as error:
        return RawExample(name, b"", problem=str(error).partition(". ")[0])
