"""A long text is cut before it is tokenised, and gives the tokens of the whole of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from headstart.modalities.text.shortening import bounded, shortened

SAMPLES = [
    "the quick brown fox, jumped over 12345 lazy dogs!",
    "Straße café naïve  ÉTÉ\n\tunbelievable words-with-dashes don't",
    "中文没有空格所以每个字都是一个词。",
    "🙂🙂 emoji and ﬁ ligatures e\u0301",
]


def _pieces() -> Tokenizer:
    result = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    result.normalizer = normalizers.BertNormalizer()
    result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer: Any = trainers.WordPieceTrainer(
        vocab_size=120, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
    )
    result.train_from_iterator(SAMPLES * 4, trainer)
    result.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 1), ("[SEP]", 2)]
    )
    return result


def _bytes() -> Tokenizer:
    result = Tokenizer(models.BPE())
    result.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer: Any = trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    result.train_from_iterator(SAMPLES * 4, trainer)
    result.add_tokens(["quick brown"])  # one token of two words
    return result


def _unigram() -> Tokenizer:
    result = Tokenizer(models.Unigram())
    result.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    result.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer: Any = trainers.UnigramTrainer(
        vocab_size=110, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    result.train_from_iterator(SAMPLES * 4, trainer)
    return result


def _words() -> Tokenizer:
    result = Tokenizer(
        models.WordLevel({"[UNK]": 0, "the": 1, "fox": 2, ",": 3}, unk_token="[UNK]")
    )
    result.pre_tokenizer = pre_tokenizers.Whitespace()
    return result


MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "pieces": _pieces,
    "bytes": _bytes,
    "unigram": _unigram,
    "words": _words,
}
tokenizer = cache(lambda name: MAKERS[name]())  # one for all examples, cut anew in each


def limited(name: str, length: int, direction: str) -> Tokenizer:
    """A tokenizer that cuts texts at so many tokens."""
    result: Tokenizer = tokenizer(name)
    result.enable_truncation(length, direction=direction)
    return result


@pytest.mark.parametrize("direction", ["right", "left"])
@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=30)
@given(
    words=st.lists(
        st.sampled_from(" ".join(SAMPLES).split(" ")) | st.text(max_size=8), min_size=1, max_size=9
    ),
    space=st.sampled_from([" ", "\n", "  ", "\u3000", "", ", "]),
    length=st.integers(4, 20),
    repeated=st.integers(1, 300),
)
def test_the_tokens_are_those_of_the_whole(
    name: str, direction: str, words: list[str], space: str, length: int, repeated: int
) -> None:
    text = (space.join(words) + space) * repeated
    result = limited(name, length, direction)
    part = shortened(text, result)
    assert result.encode(part).ids == result.encode(text).ids
    assert result.encode(part).offsets == result.encode(text).offsets or direction == "left"
    assert bool(result.encode(part).overflowing) == bool(result.encode(text).overflowing)


def test_of_pairs_only_enormous_texts_are_cut() -> None:
    """Which text of a pair keeps one token more depends on which is the longer one."""
    result = limited("words", 23, "right")
    assert bounded("the fox " * 100_000, result) == "the fox " * 100_000
    assert len(bounded("the fox " * 1_000_000, result)) == 1 << 20
    result = limited("words", 30_000, "left")
    text = "the " * 999_999 + "fox"
    assert bounded(text, result) == text[-64 * 30_000 :]


def test_a_short_text_is_not_looked_at() -> None:
    text = SAMPLES[0] * 20
    assert shortened(text, limited("pieces", 16, "right")) is text


@pytest.mark.parametrize("direction", ["right", "left"])
@pytest.mark.parametrize("filling", ["the fox, ", "中文。", "x"], ids=["words", "Chinese", "solid"])
@pytest.mark.parametrize("name", MAKERS)
def test_what_is_kept_of_a_very_long_text_is_short(name: str, filling: str, direction: str) -> None:
    text = filling * (4_000_000 // len(filling))
    part = shortened(text, limited(name, 16, direction))
    assert len(part) < 10_000 or (len(part) <= 1 << 20 and filling != "the fox, ")
