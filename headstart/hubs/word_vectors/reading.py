"""Files of word vectors, read as a stream into one array."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, final

import numpy as np

from headstart.errors import WeightsError
from headstart.hubs.word_vectors.layouts import (
    BinaryLayout,
    Entry,
    Layout,
    TextLayout,
    opened,
    recognised,
)

_BLOCK: Final = 1024  # words read at a time
_GROWTH: Final = 1.25


@final
@dataclass(frozen=True)
class Vectors:
    """Words in their order, with their numbers; `unreadable` ones were not UTF-8 and left out.

    `matrix` is (special + words, dimension) float32 with zeros in the rows of special words, which
    come first; None where only the words were asked for.
    """

    words: Sequence[str]
    dimension: int
    matrix: np.ndarray | None
    unreadable: int = 0


def read(path: Path, most: int, special: Collection[str], numbers: bool = True) -> Vectors:
    """The first `most` words of a file; of a word that comes twice the first, and no special ones.

    In binary files words that are not UTF-8 are left out, as word2vec's own tool cuts long ones in
    the middle of a letter. Raises WeightsError naming the line (in a binary file the word) that is
    wrong.
    """
    form = recognised(path)
    layout = (BinaryLayout if form.binary else TextLayout)(path, form)
    stated = min(most, _BLOCK if form.words is None else form.words)
    matrix = _room(path, len(special) + stated, form.dimension) if numbers else None
    table = _Table(layout, matrix, special)
    with opened(path) as stream:
        entries = layout.entries(stream)
        while block := list(islice(entries, min(_BLOCK, most - table.count()))):
            table.add(block)
    table.finish()
    if table.unreadable and not table.count():
        raise WeightsError(f"{path} has no word that is UTF-8. Save the file as UTF-8.")
    return Vectors(table.words(), form.dimension, matrix, table.unreadable)


@final
class _Table:
    """The words read so far, with their numbers in a matrix that grows in place."""

    def __init__(self, layout: Layout, matrix: np.ndarray | None, special: Collection[str]) -> None:
        self._layout = layout
        self._matrix = matrix
        self._special = len(special)
        self._words = dict.fromkeys(special)
        self.unreadable = 0

    def count(self) -> int:
        """How many words there are so far."""
        return len(self._words) - self._special

    def words(self) -> list[str]:
        """The words, without the special ones."""
        return list(islice(self._words, self._special, None))

    def add(self, block: Sequence[Entry]) -> None:
        """Take in what is new in a block."""
        new = [place for place, entry in enumerate(block) if self._is_new(entry)]
        if self._matrix is None:
            return
        values = self._layout.numbers(block)
        finite = np.isfinite(values).all(1)
        if not finite.all():
            number, word, _ = block[int(finite.argmin())]
            raise WeightsError(
                f"{self._layout.place(number)} gives {word.decode(errors='replace')!r} a "
                "number that is not finite. Copy or download it again."
            )
        end = len(self._words)
        if end > len(self._matrix):
            self._resize(max(end, int(len(self._matrix) * _GROWTH)))
        self._matrix[end - len(new) : end] = values[new]

    def finish(self) -> None:
        """Give back the memory that wasn't needed."""
        if self._matrix is not None:
            self._resize(len(self._words))
            self._matrix[: self._special] = 0

    def _is_new(self, entry: Entry) -> bool:
        number, raw, _ = entry
        try:
            word = raw.decode()
        except UnicodeDecodeError:
            if not self._layout.cuts:
                raise WeightsError(
                    f"{self._layout.place(number)} has a word that is not UTF-8 ({raw[:40]!r}). "
                    "Save the file as UTF-8."
                ) from None
            self.unreadable += 1
            return False
        count = len(self._words)
        self._words[word] = None
        return len(self._words) > count

    def _resize(self, rows: int) -> None:
        if self._matrix is not None:
            self._matrix.resize((rows, self._layout.dimension), refcheck=False)


def _room(path: Path, rows: int, dimension: int) -> np.ndarray:
    """An array whose memory is taken only where it is written to."""
    try:
        return np.empty((rows, dimension), dtype=np.float32)
    except (MemoryError, ValueError):
        raise WeightsError(
            f"{path} states {rows:,} words of {dimension:,} numbers, which don't fit into memory. "
            "Take fewer of them, such as ?words=50000."
        ) from None
