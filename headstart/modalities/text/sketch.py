"""A text's sketch: equal for texts that differ in punctuation, and long ones in numbers, alone."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_PAIR = "\x1e"  # between the two texts of a pair
_LEAST, _LONG = 12, 40  # letters, below which punctuation, and numbers, are what a text says


class _Plain(dict[int, str]):
    """What stands for a character: a space for punctuation and the like, else itself."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        kind = unicodedata.category(letter)
        self[code] = letter if kind[0] in "LMN" or kind == "So" or letter == _PAIR else " "
        return self[code]


_PLAIN = _Plain()
_NUMBER = re.compile(r"\d[\d ]*")


def sketch(plain: str) -> str:
    """A hash of 256 bits as hex, of a text in lower case; empty for one of few letters."""
    bare = plain.translate(_PLAIN)
    letters = sum(map(str.isalpha, bare))
    if letters < _LEAST:
        return ""
    bare = _NUMBER.sub("0 ", bare) if letters >= _LONG else bare
    parts = (" ".join(part.split()) for part in bare.split(_PAIR))
    return hashlib.blake2b(_PAIR.join(parts).encode(), digest_size=32).hexdigest()
