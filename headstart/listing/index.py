"""An index of what hubs have listed, believed as long as nothing that it depends on has changed.

A hub says what its cards depend on: names of packages, whose versions count; `$VARIABLES` of the
environment; and shell patterns of files, of which those that match count by name, size and time.
Whether weights are at hand is looked up on every reading, by the pattern that a card keeps. What is
damaged, or of another version of Headstart, counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from glob import glob, iglob
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts.backbone import Card
from headstart.runtime.places import cache_folder

FILE: Final = "backbones.json"
_FIELDS: Final = [field.name for field in fields(Card)]
_KEPT: Final = 4  # states of a hub, the latest ones
_SOURCES: Final = Path(__file__).parents[1] / "hubs"


@final
@dataclass(frozen=True)
class Listed:
    """What a hub has, or why it can't say."""

    cards: Sequence[Card]
    refusal: str = ""


@final
class Index:
    """Listings by hub, and by the state of what they depend on."""

    def __init__(self, content: dict[str, Any], hubs: Mapping[str, str]) -> None:
        self._content = content
        self._hubs = hubs
        self._changed = False
        self._states: dict[tuple[str, ...], str] = {}

    @classmethod
    def read(cls, hubs: Mapping[str, str]) -> Index:
        """The index in the cache folder, or an empty one; `hubs` are the catalog's."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads(_place().read_text(encoding="utf-8"))
            if content["fields"] == _FIELDS and content["made"] == _stamp():
                return cls(dict(content["hubs"]), hubs)
        return cls({}, hubs)

    def find(self, hub: str) -> Listed | None:
        """What this hub listed, if nothing has changed since."""
        with suppress(ValueError, TypeError, KeyError, AttributeError):  # as for a damaged file
            record = self._content[hub]
            entry = record["listings"][self.state(hub, record["depends"])]
            if all(len(values) == len(_FIELDS) for values in entry["cards"]):
                return Listed([Card(*values) for values in entry["cards"]], str(entry["refusal"]))
        return None

    def state(self, hub: str, depends: Sequence[str] | None) -> str:
        """A hash of all that a hub's cards depend on, as it is now."""
        key = (self._hubs[hub], *(depends or ()))
        if key not in self._states:
            now = [[each, _now(each)] for each in key[1:]]
            self._states[key] = hashlib.sha256(json.dumps([key[0], now]).encode()).hexdigest()
        return self._states[key]

    def keep(self, hub: str, depends: Sequence[str], state: str, listed: Listed) -> None:
        """Remember a listing; the oldest of this hub are forgotten."""
        listings: dict[str, Any] = {}
        with suppress(ValueError, TypeError, KeyError):
            listings = dict(self._content[hub]["listings"])
        listings.pop(state, None)
        cards = [[getattr(card, name) for name in _FIELDS] for card in listed.cards]
        listings[state] = {"cards": cards, "refusal": listed.refusal}
        latest = dict(list(listings.items())[-_KEPT:])
        self._content[hub] = {"depends": list(depends), "listings": latest}
        self._changed = True

    def write(self) -> None:
        """Replace the file; a folder that can't be written to is no reason to fail a listing."""
        if not self._changed:
            return
        place = _place()
        draft = place.with_name(f"{place.name}.{os.getpid()}")
        content = {"fields": _FIELDS, "made": _stamp(), "hubs": self._content}
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(content), encoding="utf-8")
            draft.replace(place)
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def matches(card: Card, pattern: str) -> bool:
    """Whether a name matches: whole, before its `@`, or exactly before its first dot."""
    name, pattern = card.reference.partition(":")[2].lower(), pattern.lower()
    return (
        fnmatchcase(name, pattern)
        or fnmatchcase(name.partition("@")[0], pattern)
        or name.partition(".")[0] == pattern
    )


def refreshed(card: Card) -> Card:
    """The card with whether its weights are at hand now."""
    if card.path is None:
        return card
    here = any(map(os.path.isfile, iglob(card.path)))
    return card if here == card.at_hand else replace(card, at_hand=here)


def installed() -> tuple[str, ...]:
    """What changes when any package is installed or removed."""
    return tuple(f"{folder}/*.dist-info" for folder in sys.path if os.path.isdir(folder))


def _place() -> Path:
    return cache_folder() / FILE


def _stamp() -> list[Any]:
    """Which Headstart wrote an index: its version, and when its hubs were last changed."""
    changed = max(path.stat().st_mtime_ns for path in _SOURCES.rglob("*.py"))
    return [version("headstart"), changed]


def _now(thing: str) -> Any:
    """The present state of one thing that cards may depend on."""
    if thing.startswith("$"):
        return os.environ.get(thing[1:])
    if "/" in thing or os.sep in thing:
        return [[path, *_stat(path)] for path in sorted(glob(thing))]
    try:
        return version(thing)
    except PackageNotFoundError:
        return None


def _stat(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
