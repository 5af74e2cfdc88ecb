"""SentencePiece models (Kudo and Richardson 2018): trained, parsed, and joined."""

from __future__ import annotations

import io
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, final

from headstart.loading.refusals import demand_package

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
SPECIAL: Final = (PAD, END, UNKNOWN)
_FEWEST, _MOST = 300, 2000  # pieces that are learned from texts
_WORDS: Final = 8  # of the texts, for each piece
_LONGEST: Final = 1 << 14  # bytes of a text that is learned from


UNIGRAM: Final = 1  # by which a model says of what kind it is


@final
class Kind(IntEnum):
    """Numbers by which a model says what a piece is."""

    NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def demand(what: object) -> None:
    """Raise HeadstartError where SentencePiece is not installed."""
    demand_package("sentencepiece", what, "translation")


def parsed(model: bytes) -> Any:
    """A model's pieces and settings. Raises ValueError where it can't be read as one."""
    proto = _empty()
    try:
        proto.ParseFromString(model)
    except Exception as error:  # of a kind of protobuf's own
        raise ValueError("it is no SentencePiece model") from error
    if not proto.pieces:
        raise ValueError("it is no SentencePiece model")
    return proto


def of_bytes() -> bytes:
    """A model that reads each byte of a text by itself, but for white space."""
    proto = _empty()
    proto.trainer_spec.model_type = UNIGRAM
    proto.trainer_spec.byte_fallback = True
    proto.trainer_spec.pad_id, proto.trainer_spec.eos_id = 0, 1
    proto.trainer_spec.unk_id, proto.trainer_spec.bos_id = 2, -1
    proto.normalizer_spec.name = "identity"
    kinds = (Kind.CONTROL, Kind.CONTROL, Kind.UNKNOWN)
    for name, kind in zip(SPECIAL, kinds, strict=True):
        proto.pieces.add(piece=name, score=0.0, type=kind)
    for number in range(256):
        proto.pieces.add(piece=f"<0x{number:02X}>", score=0.0, type=Kind.BYTE)
    proto.pieces.add(piece="▁", score=-2.0, type=Kind.NORMAL)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def trained(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Pieces with their scores by a unigram model (Kudo 2018), as many as the texts have words for.

    None where there is nothing to learn from.
    """
    from sentencepiece import SentencePieceTrainer

    plain = [*filter(None, map(_plain, texts))]
    words = sum(text.count(" ") + 1 for text in plain)
    if not words:
        return []
    size = max(_FEWEST, min(_MOST, words // _WORDS))
    buffer = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(plain),
        model_writer=buffer,
        vocab_size=size + len(set("".join(plain))),
        model_type="unigram",
        character_coverage=1.0,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        max_sentence_length=_LONGEST,
        num_threads=1,
        minloglevel=3,
    )
    pieces = parsed(buffer.getvalue()).pieces
    return [(each.piece, float(each.score)) for each in pieces if each.type == Kind.NORMAL]


def _plain(text: str) -> str:
    """A text without what stands for a space, as far as it is learned from."""
    words = " ".join(text.replace("▁", " ").split())
    return words.encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore")


def count(model: bytes, texts: Sequence[str]) -> int:
    """How many pieces a model reads texts in."""
    from sentencepiece import SentencePieceProcessor

    return sum(map(len, SentencePieceProcessor(model_proto=model).encode([*texts])))


def joined(model: bytes, pieces: Sequence[tuple[str, float]]) -> bytes:
    """The model with those of the pieces behind its own that it hasn't yet."""
    proto = parsed(model)
    there = {each.piece for each in proto.pieces}
    for name, score in pieces:
        if name not in there:
            proto.pieces.add(piece=name, score=score, type=Kind.NORMAL)
            there.add(name)
    proto.trainer_spec.vocab_size = len(proto.pieces)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _empty() -> Any:
    from sentencepiece import sentencepiece_model_pb2

    messages: Any = sentencepiece_model_pb2
    return messages.ModelProto()
