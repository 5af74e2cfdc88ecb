"""Folders of sounds with what is said in them, in the forms of LibriSpeech and LJ Speech."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headstart.contracts import Modality
from headstart.contracts.metric import SEQUENCES
from headstart.contracts.spoken import plain
from headstart.data.names import split_in
from headstart.data.paths import Paths, Way
from headstart.data.schema import Schema
from headstart.data.sources import SPLITS, Contents, Row
from headstart.data.tables.text import opened
from headstart.data.trees import Folder, walk

COLUMN: Final = "text"
_LISTS: Final = ".trans.txt"  # of LibriSpeech: a name and what is said, a line each
_TABLE: Final = "metadata.csv"  # of LJ Speech: a name, the text, the text with numbers as words
_BESIDE: Final = (".txt", ".lab")  # a file of one text, by the name of its sound
_MOSTLY: Final = 0.9  # of lines, or of sounds, that must be of the form
_SAMPLE: Final = 100


@dataclass(frozen=True)
class _Utterance:
    """One line: which sound it names from which folder, and what is said in it."""

    name: str
    text: str
    base: Path
    place: str


def find(path: Path, modality: Modality, schema: Schema) -> Contents | None:
    """The sounds that such files list, with what is said in each; None where there are none.

    The speaker, by the first number of a LibriSpeech file's name, is its group. Raises DataError
    where a name leads out of the folder.
    """
    by_columns = schema.label or schema.content or schema.files or schema.class_level
    if not modality.transcripts or by_columns or schema.kind not in (None, SEQUENCES):
        return None
    root = path if path.is_dir() else path.parent
    tree = walk(root, modality)
    forms = [(_lists, _LISTS), (_table, _TABLE)]
    flat = all(folder.split and not folder.full for folder in tree.full)
    if schema.kind or flat:  # other folders may as well be classes
        forms.append((_beside, _BESIDE[0]))
    for read_lines, form in forms:
        lines = [*read_lines(path, tree)]
        if lines:
            return _contents(root, tree, lines, form)
    return None


def _lists(path: Path, tree: Folder) -> Iterator[_Utterance]:
    for folder, _ in tree.below() if path.is_dir() else ():
        for name in folder.others:
            if name.endswith(_LISTS):
                place = folder.path / name
                for own, text, line in _lines(place, re.compile(r"\s+")):
                    yield _Utterance(own, text, folder.path, line)


def _table(path: Path, tree: Folder) -> Iterator[_Utterance]:
    inside = (folder.path for folder, _ in tree.below() if _TABLE in folder.tables)
    place = next(inside, tree.path) / _TABLE if path.is_dir() else path
    if place.name != _TABLE or not place.is_file():
        return
    lines = [*_lines(place, re.compile(r"\|"))]
    names = {own for *_, name in tree.every() for own in (name, Path(name).stem)}
    fits = [Path(name).name in names for name, _, _ in lines[:_SAMPLE]]
    if lines and fits[0] and sum(fits) >= _MOSTLY * len(fits):
        texts = _texts([columns for _, columns, _ in lines])
        for (name, _, line), text in zip(lines, texts, strict=True):
            yield _Utterance(name, text, place.parent, line)


def _texts(rows: Sequence[str]) -> list[str]:
    """What is said, by the last column where its words are mostly those of the first."""
    columns = [row.split("|") for row in rows]
    words = [[{*plain(own).split()} for own in (row[0], row[-1])] for row in columns if row[1:]]
    same = sum(len(first & last) for first, last in words)
    respelled = 2 * same >= sum(len(last) for _, last in words)
    return [row[-1] if respelled and row[-1].strip() else row[0] for row in columns]


def _lines(path: Path, parted: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """The name that each line begins with, what follows, and where it stands."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            name, *rest = parted.split(line.strip("\ufeff \r\n"), maxsplit=1)
            if name:
                yield name, rest[0] if rest else "", f"{path} line {number}"


def _beside(path: Path, tree: Folder) -> Iterator[_Utterance]:
    if not path.is_dir() or any(folder.tables for folder, _ in tree.below()):
        return
    pairs = []
    for folder, _ in tree.below():
        texts = {Path(n).stem: n for n in folder.others if n.lower().endswith(_BESIDE)}
        pairs += [
            (n, folder.path / texts[Path(n).stem]) for n in folder.files if Path(n).stem in texts
        ]
    if not pairs or len(pairs) < _MOSTLY * tree.items:
        return
    for name, place in pairs:
        with opened(place) as file:
            yield _Utterance(name, " ".join(file.read().split()), place.parent, str(place))


def _contents(root: Path, tree: Folder, lines: Sequence[_Utterance], form: str) -> Contents:
    paths, splits = Paths(root, tree.every), _splits(tree.every())
    speakers = form == _LISTS
    rows = []
    for each in lines:
        own, source, missing = paths.find(each.name, each.base, each.place, None)
        split = next((splits[part] for part in own.split("/")[:-1] if part in splits), None)
        group = each.name.partition("-")[0] if speakers else ""
        text = each.text or None
        rows.append(Row(own, each.place, text, split, source, missing, group))
    remarks = [f"what is said stands in files `*{form}`" if form != _TABLE else f"`{_TABLE}` is"]
    remarks[0] += " a name and what is said in it, a line each" if form == _TABLE else ""
    remarks += ["a speaker's sounds are of one group"] if speakers else []
    unused = tree.items - len({row.id for row in rows if row.source})
    names = {split: part for part, split in splits.items()}
    return Contents(
        root,
        tuple(rows),
        SEQUENCES,
        COLUMN,
        split_names=names,
        warnings=(f"{unused} sounds that no text is of are not used.",) if unused > 0 else (),
        remarks=tuple(remarks),
        columns=(COLUMN,),
    )


def _splits(ways: Sequence[Way]) -> dict[str, str]:
    """The folders that are called after splits, where there are those of training and another."""
    words = {part for way in ways for part in way[:-1]}
    split_names = {part: match[0] for part in sorted(words) if (match := split_in(part))}
    own = set(split_names.values())
    return split_names if "train" in own and len(own & {*SPLITS}) > 1 else {}
