"""What in a text is never translated: placeholders, tags, entities, addresses."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Final, final

_PARTS: Final = (
    r"(?:https?|ftp)://[^\s<>\"]*[^\s<>\".,;:!?)\]]|\bwww\.[^\s<>\"]*[^\s<>\".,;:!?)\]]",
    r"[\w.+-]+@[\w-]+\.[\w.-]*\w",  # addresses of mail
    r"</?[A-Za-z][^<>]*>",  # tags
    r"&(?:[A-Za-z]\w{1,31}|#\d+|#[xX][0-9A-Fa-f]+);",  # entities
    r"\$\([A-Za-z_]\w*\)|\$?\{\{?\s*[\w.:!\-]*\s*\}?\}",  # $(ARG1), {name}, {}, ${name}, {{name}}
    r"%\(\w+\)[A-Za-z]|%\d+\$[A-Za-z@]",  # %(name)s, %1$s
    r"%[A-Z][A-Z_]{2,}\b",  # %PRODUCTNAME
    r"(?<!\d)%(?:\d{1,2}(?![\d.,])|\.?\d*l?[sdifugxXc@](?![^\W\d_]))",  # %1, %s, %.2f, %ld
    r"\\[nt](?![a-z])",  # written line ends
)
_PLACEHOLDER: Final = re.compile("|".join(f"(?:{part})" for part in _PARTS))
_DIGITS: Final = re.compile(r"\d+")


def placeholders(text: str) -> Counter[str]:
    """How often each of what stands in a text as it is for every language."""
    return Counter(_PLACEHOLDER.findall(text))


def bare(text: str) -> str:
    """The text without them."""
    return _PLACEHOLDER.sub(" ", text)


@final
class _Words(dict[int, str]):
    """What stands for a character in words: itself for letters and marks, else a space."""

    def __missing__(self, code: int) -> str:
        self[code] = chr(code) if unicodedata.category(chr(code))[0] in "LM" else " "
        return self[code]


_WORDS: Final = _Words()


def skeleton(text: str) -> str:
    """What is left of a text but case, digits, punctuation and placeholders.

    Where that is nothing, it is the text with 0 for each number.
    """
    plain = unicodedata.normalize("NFKC", bare(text)).casefold()
    words = plain.translate(_WORDS).split()
    return " ".join(words) or _DIGITS.sub("0", "".join(text.casefold().split()))
