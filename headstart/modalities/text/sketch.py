"""A text's sketch: equal for texts that differ in punctuation and numbers alone."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_LEAST = 12  # letters, below which numbers and punctuation are what a text says


class _Plain(dict[int, str]):
    """What stands for a character: itself for letters, marks and symbols, 0 for digits, a space."""

    def __missing__(self, code: int) -> str:
        kind, letter = unicodedata.category(chr(code)), chr(code)
        kept = letter if kind[0] in "LM" or kind == "So" or letter == "\x1e" else " "
        self[code] = "0" if kind[0] == "N" else kept
        return self[code]


_PLAIN = _Plain()
_NUMBER = re.compile(r"0[0 ]*")


def sketch(plain: str) -> str:
    """A hash of 256 bits as hex, of a text in lower case; empty for one of few letters."""
    bare = _NUMBER.sub("0 ", plain.translate(_PLAIN))
    if sum(map(str.isalpha, bare)) < _LEAST:
        return ""
    return hashlib.blake2b(" ".join(bare.split()).encode(), digest_size=32).hexdigest()
