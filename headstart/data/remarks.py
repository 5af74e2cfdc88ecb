"""Sentences on the names of classes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from headstart.contracts import Targets
from headstart.contracts.cells import number
from headstart.contracts.labels import parting_sign, several
from headstart.contracts.targets import Encoding
from headstart.data.names import alike
from headstart.data.sources import Contents, Item
from headstart.errors import DataError

_ENOUGH = 10  # labels that come once, from which on they say that a column names no class


def of_rare(rare: Sequence[str]) -> tuple[str, ...]:
    """On classes that are left out, as a single item can't be parted."""
    names = several([*map(repr, rare)])
    if len(rare) == 1:
        return (f"Class {names} has only one usable item and is left out.",)
    return (f"Classes {names} have only one usable item each and are left out.",) if rare else ()


def demand_classes(items: Sequence[Item], contents: Contents) -> None:
    """Raise DataError for a column most of whose labels come once, as captions and boxes do.

    Numbers don't count, which the kind of target judges.
    """
    if contents.kind:
        return
    counts = Counter(item.label for item in items)
    once = sum(count == 1 and number(label) is None for label, count in counts.items())
    if once >= _ENOUGH and 2 * once > len(items):
        sign = parting_sign([item.label for item in items])
        advice = f"Part them by --delimiter '{sign}', name" if sign else "Name"
        raise DataError(
            f"{contents.root} has {len(counts)} different labels for {len(items)} items in column "
            f"{contents.column!r}, {once} of which come once, so that it names no class. "
            f"{advice} another column by --label, or write the same label for items of one class."
        )


def demand_filled(path: Path, contents: Contents) -> None:
    """Raise DataError where folders name a single class, or one of them holds no item."""
    if contents.advice:
        raise DataError(
            f"{path} has only one class, {contents.rows[0].value!r}, as its files lie in one "
            f"folder. {contents.advice}"
        )
    if contents.empty_classes:
        name = contents.empty_classes[0]
        raise DataError(
            f"Folder {name!r} in {path} holds no item of its class. Add some or remove the folder."
        )


def of_twins(labels: Sequence[str], kind: Targets) -> tuple[str, ...]:
    """On classes whose names differ in case alone."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault(_seen(label), label), label) for label in labels]
    cased = [_both(a, b) for a, b in pairs if a != b and alike(a) == alike(b)]
    unseen = [_both(a, b) for a, b in pairs if alike(a) != alike(b)]
    if kind.encoding is not Encoding.INDEX:
        return ()
    return tuple(
        f"Classes {several(twins)} differ in {what} alone and are two classes. "
        "Write them the same way if they are one."
        for twins, what in ((cased, "case"), (unseen, "signs that are not seen"))
        if twins
    )


def _both(one: str, other: str) -> str:
    plain = alike(one) == alike(other)
    return " and ".join(repr(name) if plain else ascii(name) for name in (one, other))


def _seen(label: str) -> str:
    """What is seen of a label: no variant of an emoji, no joiner, and one space for several."""
    signs = (s for s in label if unicodedata.category(s) != "Cf" and not "\ufe00" <= s <= "\ufe0f")
    return alike(" ".join("".join(signs).split()))
