"""A long text cut before it is made into tokens, so that it costs what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_GENEROUS: Final = 16  # characters a token: few texts need as many
_MARGIN: Final = 1024  # characters between what is kept and the cut; no token is as long
_MOST: Final = 64  # characters a token, or the number below: all that is looked at
_LEAST: Final = 1 << 20
_SPACE: Final = " \n\t\r"  # where every tokenizer ends a word


def shortened(text: str, tokenizer: Tokenizer) -> str:
    """The beginning of a text that gives the same tokens, once these are cut at their number.

    Or its end, where the tokenizer cuts on the left. The cut is where a word ends, and the last
    token that is kept ends well before it. A text without a space far and wide is cut after
    1,048,576 characters, or 64 for each token that is kept.
    """
    settings = tokenizer.truncation or {"max_length": len(text), "direction": "right"}
    length, left = int(settings["max_length"]), settings["direction"].lower() == "left"
    most = max(_LEAST, _MOST * length)
    room = _GENEROUS * length + 2 * _MARGIN
    while room < min(len(text), most):
        part = _end(text, room) if left else _beginning(text, room)
        if part and _covers(part, tokenizer, left):
            return part
        room *= 4
    return text[-most:] if left else text[:most]


def _beginning(text: str, room: int) -> str:
    """At most so many characters, without the word that they end in."""
    return text[: max(text.rfind(space, 0, room) for space in _SPACE) + 1].rstrip(_SPACE)


def _end(text: str, room: int) -> str:
    """At most so many characters, without the word that they begin in."""
    start = len(text) - room
    found = [place for space in _SPACE if (place := text.find(space, start)) >= 0]
    return text[min(found) :] if found else ""


def _covers(part: str, tokenizer: Tokenizer, left: bool) -> bool:
    """Whether all tokens that are kept of a text lie in this part, far from where it was cut."""
    found = tokenizer.encode(part, add_special_tokens=False)
    if not found.overflowing or not found.offsets:
        return False
    if left:
        return bool(found.offsets[0][0] >= _MARGIN)
    return bool(found.offsets[-1][1] <= len(part) - _MARGIN)
