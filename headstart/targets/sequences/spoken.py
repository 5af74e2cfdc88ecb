"""Texts of what is said in items that are no texts: those that can't be, told without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from headstart.contracts.labels import Screened
from headstart.contracts.scripts import scripts, share
from headstart.contracts.spoken import plain

_LETTERS: Final = 12  # of one text, from which on its script tells the language
_USUAL: Final = 0.1  # of all texts: scripts that are in more are the column's own

FOREIGN: Final = "its text is not in the script of the others"
MUTE: Final = "its text has no word"


def screened(labels: Sequence[str]) -> Screened:
    """Texts without a word, and those in another script than the others."""
    letters = [scripts(text) for text in labels]
    texts = Counter(name for each in letters for name in each)
    own = frozenset(name for name, count in texts.items() if count > _USUAL * len(labels))
    faults = tuple(_fault(text, each, own) for text, each in zip(labels, letters, strict=True))
    counts = Counter(filter(None, faults))
    reasons = ", ".join(f"{count} as {fault}" for fault, count in counts.most_common())
    remarks = (f"texts left out: {reasons}",) if reasons else ()
    return Screened(faults, ("",) * len(labels), remarks)


def _fault(text: str, letters: Counter[str], own: frozenset[str]) -> str:
    if not plain(text):
        return MUTE
    foreign = letters.total() >= _LETTERS and own and not share(letters, own)
    return FOREIGN if foreign else ""
