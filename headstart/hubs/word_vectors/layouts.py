"""Files of word vectors as streams of bytes: packed or not, in one of two layouts, or refused.

The layouts are lines of text, and word2vec's binary one.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headstart.errors import WeightsError, reason

_CHUNK: Final = 1 << 20  # bytes read at a time, and the longest line or word
_CONTROL: Final = frozenset(range(32))  # bytes of numbers, never of words
_AGAIN: Final = "Copy or download it again."
_GZIP: Final = b"\x1f\x8b"
_BUFFER: Final = 1 << 20
_SNIFFED: Final = 1 << 16  # bytes that show the format
_WIDEST: Final = 1 << 16  # numbers a word
_TEXT: Final = frozenset(b"0123456789+-.eEnNaAiIfF")  # what numbers are written in
_NO_TEXT: Final = _CONTROL - frozenset(b"\t\n\v\f\r")
_OTHERS: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": "is a zip archive. Unpack it, and give one file of word vectors.",
    b"\xba\x16\x4f\x2f": "is a model in fastText's own format. Give the .vec file beside it.",
    b"\x93NUMPY": "holds numbers without their words. Give one file with both.",
    **{
        b"\x80" + bytes([version]): (
            "is in gensim's own format, a pickle, which could run code. In gensim, save it in "
            "word2vec's format with save_word2vec_format(), and give that file."
        )
        for version in range(2, 6)
    },
}

Entry = tuple[int, bytes, bytes]  # the number of the line or word, the word, its numbers


@final
@dataclass(frozen=True)
class Format:
    """What a file's beginning shows: its numbers a word, and how many words its header states."""

    dimension: int
    words: int | None  # None without a header
    binary: bool


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked.

    Raises WeightsError, also while they are read, where the file is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            raw = gzip.GzipFile(fileobj=file) if packed else file
            yield io.BufferedReader(raw, _BUFFER)
    except FileNotFoundError:
        raise WeightsError(f"{path} is not a file. Give a file of word vectors.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise WeightsError(f"{path} can't be read ({reason(error)}). {_AGAIN}") from error


def recognised(path: Path) -> Format:
    """The format of a file of word vectors: with or without a header, text or binary.

    Raises WeightsError where it is of none.
    """
    with opened(path) as stream:
        start = stream.read(_SNIFFED)
    for magic, message in _OTHERS.items():
        if start.startswith(magic):
            raise WeightsError(f"{path} {message}")
    first, _, rest = start.partition(b"\n")
    fields = first.split()
    if not fields:
        raise WeightsError(f"{path} begins with nothing. Give a file of word vectors.")
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        words, dimension = int(fields[0]), int(fields[1])
        form = Format(dimension, words, _is_binary(rest, dimension))
    else:
        form = Format(len(fields) - 1, None, binary=False)
    if not 0 < form.dimension <= _WIDEST or form.words == 0:
        raise WeightsError(
            f"{path}, line 1, is neither two numbers (how many words, how many numbers each) nor "
            "a word and its numbers. Give a file of word vectors."
        )
    return form


def _is_binary(rest: bytes, dimension: int) -> bool:
    """Whether what follows a header is no line of numbers, nor a text at all."""
    fields = rest.partition(b"\n")[0].split()[1:]
    if len(fields) >= dimension and _TEXT.issuperset(b"".join(fields[-dimension:])):
        return False
    _, _, values = rest.partition(b" ")
    values = values[: 4 * dimension]
    try:
        codecs.getincrementaldecoder("utf-8")().decode(values)
    except UnicodeDecodeError:
        return True
    return not _NO_TEXT.isdisjoint(values)


class Layout(ABC):
    """How words and their numbers stand in a file."""

    unit: str  # what is counted to name a place
    cuts = False  # whether words may end in the middle of a letter

    def __init__(self, path: Path, form: Format) -> None:
        self.path = path
        self.dimension = form.dimension
        self.words = form.words

    @abstractmethod
    def entries(self, stream: BinaryIO) -> Iterator[Entry]:
        """All words of a file. Raises WeightsError where one is wrong, or some miss at its end."""

    @abstractmethod
    def numbers(self, entries: Sequence[Entry]) -> np.ndarray:
        """The numbers of some words, (words, dimension) float32. Raises WeightsError for others."""

    def place(self, number: int) -> str:
        """Where something is wrong, to begin a message with."""
        return f"{self.path}, {self.unit} {number:,},"

    def counted(self, words: int, more: bool) -> None:
        """Compare the words that a file holds with those that its first line states."""
        if self.words is not None and (more or words != self.words):
            count = f"{'more than ' if more else ''}{_number(words, 'word')}"
            raise WeightsError(
                f"{self.path} holds {count}, not the {self.words:,} that its first line "
                f"states. {_AGAIN}"
            )


@final
class TextLayout(Layout):
    """A line for each word: the word, which may hold spaces, and its numbers after spaces."""

    unit = "line"

    def entries(self, stream: BinaryIO) -> Iterator[Entry]:
        """A word for each line that isn't blank."""
        if self.words is not None:
            stream.readline()
        start = 1 if self.words is None else 2
        count = 0
        for number, line in enumerate(iter(partial(stream.readline, _CHUNK), b""), start):
            line = line.rstrip()
            if not line:
                continue
            if count == self.words:
                self.counted(count, more=True)
            count += 1
            yield number, *self._divided(number, line)
        self.counted(count, more=False)

    def numbers(self, entries: Sequence[Entry]) -> np.ndarray:
        """Parsed by Arrow, some four times as fast as by Python."""
        try:
            lines = pa.array([digits for _, _, digits in entries], pa.string())
            fields = pc.list_flatten(pc.split_pattern(lines, " "))
            values: np.ndarray = pc.cast(fields, pa.float32()).to_numpy()
        except pa.ArrowInvalid:  # something is wrong, or written as Arrow doesn't read it
            values = np.array([self._parsed(*entry) for entry in entries], np.float32)
        return values.reshape(len(entries), self.dimension)

    def _divided(self, number: int, line: bytes) -> tuple[bytes, bytes]:
        """The word and its numbers, with a single space between any two of them."""
        word, _, numbers = line.partition(b" ")
        if numbers.count(b" ") == self.dimension - 1:
            return word, numbers
        word, *fields = line.rsplit(None, self.dimension)
        _, space, before = word.rpartition(b" ")
        if len(fields) < self.dimension or (space and _is_number(before)):
            count = len(line.split()) - 1
            raise WeightsError(
                f"{self.place(number)} holds {_number(count, 'number')} after its word, not "
                f"{self.dimension:,}. {_AGAIN}"
            )
        return word, b" ".join(fields)

    def _parsed(self, number: int, word: bytes, numbers: bytes) -> list[float]:
        fields = numbers.split(b" ")
        for field in fields:
            if not _is_number(field):
                raise WeightsError(
                    f"{self.place(number)} holds {field.decode(errors='replace')!r}, which is not "
                    f"a number. {_AGAIN}"
                )
        return [float(field) for field in fields]


@final
class BinaryLayout(Layout):
    """A word, a space, and the numbers as float32, lowest byte first; perhaps a line break."""

    unit = "word"
    cuts = True

    def entries(self, stream: BinaryIO) -> Iterator[Entry]:
        """As many words as the first line states."""
        stream.readline()
        size, count, breaks = 4 * self.dimension, 0, False
        buffer, position = b"", 0
        while count != self.words:
            end = buffer.find(b" ", position)
            start = end + 1
            if end >= 0 and start + size <= len(buffer):
                count += 1
                word = buffer[position:end]
                breaks = word.startswith(b"\n") if count == 2 else breaks
                if not _is_word(word.lstrip(b"\n")) or word.startswith(b"\n") < breaks:
                    raise WeightsError(
                        f"{self.place(count)} is none: one before it holds a space, or the file is "
                        "damaged. Save it as text, or copy it again."
                    )
                yield count, word.lstrip(b"\n"), buffer[start : start + size]
                position = start + size
                continue
            more = stream.read(_CHUNK)
            if not more or (end < 0 and len(buffer) - position > _CHUNK):
                break
            buffer, position = buffer[position:] + more, 0
        rest = buffer[position:] + stream.read(_CHUNK)
        self.counted(count, more=count == self.words and bool(rest.strip()))

    def numbers(self, entries: Sequence[Entry]) -> np.ndarray:
        """The bytes as they are."""
        raw = b"".join(values for _, _, values in entries)
        return np.frombuffer(raw, "<f4").reshape(len(entries), self.dimension)


def _is_word(raw: bytes) -> bool:
    """Whether bytes are a word, perhaps cut in a letter, and no numbers, which hold any byte."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return _CONTROL.isdisjoint(raw)
    return True


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
