"""Which folders of a tree are the classes, where they are nested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.contracts.labels import several
from headstart.data.items.file_names import advice
from headstart.data.names import number, numbers_people, only_part, split_of
from headstart.data.schema import Schema
from headstart.data.trees import Folder
from headstart.errors import DataError

STRAY = 0.1  # of the items, those that lie beside the class folders: they are left out
_AGAIN = 1.5  # folders to a name, from which on a name is said to come again under others


@dataclass(frozen=True)
class Level:
    """The folders at one depth, counted from 1, by the names that lead to them."""

    number: int
    ways: frozenset[tuple[str, ...]]

    @property
    def names(self) -> list[str]:
        """The different names of the folders, sorted."""
        return sorted({way[-1] for way in self.ways})

    @property
    def again(self) -> bool:
        """Whether the same names stand under different folders."""
        return self.number > 1 and len(self.ways) >= _AGAIN * len(self.names)

    @property
    def splits(self) -> bool:
        """Whether the names are those of splits, the training split among them."""
        words = {split_of(name) for name in self.names}
        return len(words) > 1 and "train" in words and None not in words

    @property
    def shown(self) -> str:
        """The first few names."""
        return several([*map(repr, self.names)])


@dataclass(frozen=True)
class Classes:
    """The level whose folders are the classes, the one that names splits, and what to say of it."""

    level: Level
    split: Level | None = None
    remarks: tuple[str, ...] = ()


def choose(path: Path, roots: Sequence[Folder], schema: Schema) -> Classes:
    """The level that the user names, else the one that looks like classes.

    Names that only count (years, `site_a`, `subject-12`) or part the data are no classes where
    others could be, and never where they number people. Of the rest, the deepest level whose names
    come again under different folders is taken, else the first. Raises DataError where no level can
    be it.
    """
    levels = _levels(roots)
    split = next((level for level in levels if level.splits), None)
    if schema.class_level is not None:
        if not 1 <= schema.class_level <= len(levels):
            raise DataError(
                f"{path} has no folders of level {schema.class_level}. Give --class-level 1"
                + (f" to {len(levels)}." if len(levels) > 1 else ", or leave it out.")
            )
        return Classes(levels[schema.class_level - 1], split, _remarks(levels, schema.class_level))
    telling = [level for level in levels if not number(level.names)]
    again = [level for level in telling if level.again]
    several = [level for level in levels if len(level.names) > 1 and not only_part(level.names)]
    level = again[-1] if again else (telling or several[-1:] or levels[-1:])[0]
    if len(levels) == 1 and len(level.names) == 1 and only_part(level.names):
        raise DataError(
            f"{path} has its files in one folder, {level.names[0]!r}, which names no class. "
            f"{advice(roots[0])}"
        )
    if only_part(level.names) and len(level.names) > 1:
        raise DataError(
            f"{path} has folders that only part the data ({level.shown}), and no class is named. "
            f"{advice(roots[0])}"
        )
    if len(level.names) > 1 and numbers_people(level.names):
        raise DataError(
            f"{path} has folders that number people, sittings or places ({level.shown}), and no "
            f"class is named. {advice(roots[0])} Where these are the classes, give --class-level "
            f"{level.number}."
        )
    return Classes(level, split, _remarks(levels, level.number))


def _levels(roots: Sequence[Folder]) -> list[Level]:
    """From the folders right in the roots to the first ones in which items lie directly."""
    outer = (folder for root in roots for folder in root.full)
    here: list[tuple[Folder, tuple[str, ...]]] = [(each, (each.name,)) for each in outer]
    items = sum(folder.items for folder, _ in here)
    levels: list[Level] = []
    while here:
        levels.append(Level(len(levels) + 1, frozenset(way for _, way in here)))
        if sum(len(folder.files) for folder, _ in here) > STRAY * items:
            break
        here = [(inner, (*way, inner.name)) for folder, way in here for inner in folder.full]
    return levels


def _remarks(levels: Sequence[Level], level: int) -> tuple[str, ...]:
    """What was taken, and how to take another; nothing where only one could be meant."""
    if len(levels) == 1:
        return ()
    others = [
        each
        for each in levels
        if each.number != level and len(each.names) > 1 and not all(map(split_of, each.names))
    ]
    offers = [f"--class-level {each.number} takes {each.shown}" for each in others]
    sentence = f"the folders of level {level} are the classes: {levels[level - 1].shown}"
    return ("; ".join([sentence, *offers]),)
