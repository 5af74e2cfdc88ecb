"""Texts behind their class on a line: fastText's form, TREC's questions, SST's trees, SMS spam."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from headstart.data.tables.header import HEADINGS
from headstart.data.tables.interface import TableInMemory
from headstart.data.tables.text import opened
from headstart.errors import DataError

_SUFFIXES = (".txt", ".csv", ".label", ".fasttext", ".ft", ".train", ".test", ".valid", "")
_HEAD = 1 << 16  # bytes that say the form
_MARKED = re.compile(r"((?:__label__\S+\s+)+)(\S.*)")
_QUESTION = re.compile(r"([A-Z]{2,5}):([a-z]+)\s+(\S.*)")
_TREE = re.compile(r"\((\d) (.*)\)")
_LEAF = re.compile(r"\(\d ([^()]+)\)")
_TABBED = re.compile(r"(\w+)\t([^\s\t][^\t]*)")
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]"}
_LEVELS = frozenset("debug info notice warn error fatal trace".split())  # of logs
_Form = Callable[[str], tuple[Any, ...] | None]  # a line's text, its class, perhaps a finer one


def read(path: Path) -> list[TableInMemory] | None:
    """The table of such a file; None where it is of another form.

    Raises DataError for a line that is not as those at its beginning.
    """
    form = _form(path) if path.suffix.lower() in _SUFFIXES else None
    if form is None:
        return None
    rows = []
    with opened(path, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            cells = form(line.strip())
            if cells is not None:
                rows.append((number, cells))
            elif line.strip():
                raise DataError(
                    f"{path} line {number} has no class and text as the lines above have. Correct "
                    "the line."
                )
    if all(isinstance(cells[1], list) and len(cells[1]) == 1 for _, cells in rows):
        rows = [(number, (text, labels[0])) for number, (text, labels) in rows]
    names = ["text", "label", "fine"][: len(rows[0][1])]
    more = ", and a finer one as `fine` (--label fine)" if len(names) > 2 else ""
    remark = f"each line holds {_SHOWN[form]}, of which the class is the label{more}"
    return [TableInMemory(path, names, rows, remark=remark)]


def is_labelled(path: Path) -> bool:
    """Whether all lines at the beginning of a file, but for empty ones, are of one such form."""
    return path.suffix.lower() in _SUFFIXES and path.is_file() and _form(path) is not None


def _form(path: Path) -> _Form | None:
    with suppress(OSError), path.open("rb") as file:
        start = file.read(_HEAD)  # in whatever encoding, of which others tell
        lines = [line.strip() for line in start.decode("latin-1").split("\n")]
        lines = [line for line in (lines[:-1] if len(start) == _HEAD else lines) if line]
        forms = (_marked, _question, _tree, *(() if path.suffix else (_tabbed,)))
        form = next((f for f in forms if lines and all(map(f, lines))), None)
        if form in (_tabbed, _question):
            words = [form(line)[1].lower() for line in lines]
            if 2 * len({*words}) > len(words) or words[0] in HEADINGS or _LEVELS & {*words}:
                return None
        return form
    return None


def _marked(line: str) -> tuple[Any, ...] | None:
    """`__label__good a text`, with one class or more (Joulin et al., 2016)."""
    match = _MARKED.fullmatch(line)
    return (match[2], [w.removeprefix("__label__") for w in match[1].split()]) if match else None


def _question(line: str) -> tuple[Any, ...] | None:
    """`LOC:city What is the capital of France ?` (Li and Roth, 2002)."""
    match = _QUESTION.fullmatch(line)
    return (match[3], match[1], f"{match[1]}:{match[2]}") if match else None


def _tree(line: str) -> tuple[Any, ...] | None:
    """`(3 (2 A) (4 gem))`: the class of the whole text at its root (Socher et al., 2013)."""
    match = _TREE.fullmatch(line)
    words = [_BRACKETS.get(word, word) for word in _LEAF.findall(match[2])] if match else []
    return (" ".join(words), match[1]) if match and words else None


def _tabbed(line: str) -> tuple[Any, ...] | None:
    """`spam<TAB>a text`, in a file without a suffix (Almeida and Hidalgo, 2011)."""
    match = _TABBED.fullmatch(line)
    return (match[2], match[1]) if match else None


_SHOWN: dict[_Form, str] = {
    _marked: "`__label__` with a class, and a text",
    _question: "a class, as `LOC:city`, and a text",
    _tree: "a tree of words with numbers",
    _tabbed: "a class, a tab, and a text",
}
