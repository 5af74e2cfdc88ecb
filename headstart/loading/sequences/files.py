"""A vocabulary as the files that Marian's tokenizer reads, and with more pieces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from headstart.errors import HeadstartError
from headstart.loading.sequences import pieces
from headstart.loading.sequences.vocabulary import LONGEST, Vocabulary, from_pieces, longest

SOURCE, TARGET, IDS = "source.spm", "target.spm", "vocab.json"
TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"
OWN, JOINT = "own", "joint"
_FAR: Final = 1.25  # times the pieces of a model that has learned from a text
_NAMES: Final = ("unk_token", "eos_token", "pad_token")


@final
@dataclass(frozen=True)
class PieceFiles:
    """Two SentencePiece models, one for each side, and the number of each of their pieces."""

    source: bytes
    target: bytes
    ids: Mapping[str, int]
    settings: Mapping[str, Any]

    @classmethod
    def of_bytes(cls) -> PieceFiles:
        """One for both sides that reads bytes."""
        model = pieces.of_bytes()
        names = [each.piece for each in pieces.parsed(model).pieces]
        special = dict(zip(_NAMES, (pieces.UNKNOWN, pieces.END, pieces.PAD), strict=True))
        own = {"tokenizer_class": "MarianTokenizer", "separate_vocabs": False, **special}
        own |= {"source_lang": None, "target_lang": None, "model_max_length": LONGEST}
        return cls(model, model, {name: number for number, name in enumerate(names)}, own)

    @classmethod
    def read(cls, files: Mapping[str, bytes], what: str) -> PieceFiles:
        """From files by name. Raises HeadstartError where one is missing or can't be read."""
        pieces.demand(what)
        try:
            ids = {str(name): int(n) for name, n in json.loads(files[IDS]).items()}
            if sorted(ids.values()) != list(range(len(ids))):
                raise ValueError(f"{IDS} leaves numbers out")
            own = json.loads(files[SETTINGS]) if SETTINGS in files else {}
            result = cls(files[SOURCE], files[TARGET], ids, dict(own))
            for model in (result.source, result.target):
                from_pieces(model, ids)
        except (KeyError, ValueError, TypeError, AttributeError, StopIteration) as error:
            raise HeadstartError(
                f"{what} has a vocabulary that can't be used ({error}). Copy or download it again."
            ) from error
        return result

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return len(self.ids)

    def files(self) -> dict[str, bytes]:
        """What a saved model holds of it, and the tokenizer of its source side."""
        return {
            SOURCE: self.source,
            TARGET: self.target,
            IDS: json.dumps(dict(self.ids), ensure_ascii=False, indent=0).encode(),
            SETTINGS: json.dumps(dict(self.settings), indent=2).encode(),
            TOKENIZER: from_pieces(self.source, self.ids),
        }

    def preprocess(self, config: Any, mode: str) -> dict[str, Any]:
        """How texts are prepared for a network of this configuration."""
        entries = pieces.parsed(self.source).pieces
        unknown = next(each.piece for each in entries if each.type == pieces.Kind.UNKNOWN)
        return {
            "tokenizer": hashlib.sha256(self.files()[TOKENIZER]).hexdigest(),
            "max_length": longest(config),
            "pad": int(config.pad_token_id),
            "unknown": self.ids[unknown],
            "types": False,
            "vocabulary": mode,
        }

    def vocabulary(self, config: Any) -> Vocabulary:
        """What a decoder of this configuration writes in."""
        from tokenizers import Tokenizer

        return Vocabulary(
            tokenizer=Tokenizer.from_str(from_pieces(self.target, self.ids).decode()),
            start=int(config.decoder_start_token_id),
            pad=int(config.pad_token_id),
            end=int(config.eos_token_id),
            longest=longest(config),
        )

    def grown(self, sources: Sequence[str], targets: Sequence[str]) -> PieceFiles:
        """With what is learned from texts of each side; a piece that is there keeps its number.

        Where both sides are one model it learns from both. Of a side that is read in hardly more
        pieces than with some of its own nothing is learned, so that what stays in its language is
        read as before.
        """
        sides = ((self.source, sources), (self.target, targets))
        new = [texts if _lacks(model, texts) else () for model, texts in sides]
        if self.source == self.target:
            both = pieces.joined(self.source, pieces.trained([*new[0], *new[1]]))
            models = [both, both]
        else:
            models = [
                pieces.joined(model, pieces.trained(texts))
                for (model, _), texts in zip(sides, new, strict=True)
            ]
        ids = dict(self.ids)
        for model in models:
            for each in pieces.parsed(model).pieces:
                ids.setdefault(each.piece, len(ids))
        return replace(self, source=models[0], target=models[1], ids=ids)


def _lacks(model: bytes, texts: Sequence[str]) -> bool:
    """Whether texts are read in far fewer pieces by a model that learned some of their own.

    One that has learned nothing yet lacks all.
    """
    if model == pieces.of_bytes():
        return True
    own = pieces.joined(model, pieces.trained(texts))
    return pieces.count(model, texts) > _FAR * pieces.count(own, texts)
