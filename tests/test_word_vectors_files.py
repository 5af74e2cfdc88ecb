"""Files of word vectors: every layout reads the same, and what is wrong is said with its place."""

from __future__ import annotations

import gzip
import tempfile
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart import catalog
from headstart.errors import WeightsError
from headstart.hubs.word_vectors.reading import Vectors, read

Words = Mapping[str, Sequence[float]]
THREE: Words = {"the": [1.5, -2.0], "Été": [0.1, 3e-5], "n't": [0.0, 7.0]}
SPECIAL = ("[PAD]", "[UNK]")


def text(words: Words, header: bool = True, end: str = "\n", after: str = "") -> bytes:
    """Lines of text; each number in as few digits as give it back."""
    lines = [" ".join([word, *map(repr, map(float, row))]) + after for word, row in words.items()]
    width = len(next(iter(words.values())))
    first = [f"{len(words)} {width}"] if header else []
    return "".join(line + end for line in [*first, *lines]).encode()


def binary(words: Words, end: bytes = b"\n") -> bytes:
    """word2vec's binary layout."""
    width = len(next(iter(words.values())))
    rows = [
        word.encode() + b" " + np.array(row, "<f4").tobytes() + end for word, row in words.items()
    ]
    return f"{len(words)} {width}\n".encode() + b"".join(rows)


LAYOUTS: Mapping[str, Callable[[Words], bytes]] = {
    "text with a header": text,
    "text without": lambda words: text(words, header=False),
    "text as fastText writes it": lambda words: text(words, after=" "),
    "text from Windows": lambda words: text(words, end="\r\n"),
    "text with tabs": lambda words: text(words).replace(b" ", b"\t"),
    "text with blank lines": lambda words: text(words) + b"\n \n",
    "binary": binary,
    "binary without line breaks": lambda words: binary(words, end=b""),
}


def found(content: bytes, most: int = 10**6, name: str = "words.txt") -> Vectors:
    """What is read from a file with this content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return read(path, most, SPECIAL)


def as_read(vectors: Vectors) -> dict[str, list[float]]:
    """Words with their numbers, after a look at the rows of special words."""
    assert vectors.matrix is not None
    assert vectors.matrix.dtype == np.float32
    assert not vectors.matrix[: len(SPECIAL)].any()
    rows = vectors.matrix[len(SPECIAL) :].tolist()
    return dict(zip(vectors.words, rows, strict=True))


def rounded(words: Words) -> dict[str, list[float]]:
    return {word: np.array(row, np.float32).tolist() for word, row in words.items()}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_the_same(layout: str, packed: bool) -> None:
    content = LAYOUTS[layout](THREE)
    vectors = found(gzip.compress(content, mtime=0) if packed else content)
    assert vectors.dimension == 2
    assert as_read(vectors) == rounded(THREE)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters=" \t\n\v\f\r"), min_size=1)
NUMBERS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3)


@pytest.mark.parametrize("layout", ["text with a header", "binary"])
@given(words=st.dictionaries(WORDS, NUMBERS.map(lambda row: row[:3]), min_size=1, max_size=5))
def test_any_words_and_numbers_come_back(layout: str, words: Words) -> None:
    words = {"1": [0.1, 0.2, 0.3]} | {word: words[word] for word in words if word not in SPECIAL}
    assert as_read(found(LAYOUTS[layout](words))) == rounded(words)


def test_many_blocks_and_the_first_so_many() -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    words = {f"word{number}": row.tolist() for number, row in enumerate(rows)}
    for layout in LAYOUTS.values():
        vectors = found(layout(words))
        assert list(vectors.words) == list(words)
        assert vectors.matrix is not None
        assert np.array_equal(vectors.matrix[2:], rows)
        assert as_read(found(layout(words), most=1500)) == dict(list(words.items())[:1500])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_words_alone_can_be_read(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_bytes(LAYOUTS[layout](THREE))
    vectors = read(path, 2, SPECIAL, numbers=False)
    assert (list(vectors.words), vectors.dimension, vectors.matrix) == (["the", "Été"], 2, None)


def test_the_first_of_equal_words_counts_and_special_ones_do_not() -> None:
    content = b"a 1 2\n[UNK] 3 3\nb 3 4\na 5 6\n[PAD] 7 7\nc 8 9\n"
    assert as_read(found(content)) == {"a": [1, 2], "b": [3, 4], "c": [8, 9]}
    assert as_read(found(content, most=3)) == {"a": [1, 2], "b": [3, 4], "c": [8, 9]}


def test_words_may_hold_spaces_and_numbers_any_notation() -> None:
    content = b". . . 1 2\nat name@domain.com  +.5 -2E-1\n\xc2\xa0 3 4\n5 1e1 -0\n"
    with_header = b"4 2\n" + content
    expected = rounded({". . .": [1, 2], "at name@domain.com": [0.5, -0.2]})
    expected |= {"\xa0": [3.0, 4.0], "5": [10.0, 0.0]}
    assert as_read(found(with_header)) == expected


LINES = "words.txt, line {},"
WRONG: list[tuple[bytes, str]] = [
    (b"", "begins with nothing"),
    (b"\n\n", "begins with nothing"),
    (b"word\n", "line 1, is neither two numbers .* nor a word and its numbers"),
    (b"0 5\n", "line 1, is neither"),
    (b"3 0\n", "line 1, is neither"),
    (b"3 99999999\nword 1\n", "line 1, is neither"),
    (b"a 1 2\nb 1\n", LINES.format(2) + " holds 1 number after its word, not 2. Copy"),
    (b"a 1 2\nb 1 2 3\n", LINES.format(2) + " holds 3 numbers after its word, not 2"),
    (b"1 2\na 1 2 3\n", LINES.format(2) + " holds 3 numbers after its word, not 2"),
    (b"a 1 2\n\nb 1 x2\n", LINES.format(3) + " holds 'x2', which is not a number"),
    (b"a 1 2\nb 1 2,5\n", LINES.format(2) + " holds '2,5', which is not a number"),
    (b"a 1 2\nb 1 \xff\n", LINES.format(2) + " holds '\ufffd', which is not a number"),
    (b"a 1 2\nb nan 2\n", LINES.format(2) + " gives 'b' a number that is not finite"),
    (b"a 1 2\nb 1 1e99\n", LINES.format(2) + " gives 'b' a number that is not finite"),
    (b"a 1 2\n\xe9t\xe9 1 2\n", LINES.format(2) + r" has a word that is not UTF-8 \(b'.*UTF-8"),
    (
        text(THREE).rpartition(b"n't")[0],
        "words.txt holds 2 words, not the 3 that its first line states",
    ),
    (text(THREE) + b"more 1 2\n", "holds more than 3 words, not the 3"),
    (binary(THREE)[:-9], "holds 2 words, not the 3 that its first line states"),
    (binary(THREE) + b"more", "holds more than 3 words, not the 3"),
    (binary({"a": [float("inf"), 0.3]}), "words.txt, word 1, gives 'a' a number that is not fin"),
    (binary({"\x00": [0.1, 0.3]}).replace(b"\x00 ", b"\xff "), "no word that is UTF-8"),
    (b"9 1\na " + b"\xfe" * (3 << 20), "holds 1 word, not the 9"),
    (b"9 4\n" + b"\xfe" * (3 << 20), "line 2, holds 0 numbers after its word"),
    (gzip.compress(text(THREE), mtime=0)[:-12], "can't be read .* Copy or download it again"),
    (gzip.compress(text(THREE), mtime=0)[:12] + b"damaged", "can't be read"),
    (b"PK\x03\x04glove", "is a zip archive. Unpack it"),
    (b"\x80\x04\x95gensim", r"a pickle, which could run code.*save_word2vec_format\(\)"),
    (b"\x93NUMPY\x01", "holds numbers without their words"),
    (b"\xba\x16\x4f\x2f\x0c\x00", "in fastText's own format. Give the .vec file"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        found(content)
    assert str(caught.value).endswith(".")


def test_a_bad_line_deep_in_a_file_is_found() -> None:
    lines = [f"word{number} {number} 1" for number in range(5000)]
    lines[4321] = "word 4321 l"
    with pytest.raises(WeightsError, match="line 4,322, holds 'l', which is not a number"):
        found("\n".join(lines).encode())


def test_what_follows_the_words_that_were_asked_for_is_not_looked_at() -> None:
    assert as_read(found(b"a 1 2\nb 1 2\nc nonsense\n", most=2)) == {"a": [1, 2], "b": [1, 2]}


def test_a_header_that_promises_too_much_takes_no_memory() -> None:
    with pytest.raises(WeightsError, match="holds 1 word, not the 99,999,999 that"):
        found(b"99999999 300\nword " + b"0 " * 300, most=200_000)
    with pytest.raises(WeightsError, match=r"don't fit into memory\. Take fewer of them"):
        found(b"9999999999999 300\nword " + b"0 " * 300, most=10**18)


ROWS, WIDTH = 20_000, 200
ONES = {
    "text with a header": (f"{ROWS} {WIDTH}\n".encode(), b" 1" * WIDTH + b"\n"),
    "text without": (b"", b" 1" * WIDTH + b"\n"),
    "binary": (f"{ROWS} {WIDTH}\n".encode(), b" " + np.ones(WIDTH, "<f4").tobytes()),
}


@pytest.mark.parametrize("layout", ONES)
def test_reading_takes_little_more_memory_than_the_numbers(layout: str, tmp_path: Path) -> None:
    first, numbers = ONES[layout]
    path = tmp_path / "words"
    path.write_bytes(first + b"".join(b"word%d" % row + numbers for row in range(ROWS)))
    tracemalloc.start()
    try:
        vectors = read(path, 10**6, SPECIAL)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert vectors.matrix is not None
    assert vectors.matrix.sum() == ROWS * WIDTH
    assert peak < 1.6 * vectors.matrix.nbytes  # with the words, buffers and a block


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.txt is not a file"):
        read(tmp_path / "none.txt", 1, SPECIAL)
    with pytest.raises(WeightsError, match="can't be read"):
        read(tmp_path, 1, SPECIAL)


def test_cards_are_of_files_by_their_usual_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("glove.2d.txt", "notes.txt", "cc.ru.vec", "GoogleNews.bin"):
        (tmp_path / name).write_bytes(text(THREE, header=False))
    (tmp_path / "word2vec.txt").write_text("7 100\nand so on")
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    values = {hub: list(catalog.hub(hub).cards("*")) for hub in ("glove", "fasttext", "word2vec")}
    assert [card.reference for card in values["glove"]] == ["glove:glove.2d.txt"]
    assert [card.reference for card in values["fasttext"]] == ["fasttext:cc.ru.vec"]
    names = [(card.reference, card.parameters) for card in values["word2vec"]]
    assert names == [("word2vec:GoogleNews.bin", None), ("word2vec:word2vec.txt", 700)]


def test_words_cut_in_a_letter_are_left_out_and_counted(tmp_path: Path) -> None:
    content = binary({**THREE, "cut": [1.0, 1.0], "after": [2.0, 3.0]})
    path = tmp_path / "cut.bin"
    path.write_bytes(content.replace(b"cut ", "cu\u00e9".encode()[:3] + b" "))
    vectors = read(path, 10**6, SPECIAL)
    assert list(vectors.words) == [*THREE, "after"]
    assert vectors.unreadable == 1
    assert vectors.matrix is not None
    assert vectors.matrix[-1].tolist() == [2.0, 3.0]  # as gensim reads it
    (note,) = catalog.load_backbone(f"word2vec:{path}").notes
    assert note == f"{path}: 1 word left out, not UTF-8."


def test_a_space_in_a_binary_word_never_moves_the_others(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((6, 4))
    names = ["the", "ants", "New York", "bees", "are", "here"]
    with pytest.raises(WeightsError, match=r"word \d, is none: one before it holds a space"):
        found(binary(dict(zip(names, rows.tolist(), strict=True))))
