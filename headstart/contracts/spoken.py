"""Texts as they are spoken: without case and punctuation, so that models can be compared."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

NORMALISATION: Final = "in lower case, without punctuation but apostrophes in words"
_APOSTROPHES: Final = dict.fromkeys(map(ord, "\u2019\u02bc\uff07`\u00b4"), "'")
_INNER: Final = re.compile(r"(?<=\w)'(?=\w)")
_KEPT: Final = "\x1a"  # stands for an apostrophe within a word


def plain(text: str) -> str:
    """A text in lower case and compatible composition, its words with one space between.

    Punctuation and signs part words, but for apostrophes within them.
    """
    text = unicodedata.normalize("NFKC", text).replace(_KEPT, " ")
    text = unicodedata.normalize("NFC", text.lower()).translate(_APOSTROPHES)
    text = _INNER.sub(_KEPT, text)
    characters = ("'" if c == _KEPT else " " if _is_mark(c) else c for c in text)
    return " ".join("".join(characters).split())


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "PSC"
