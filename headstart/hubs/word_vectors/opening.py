"""Word vectors as a stream of bytes: packed or not, text or binary, and refused where neither."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, final

from headstart.errors import WeightsError

_GZIP: Final = b"\x1f\x8b"
_BUFFER: Final = 1 << 20
_SNIFFED: Final = 1 << 16  # bytes that show the format
_WIDEST: Final = 1 << 16  # numbers a word
_TEXT: Final = frozenset(b"0123456789+-.eEnNaAiIfF")  # what numbers are written in
_CONTROL: Final = frozenset(range(32)) - frozenset(b"\t\n\v\f\r")  # what no text holds
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
        reason = str(error).rstrip(".")
        raise WeightsError(f"{path} can't be read ({reason}). Copy or download it again.") from (
            error
        )


def recognised(path: Path) -> Format:
    """The format of a file of word vectors: with or without a header, text or binary.

    Raises WeightsError where it is of none.
    """
    with opened(path) as stream:
        start = stream.read(_SNIFFED)
    for magic, said in _OTHERS.items():
        if start.startswith(magic):
            raise WeightsError(f"{path} {said}")
    first, _, rest = start.partition(b"\n")
    fields = first.split()
    if not fields:
        raise WeightsError(f"{path} begins with nothing. Give a file of word vectors.")
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        words, dimension = int(fields[0]), int(fields[1])
        found = Format(dimension, words, _is_binary(rest, dimension))
    else:
        found = Format(len(fields) - 1, None, binary=False)
    if not 0 < found.dimension <= _WIDEST or found.words == 0:
        raise WeightsError(
            f"{path}, line 1, is neither two numbers (how many words, how many numbers each) nor "
            "a word and its numbers. Give a file of word vectors."
        )
    return found


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
    return not _CONTROL.isdisjoint(values)
