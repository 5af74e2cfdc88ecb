"""How many pixels of one picture are decoded, at most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

USUAL: Final = 178_956_970  # Pillow's own limit for an error: 512 MiB at three bytes a pixel
_MOST: ContextVar[int] = ContextVar("most pixels", default=USUAL)


def most() -> int:
    """The number that holds here."""
    return _MOST.get()


@contextmanager
def at_most(pixels: int) -> Iterator[None]:
    """Decode no picture of more pixels, in this thread or task, while the block lasts."""
    before = _MOST.set(min(pixels, USUAL))
    try:
        yield
    finally:
        _MOST.reset(before)
