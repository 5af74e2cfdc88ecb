"""Pairs of texts that spoil what is learned from them, told without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from headstart.contracts.labels import Screened
from headstart.contracts.placeholders import bare, skeleton
from headstart.contracts.scripts import expected, language, scripts, share

_LETTERS: Final = 12  # of one text, from which on its script tells the language
_COPIED_WORDS: Final = 3  # of a copy that is no name, code or placeholder
_USUAL: Final = 0.05  # of a column's letters: scripts that have more are its own
_SOME: Final = 0.5  # of a column's letters: what a language must have of its scripts
_RATIO: Final = 4.0  # times the usual ratio of lengths
_SMOOTH: Final = 20  # characters that are added to either, as short texts vary more
_FEWEST: Final = 10  # pairs, below which nothing is usual

SWAPPED: Final = "its two texts are swapped"
FOREIGN: Final = "its {side} is not in the script of {column!r}"
COPIED: Final = "its target is a copy of its source"
LENGTH: Final = "its two texts are of very different lengths"
REPEATED: Final = "it repeats another pair"


def screened(
    texts: Sequence[str | None], labels: Sequence[str], columns: tuple[str, str]
) -> Screened:
    """Why each pair is left out, empty where it isn't, and sentences on what stays.

    `texts` are the sources, None where items are no texts; `columns` what source and target are
    called. Copies are left out only where these are two languages.
    """
    if any(text is None for text in texts) or not texts:
        return Screened(("",) * len(labels), ("",) * len(labels))
    sources = [text or "" for text in texts]
    pairs = _Pairs.of(sources, labels, columns)
    earlier_pairs: set[tuple[str, str]] = set()
    faults, short = [], 0
    for place, pair in enumerate(zip(sources, labels, strict=True)):
        copied = _plain(pair[0]) == _plain(pair[1])
        fault = pairs.fault(place, copied) or (REPEATED if pair in earlier_pairs else "")
        short += copied and not fault
        earlier_pairs.add(pair)
        faults.append(fault)
    remarks = (*pairs.remarks(), *_remarks(faults, short))
    return Screened(tuple(faults), tuple(map(skeleton, sources)), remarks, pairs.warnings())


@dataclass(frozen=True)
class _Side:
    """One column: its texts, their letters' scripts, and which scripts are its own."""

    name: str
    letters: Sequence[Counter[str]]
    total: Counter[str]
    own: frozenset[str]

    @classmethod
    def of(cls, name: str, texts: Sequence[str]) -> _Side:
        """That of a column."""
        letters = [scripts(bare(text)) for text in texts]
        total = sum(letters, Counter[str]())
        own = (script for script, count in total.items() if count > _USUAL * total.total())
        return cls(name, letters, total, frozenset(own))


@dataclass(frozen=True)
class _Pairs:
    """All pairs, and what is usual among them."""

    source: _Side
    target: _Side
    words: Sequence[int]  # of sources
    odd: np.ndarray  # whether lengths are unlike those of the others

    @classmethod
    def of(cls, sources: Sequence[str], targets: Sequence[str], columns: tuple[str, str]) -> _Pairs:
        """Those of two columns."""
        lengths = [[len(text) + _SMOOTH for text in side] for side in (sources, targets)]
        ratios = np.log(np.array(lengths[1]) / np.array(lengths[0]))
        most = np.inf if len(ratios) < _FEWEST else np.log(_RATIO)
        return cls(
            _Side.of(columns[0], sources),
            _Side.of(columns[1], targets),
            [len(text.split()) for text in sources],
            np.abs(ratios - np.median(ratios)) > most,
        )

    @property
    def translates(self) -> bool:
        """Whether the columns are two languages."""
        one, other = language(self.source.name), language(self.target.name)
        return bool(one and other) and one != other

    def fault(self, place: int, copied: bool) -> str:
        """Why a pair is left out; empty where it isn't."""
        one, other = self.source.letters[place], self.target.letters[place]
        if self._foreign(one, self.source) and self._foreign(other, self.target):
            crossed = min(share(one, self.target.own), share(other, self.source.own))
            if crossed > _SOME:
                return SWAPPED
        if copied and self.translates and self.words[place] >= _COPIED_WORDS:
            return COPIED if other.total() >= _LETTERS else ""
        if not copied:
            for side, letters, what in (
                (self.source, one, "source"),
                (self.target, other, "target"),
            ):
                if letters.total() >= _LETTERS and self._foreign(letters, side):
                    return FOREIGN.format(side=what, column=side.name)
        return LENGTH if self.odd[place] else ""

    def remarks(self) -> tuple[str, ...]:
        """What columns are written in, where they are languages."""
        if not self.translates:
            return ()
        parts = (
            f"`{side.name}` in {' and '.join(sorted(s.capitalize() for s in side.own)) or 'none'}"
            for side in (self.source, self.target)
        )
        return (f"letters of {', '.join(parts)}",)

    def warnings(self) -> tuple[str, ...]:
        """Where a column isn't written as its language is."""
        sides = (self.source, self.target), (self.target, self.source)
        wrong = []
        for side, other in sides:
            scripts = expected(side.name)
            if scripts and side.own and share(side.total, scripts) < _SOME:
                seems = expected(other.name) and share(side.total, expected(other.name)) > _SOME
                wrong.append((side.name, bool(seems)))
        if len(wrong) == len(sides) and all(seems for _, seems in wrong):
            source, target = self.source.name, self.target.name
            return (
                f"Columns `{source}` and `{target}` are each written in the other's script, and "
                f"seem to be swapped. Give --source {target} --target {source}, or rename them.",
            )
        return tuple(
            f"Column `{name}` is hardly written in the script of its language. Check that it holds "
            "what its name says."
            for name, _ in wrong
        )

    @staticmethod
    def _foreign(letters: Counter[str], side: _Side) -> bool:
        return bool(letters and side.own) and not share(letters, side.own)


def _remarks(faults: Sequence[str], short: int) -> tuple[str, ...]:
    counts = Counter(filter(None, faults))
    reasons = (f"{count} as {fault}" for fault, count in counts.most_common())
    left_out = f"pairs left out: {', '.join(reasons)}"
    short_pairs = f"{short} targets equal their source, such as names and codes, and stay"
    return (*((left_out,) if counts else ()), *((short_pairs,) if short else ()))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
