"""A long text cut before it is made into tokens, so that it costs what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_GENEROUS: Final = 16  # characters a token: few texts need as many
_MARGIN: Final = 1024  # characters between what is kept and the cut; no token is as long
_MOST: Final = 64  # characters a token, or the number below: all that is looked at
_LEAST: Final = 1 << 20
_SPACE: Final = " \n\t\r"  # where every tokenizer ends a word


def shortened(text: str, tokenizer: Tokenizer) -> str:
    """The beginning of a text that gives the same tokens, once these are cut at their number.

    Or its end, where the tokenizer cuts on the left. Between the last token that is kept and the
    cut a word ends, well before the cut; tokens of one word do not depend on the next one. A text
    in which none does is cut after 1,048,576 characters, or 64 for each token that is kept.
    """
    length, from_left = _cut_at(tokenizer)
    room = _GENEROUS * length + 2 * _MARGIN
    while room < min(len(text), max(_LEAST, _MOST * length)):
        part = _end(text, room) if from_left else text[:room]
        encoding = tokenizer.encode(part, add_special_tokens=False)
        if encoding.overflowing and (_begins(encoding) if from_left else _ends(encoding, part)):
            return part
        room *= 4
    return bounded(text, tokenizer)


def bounded(text: str, tokenizer: Tokenizer) -> str:
    """At most 1,048,576 characters of a text, or 64 for each token that is kept.

    That is all for a text of a pair, as which of both keeps one token more depends on which is the
    longer one.
    """
    length, from_left = _cut_at(tokenizer)
    most = max(_LEAST, _MOST * length)
    return text[-most:] if from_left else text[:most]


def _cut_at(tokenizer: Tokenizer) -> tuple[int, bool]:
    """How many tokens are kept of a text, and whether they are the last ones."""
    settings = tokenizer.truncation
    if settings is None:
        return 1 << 62, False
    return int(settings["max_length"]), settings["direction"].lower() == "left"


def _end(text: str, room: int) -> str:
    """At most so many characters, without the word that they begin in."""
    start = len(text) - room
    places = [place for space in _SPACE if (place := text.find(space, start)) >= 0]
    return text[min(places) :] if places else ""


def _begins(encoding: Encoding) -> bool:
    """Whether the first token that is kept begins far from where the text was cut, at a space."""
    return bool(encoding.offsets) and bool(encoding.offsets[0][0] >= _MARGIN)


def _ends(encoding: Encoding, part: str) -> bool:
    """Whether a word ends between the last token that is kept and the cut, far from the cut."""
    if not encoding.offsets:
        return False
    last, end, limit = encoding.word_ids[-1], encoding.offsets[-1][1], len(part) - _MARGIN
    if any(part.find(space, end, limit) >= 0 for space in _SPACE):
        return True
    later = (
        pair
        for each in encoding.overflowing
        for pair in zip(each.word_ids, each.offsets, strict=True)
    )
    return any(word not in (None, last) and place[1] <= limit for word, place in later)
