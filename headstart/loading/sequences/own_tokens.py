"""A tokenizer of transformers, as it is, as what texts are read and written in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.errors import HeadstartError, reason
from headstart.loading.sequences.vocabulary import Vocabulary, longest

TOKENIZER: Final = "tokenizer.json"
_PROBE: Final = "a"


@final
@dataclass(frozen=True)
class OwnTokens:
    """Its files by name, and what stands around a text that is written.

    `before` begins it, and `behind` follows its end where a decoder is given that first instead, as
    in mBART; `count` is how many pieces the network has a vector for.
    """

    beside: Mapping[str, bytes]
    tokenizer: bytes
    unknown: int | None
    before: tuple[int, ...]
    behind: tuple[int, ...]
    count: int

    @classmethod
    def open(cls, folder: Path, languages: tuple[str, str], count: int, what: str) -> OwnTokens:
        """Of a folder that holds nothing but a tokenizer's files and its kind of model.

        `languages` are the model's own codes of source and target, empty where it has none. Raises
        HeadstartError where transformers can't open it, or it puts more than an end and a language
        behind a text.
        """
        from transformers import AutoTokenizer

        auto: Any = AutoTokenizer
        codes = (
            dict(zip(("src_lang", "tgt_lang"), languages, strict=True)) if any(languages) else {}
        )
        try:
            own = auto.from_pretrained(
                folder, use_fast=True, local_files_only=True, trust_remote_code=False, **codes
            )
            raw = own.backend_tokenizer.to_str().encode()
            around = own(text_target=_PROBE).input_ids
            inner = own.backend_tokenizer.encode(_PROBE, add_special_tokens=False).ids
        except Exception as error:  # each kind of tokenizer fails in its own way
            raise HeadstartError(
                f"{what} has a tokenizer that transformers can't open ({reason(error)}). "
                f"Give a model that was saved with a {TOKENIZER}, and with ?source= and ?target= "
                "its codes of two languages where it knows many."
            ) from error
        files = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "config.json"}
        before, behind = _around(around, inner, own.eos_token_id, what)
        if own.unk_token_id in (*before, *behind):
            raise HeadstartError(
                f"{what} has no language {languages[1]!r}. Give its own codes of two languages as "
                "?source= and ?target=."
            )
        return cls(files, raw, own.unk_token_id, before, behind, count)

    def files(self) -> dict[str, bytes]:
        """What a saved model holds of it."""
        return {**self.beside, TOKENIZER: self.tokenizer}

    def preprocess(self, config: Any, mode: str) -> dict[str, Any]:
        """How texts are prepared for a network of this configuration."""
        return {
            "tokenizer": hashlib.sha256(self.tokenizer).hexdigest(),
            "max_length": longest(config),
            "pad": int(config.pad_token_id),
            "unknown": self.unknown,
            "types": False,
            "vocabulary": mode,
        }

    def vocabulary(self, config: Any) -> Vocabulary:
        """What a decoder of this configuration writes in."""
        from tokenizers import Tokenizer

        start = config.decoder_start_token_id  # without one the end begins, as in mBART-50
        start = self.behind[0] if self.behind else start
        return Vocabulary(
            tokenizer=Tokenizer.from_str(self.tokenizer.decode()),
            start=int(config.eos_token_id if start is None else start),
            pad=int(config.pad_token_id),
            end=int(config.eos_token_id),
            before=self.before,
            longest=longest(config),
        )


def _around(
    pieces: list[int], text: list[int], end: int, what: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What stands before a text, and what behind its end."""
    start = next((n for n in range(len(pieces)) if pieces[n : n + len(text)] == text), None)
    after = pieces[(start or 0) + len(text) :]
    behind = after[1:]
    if start is None or after[:1] != [end] or len(behind) > (0 if start else 1):
        raise HeadstartError(
            f"{what} puts more than an end and a language behind what is written, which is not "
            "known here. Give another model."
        )
    return tuple(pieces[:start]), tuple(behind)
