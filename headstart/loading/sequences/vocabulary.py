"""The pieces that texts are read and written in, and how a decoder begins and ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from tokenizers import Tokenizer

MARK: Final = "\0"  # before a piece that the other side's model has, and this one can't read
LONGEST: Final = 256  # pieces of a text


def longest(config: Any) -> int:
    """The pieces that a text may have in a network of this configuration."""
    return min(LONGEST, int(getattr(config, "max_position_embeddings", LONGEST)))


@final
@dataclass(frozen=True)
class Vocabulary:
    """What a decoder writes in: a tokenizer, and the ids of what stands around a text.

    `start` is what a decoder is given first, `before` what then stands before each text, such as
    its language, and `end` behind it.
    """

    tokenizer: Tokenizer
    start: int
    pad: int
    end: int
    before: tuple[int, ...] = ()
    longest: int = LONGEST

    def pieces(self, text: str) -> list[int]:
        """The ids of a text as it is to be written, cut where it is too long."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [*self.before, *ids[: self.longest - len(self.before) - 1], self.end]

    def taught(self, texts: Sequence[str], ignored: int) -> tuple[np.ndarray, np.ndarray]:
        """What a decoder is given and what it is to say next, (N, T) int64, `ignored` behind."""
        rows = [self.pieces(text) for text in texts]
        shape = len(rows), max(map(len, rows))
        inputs, targets = np.full(shape, self.pad), np.full(shape, ignored)
        for place, row in enumerate(rows):
            targets[place, : len(row)] = row
            inputs[place, : len(row)] = [self.start, *row[:-1]]
        return inputs.astype(np.int64), targets.astype(np.int64)

    def texts(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """The texts that ids written after `start` and `before` say."""
        return [self._text(list(row)) for row in sequences]

    def starting(self) -> dict[str, Any]:
        """How transformers' generate is to begin and end."""
        own: dict[str, Any] = {"decoder_start_token_id": self.start, "eos_token_id": self.end}
        own |= {"pad_token_id": self.pad, "bad_words_ids": [[self.pad]]}
        own |= {"forced_bos_token_id": self.before[0] if self.before else None}
        return own | {"forced_eos_token_id": None}

    def _text(self, row: list[int]) -> str:
        row = row[1:]
        row = row[: row.index(self.end)] if self.end in row[len(self.before) :] else row
        inner = [number for number in row if number not in (self.pad, *self.before)]
        text: str = self.tokenizer.decode(inner, skip_special_tokens=True)
        return text.replace(MARK, "").strip()


def from_pieces(model: bytes, ids: Mapping[str, int], end: str = "</s>") -> bytes:
    """A tokenizer.json that reads as a SentencePiece model does, and numbers pieces by `ids`.

    Pieces that have a number and are not the model's own can be decoded, and never read. Raises
    ValueError for a model of a kind other than unigram, and for one without an unknown piece.
    """
    from headstart.loading.sequences.pieces import UNIGRAM, Kind, parsed

    proto = parsed(model)
    kinds = {piece.piece: (piece.score, piece.type) for piece in proto.pieces}
    if proto.trainer_spec.model_type != UNIGRAM:
        raise ValueError("its SentencePiece model is not of the kind unigram")
    unknown = next(name for name, (_, kind) in kinds.items() if kind == Kind.UNKNOWN)
    listed = sorted(ids, key=lambda name: ids[name])
    vocabulary = [[n if n in kinds else MARK + n, kinds.get(n, (0.0, 0))[0]] for n in listed]
    bytes_too = any(kind == Kind.BYTE for _, kind in kinds.values())
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": _normalizer(proto.normalizer_spec),
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}
        | {"split": False},
        "post_processor": _behind(end, ids[end]),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {"type": "Unigram", "unk_id": ids[unknown], "vocab": vocabulary}
        | {"byte_fallback": bytes_too},
    }
    return json.dumps(content, ensure_ascii=False).encode()


def _normalizer(spec: Any) -> dict[str, Any] | None:
    from base64 import b64encode

    steps: list[dict[str, Any]] = []
    if spec.precompiled_charsmap:
        own = b64encode(spec.precompiled_charsmap).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": own})
    if spec.remove_extra_whitespaces:
        steps.append({"type": "Strip", "strip_left": True, "strip_right": True})
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    return {"type": "Sequence", "normalizers": steps} if steps else None


def _behind(end: str, number: int) -> dict[str, Any]:
    """What puts the end behind a text, of a pair behind the second."""

    def part(name: str) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": 0}}

    last = {"SpecialToken": {"id": end, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [part("A"), last],
        "pair": [part("A"), part("B"), last],
        "special_tokens": {end: {"id": end, "ids": [number], "tokens": [end]}},
    }
