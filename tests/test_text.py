"""Texts: what is usable, what counts as identical, tokens as the tokenizer gives them, batches."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from headstart.contracts import Backbone, Origin
from headstart.contracts.references import Reference
from headstart.errors import DataError, HeadstartError, WeightsError
from headstart.modalities.text import Text, Tokens

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "film", "bad", "the", "plot")
PAIR = b"\x1e"


def tokenizer(template: bool = True) -> Tokenizer:
    """Known words as they are, between the special tokens of BERT."""
    result = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    result.normalizer = Lowercase()
    result.pre_tokenizer = Whitespace()
    if template:
        result.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    return result


def backbone(raw: bytes | None = None, **preprocess: Any) -> Backbone:
    """A backbone of texts without stages."""
    raw = tokenizer().to_str().encode() if raw is None else raw
    settings = {
        "tokenizer": hashlib.sha256(raw).hexdigest(),
        "max_length": 8,
        "pad": 0,
        "unknown": 1,
        "types": True,
        **preprocess,
    }
    return Backbone(
        stages={},
        feature_dim=1,
        modality="text",
        preprocess=settings,
        origin=Origin("test:words", None, None, "", True),
        architecture=Reference("test", "words"),
        files={"tokenizer.json": raw},
    )


SOURCE = backbone()
PREPROCESS = SOURCE.preprocess
TEXT = Text().fitted(SOURCE)


def decode(raw: bytes, **preprocess: Any) -> Tokens:
    return TEXT.decode(raw, {**PREPROCESS, **preprocess})


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "it is empty"),
        (b" \t\n \xe2\x80\x83", "it holds only white space"),
        (PAIR + b" ", "it holds only white space"),
        (b"caf\xe9", "byte 0xe9 at offset 3 (line 1) is not UTF-8; save the file as UTF-8"),
        (b"one\ntwo\xff", "byte 0xff at offset 7 (line 2) is not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbfa\xff", "byte 0xff at offset 4 (line 1) is not UTF-8; save the file as"),
        ("a\nb".encode("utf-16") + b"\0", "at offset 8 (line 2) is not UTF-16"),
    ],
)
def test_what_is_no_text_is_a_problem(raw: bytes, problem: str) -> None:
    assert problem in (Text().check(raw).problem or "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_and_without_a_mark(encoding: str) -> None:
    text = "Отличный фильм 👍"
    raw = text.encode(encoding)
    assert Text().check(raw) == Text().check(text.encode())
    assert Text().text(raw) == text


def identity(text: str) -> str:
    check = Text().check(text.encode())
    assert check.problem is None
    return check.identity


def test_case_spacing_and_composition_make_no_difference() -> None:
    same = ["Straße  Café", " strasse café\n", "STRASSE\tCAFE\u0301", "\uff53trasse café"]
    assert len({identity(text) for text in same}) == 1
    assert identity("strasse cafe") != identity(same[0])


def test_where_a_pair_is_parted_makes_one() -> None:
    pairs = ["a b\x1ec", "a\x1eb c", "a b c", "c\x1ea b"]
    assert len({identity(text) for text in pairs}) == len(pairs)
    assert identity("a B \x1e c") == identity(pairs[0])


@given(st.text())
def test_an_identity_is_that_of_its_own_normal_form(text: str) -> None:
    raw = text.encode("utf-8", "replace")
    check, louder = Text().check(raw), Text().check(b"  " + raw.replace(b" ", b"\n ") + b"\t")
    assert check == louder or not check.identity
    assert bool(check.identity) == (check.problem is None)
    assert check.problem is None or not raw.decode().strip("\x1e").strip()


def test_tokens_are_those_of_the_library() -> None:
    item = decode(b"A good FILM")
    assert item.ids.tolist() == [2, 4, 5, 6, 3]
    assert item.types.tolist() == [0] * 5
    assert item.ids.dtype == item.types.dtype == np.int32
    assert (item.cut, item.words, item.unknown, TEXT.size(item)) == (False, 3, 0, 5)


def test_a_long_text_is_cut_and_keeps_its_special_tokens() -> None:
    item = decode(b"good " * 9)
    assert item.ids.tolist() == [2, *[5] * 6, 3]
    assert (item.cut, item.words) == (True, 6)
    assert not decode(b"good " * 6).cut


def test_of_a_pair_the_longer_text_is_cut() -> None:
    item = decode(b"good film" + PAIR + b"the plot " * 9)
    assert item.ids.tolist() == [2, 5, 6, 3, 8, 9, 8, 3]
    assert item.types.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (item.cut, item.words) == (True, 5)


def test_more_than_two_parts_are_one_text() -> None:
    assert decode(PAIR.join([b"good", b"bad", b"film"])).ids.tolist() == [2, 5, 7, 6, 3]


def test_unknown_words_are_counted_once_each_time() -> None:
    item = decode(b"good xyzzy" + PAIR + b"the xyzzy")
    assert (item.words, item.unknown) == (4, 2)
    sure = decode(b"good xyzzy", unknown=None)
    assert (sure.words, sure.unknown) == (0, 0)


@pytest.mark.parametrize(("unknown", "first"), [(1, 1), (None, 0)])
def test_of_a_text_without_tokens_one_is_left(unknown: int | None, first: int) -> None:
    raw = tokenizer(template=False).to_str().encode()
    source = backbone(raw, unknown=unknown)
    item = Text().fitted(source).decode(b" \x1e ", source.preprocess)
    assert item.ids.tolist() == [first]
    assert (item.words, item.unknown) == (0, 0)


def test_batches_are_padded_on_the_right() -> None:
    items = [decode(b"good"), decode(b"a bad film" + PAIR + b"plot")]
    batch = TEXT.collate(items, {**PREPROCESS, "pad": 9})
    assert batch["input_ids"].tolist() == [[2, 5, 3, 9, 9, 9, 9], [2, 4, 7, 6, 3, 9, 3]]
    assert batch["mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0], [1] * 7]
    assert batch["types"].tolist() == [[0] * 7, [0, 0, 0, 0, 0, 1, 1]]
    assert all(values.dtype == torch.int64 for values in batch.values())
    assert set(TEXT.collate(items, {**PREPROCESS, "types": False})) == {"input_ids", "mask"}


def test_remarks_say_what_the_backbone_lacks() -> None:
    long, short, odd = (decode(raw) for raw in (b"good " * 9, b"a film", b"xyzzy film"))
    assert TEXT.remarks([short] * 3, PREPROCESS) == []
    assert TEXT.remarks([long, *[short] * 1999], PREPROCESS) == [
        "1 of 2,000 texts is longer than 8 tokens and is cut there."
    ]
    assert TEXT.remarks([long] * 2 + [odd, short], PREPROCESS) == [
        "2 of 4 texts are longer than 8 tokens and are cut there.",
        "6.2 % of the words (1 of 16) are not in the vocabulary.",
    ]
    assert (
        "Less than 0.1 % of the words (1 of 2,002)"
        in TEXT.remarks([odd, *[short] * 1000], PREPROCESS)[0]
    )


def test_words_for_a_bag_of_them() -> None:
    assert Text().text(b"a good film" + PAIR + b"the plot") == "a good film the plot"
    assert Text().text(b"\xff") is None


def test_threads_decode_alike() -> None:
    texts = [" ".join(WORDS[4 + n % 6] for n in range(k % 12 + 1)).encode() for k in range(200)]
    alone = [decode(raw).ids.tolist() for raw in texts]
    with ThreadPoolExecutor(8) as pool:
        assert [result.ids.tolist() for result in pool.map(decode, texts)] == alone


def test_before_a_backbone_there_are_no_tokens() -> None:
    with pytest.raises(HeadstartError, match="without a tokenizer"):
        Text().decode(b"a film", PREPROCESS)
    with pytest.raises(DataError, match="is not UTF-8"):
        decode(b"\xff")


@pytest.mark.parametrize("raw", [b"{}", b"not JSON", b"\xff", b'{"model": {"type": "Odd"}}'])
def test_a_damaged_tokenizer_is_one_sentence(raw: bytes) -> None:
    with pytest.raises(WeightsError, match=r"test:words has a tokenizer\.json that can't be read"):
        Text().fitted(backbone(raw))


def test_a_tokenizer_that_is_missing_or_another_one() -> None:
    source = backbone()
    source.files = {}
    with pytest.raises(WeightsError, match=r"test:words has no tokenizer\.json"):
        Text().fitted(source)
    with pytest.raises(WeightsError, match="not the one it was made with"):
        Text().fitted(backbone(tokenizer=hashlib.sha256(b"other").hexdigest()))


def test_padding_and_truncation_of_the_file_are_not_taken_over() -> None:
    result = tokenizer()
    result.enable_padding(length=20)
    result.enable_truncation(4)
    source = backbone(result.to_str().encode(), max_length=6)
    item = Text().fitted(source).decode(b"good " * 9, source.preprocess)
    assert item.ids.tolist() == [2, 5, 5, 5, 5, 3]
