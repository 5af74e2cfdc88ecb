"""The tokenizer that finds the words of a vocabulary in a text, as Hugging Face writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, final

from headstart.errors import WeightsError

PAD: Final = 0
UNKNOWN: Final = 1
SPECIAL: Final[Mapping[str, int]] = {"[PAD]": PAD, "[UNK]": UNKNOWN}  # before the first word
_SHOWING: Final = 5000  # words with letters that show whether any is upper case
# How contractions are cut: as the Penn Treebank does, or not at all.
_PENN: Final = r"(?i:\w+(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b)|\w+|\.{3}|[^\w\s]"
_WHOLE: Final = r"\w+(?:'\w+)*|\.{3}|[^\w\s]"


def is_lower(words: Sequence[str]) -> bool:
    """Whether none of the first words has an upper-case letter."""
    with_letters = (word for word in words if any(map(str.isalpha, word)))
    return not any(any(map(str.isupper, word)) for word in islice(with_letters, _SHOWING))


def tokenizer(words: Sequence[str], lower: bool) -> bytes:
    """tokenizer.json for these words; word number n has the id n + 2.

    Texts are cut at white space and punctuation, and contractions as in the vocabulary: "don't" is
    "do" and "n't" unless it has the whole and not the part.
    """
    vocabulary = dict(SPECIAL)
    for word in words:
        vocabulary[word] = len(vocabulary)
    whole = "don't" in vocabulary and "n't" not in vocabulary
    steps: list[dict[str, Any]] = [
        {"type": "NFC"},
        {
            "type": "Replace",
            "pattern": {"String": "\N{RIGHT SINGLE QUOTATION MARK}"},
            "content": "'",
        },
    ]
    if lower:
        steps.append({"type": "Lowercase"})
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": _WHOLE if whole else _PENN},
            "behavior": "Removed",
            "invert": True,
        },
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    return json.dumps(content, ensure_ascii=False).encode()


@final
@dataclass(frozen=True)
class Known:
    """What a saved tokenizer knows: how many words, and whether it lower-cases texts."""

    words: int
    lower: bool


def known(content: bytes, what: str) -> Known:
    """Read a saved tokenizer. Raises WeightsError for one that wasn't written here."""
    try:
        saved = json.loads(content)
        vocabulary: Mapping[str, int] = saved["model"]["vocab"]
        steps = [step["type"] for step in saved["normalizer"]["normalizers"]]
        ours = all(vocabulary[name] == number for name, number in SPECIAL.items())
    except (ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise WeightsError(
            f"{what} is not the tokenizer of word vectors. Copy the saved folder again."
        )
    return Known(len(vocabulary) - len(SPECIAL), "Lowercase" in steps)
