"""Texts: checked, cut into a backbone's tokens, and put into padded batches."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from headstart.contracts import Check, Fed, Modality, Preprocess
from headstart.errors import DataError, HeadstartError, WeightsError
from headstart.modalities.text.shortening import bounded, shortened
from headstart.runtime.encodings import NotTextError, decoded

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from torch import Tensor

TOKENIZER = "tokenizer.json"  # among a backbone's files
_LONGEST = 1 << 20  # tokens
_PAIR = "\x1e"  # the record separator stands between the two texts of a pair
_LEAST, _LONG = 12, 40  # letters, below which punctuation, and numbers, are what a text says
_NUMBER = re.compile(r"\d[\d ]*")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """A text as a backbone's tokens: ids and types, (T,) int32 each, T at least 1.

    `cut` says whether it was longer than the backbone takes; `words` counts its words, `unknown`
    those with a token that the vocabulary lacks, where it may lack any.
    """

    ids: np.ndarray
    types: np.ndarray
    cut: bool
    words: int
    unknown: int


@final
class Text(Modality):
    """Texts in UTF-8, or in UTF-16 with a byte order mark; two with a record separator are a pair.

    The preprocessing is a mapping with `tokenizer` (the SHA-256 of the backbone's tokenizer.json),
    `max_length` (tokens, longer texts are cut there; of a pair the longer one first), `pad` (the
    id to fill up with), `unknown` (the id of what the vocabulary lacks, or None), and `types`
    (whether the backbone wants to be told the first text of a pair from the second). It may also
    hold `prompt` (what stands before every text), `side` ("left" where texts are cut at their
    beginning) and `split` (whether special tokens in a text are read as words).
    """

    suffixes: ClassVar[frozenset[str]] = frozenset({".txt"})
    columns: ClassVar[tuple[str, ...]] = (
        *("text", "sentence", "review", "content", "document", "comment", "tweet", "message"),
        *("body", "question", "utterance", "query", "description", "headline", "title"),
    )
    inline: ClassVar[bool] = True
    ragged: ClassVar[bool] = True
    in_arrays: ClassVar[bool] = True

    def __init__(self, tokenizer: Tokenizer | None = None, prompt: str = "") -> None:
        self.tokenizer = tokenizer
        self.prompt = prompt

    def check(self, raw: bytes) -> Check:
        """Say why a text can't be used; texts are identical that differ in case or spacing only.

        To be exact, in Unicode's compatible composition (NFKC) and case-folded. Near copies differ
        in punctuation and in numbers too.
        """
        try:
            parts = _parts(_decoded(raw))
        except DataError as error:
            return Check(problem=str(error))
        plain = _PAIR.join(map(_plain, parts))
        if plain in ("", _PAIR):
            return Check(problem="it holds only white space" if raw else "it is empty")
        identity = hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()
        return Check(identity=identity, sketch=sketch(plain))

    def accepts(self, preprocess: Preprocess) -> bool:
        """Whether all of it is there and of the right kind."""
        length, pad = preprocess.get("max_length"), preprocess.get("pad")
        unknown, prompt = preprocess.get("unknown"), preprocess.get("prompt", "")
        return (
            all(type(number) is int for number in (length, pad))
            and unknown.__class__ in (int, type(None))
            and isinstance(preprocess.get("tokenizer"), str)
            and isinstance(preprocess.get("types"), bool)
            and isinstance(prompt, str)
            and preprocess.get("side", "right") in ("left", "right")
            and 0 < int(length or 0) <= _LONGEST
        )

    def fitted(self, backbone: Fed) -> Text:
        """The same with the backbone's tokenizer, which cuts texts at the backbone's length.

        Raises WeightsError where the backbone brings no tokenizer, or one that can't be read.
        """
        from tokenizers import Tokenizer

        reference, raw = backbone.origin.reference, backbone.files.get(TOKENIZER)
        if raw is None:
            raise WeightsError(f"{reference} has no {TOKENIZER}. Name weights that bring one.")
        if hashlib.sha256(raw).hexdigest() != backbone.preprocess["tokenizer"]:
            raise WeightsError(
                f"{reference} has a {TOKENIZER} that is not the one it was made with. "
                "Restore the file."
            )
        try:
            tokenizer = Tokenizer.from_str(raw.decode())
        except Exception as error:  # the library raises nothing more special
            reason = str(error).partition("\n")[0].rstrip(".")
            raise WeightsError(
                f"{reference} has a {TOKENIZER} that can't be read: {reason}. Restore the file."
            ) from error
        tokenizer.no_padding()
        fed = backbone.preprocess
        tokenizer.enable_truncation(int(fed["max_length"]), direction=fed.get("side", "right"))
        tokenizer.encode_special_tokens = bool(fed.get("split", False))
        return Text(tokenizer, str(fed.get("prompt", "")))

    def decode(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None = None
    ) -> Tokens:
        """The text's tokens, special ones included. There are no random views of a text.

        Where nothing is left of a text it is one unknown token, or one of padding. Raises DataError
        for what is no text, and HeadstartError before a backbone's tokenizer was fitted.
        """
        parts, encoding = self._encoded(raw)
        unknown = preprocess["unknown"]
        ids = encoding.ids or [preprocess["pad"] if unknown is None else unknown]
        types = encoding.type_ids if preprocess["types"] and encoding.ids else [0] * len(ids)
        words, missing = _words(encoding, len(parts) > 1, unknown, len(self.prompt))
        return Tokens(
            ids=np.array(ids, dtype=np.int32),
            types=np.array(types, dtype=np.int32),
            cut=len(ids) >= preprocess["max_length"] and bool(encoding.overflowing),
            words=words,
            unknown=missing,
        )

    def collate(self, items: Sequence[Tokens], preprocess: Preprocess) -> Mapping[str, Tensor]:
        """`input_ids` and `mask` (N, T) int64, padded on the right; `types` where they are asked.

        The mask is 1 for tokens and 0 for padding.
        """
        import torch

        batch = self.arrays(items, preprocess)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def arrays(self, items: Sequence[Tokens], preprocess: Preprocess) -> dict[str, np.ndarray]:
        """The same batch as arrays."""
        shape = len(items), max(len(item.ids) for item in items)
        batch = {"input_ids": np.full(shape, preprocess["pad"], dtype=np.int64)}
        batch |= {name: np.zeros(shape, dtype=np.int64) for name in ("mask", "types")}
        for row, item in enumerate(items):
            own = row, slice(len(item.ids))
            batch["input_ids"][own], batch["mask"][own] = item.ids, 1
            batch["types"][own] = item.types
        if not preprocess["types"]:
            del batch["types"]
        return batch

    def size(self, item: Tokens) -> int:
        """The number of tokens."""
        return len(item.ids)

    def remarks(self, items: Sequence[Tokens], preprocess: Preprocess) -> list[str]:
        """How many texts are cut, and how many of their words the vocabulary lacks."""
        sentences = []
        cut = sum(item.cut for item in items)
        if cut:
            noun, verb = "text" if len(items) == 1 else "texts", "is" if cut == 1 else "are"
            sentences.append(
                f"{cut:,} of {len(items):,} {noun} {verb} longer than "
                f"{preprocess['max_length']} tokens and {verb} cut there."
            )
        unknown, words = (sum(getattr(i, name) for i in items) for name in ("unknown", "words"))
        if unknown:
            share = 100 * unknown / words
            portion = f"{share:.1f} %" if share >= 0.1 else "Less than 0.1 %"
            sentences.append(
                f"{portion} of the words ({unknown:,} of {words:,}) are not in the vocabulary."
            )
        return sentences

    def text(self, raw: bytes) -> str | None:
        """The words, of a pair those of both texts; None for what is no text."""
        try:
            return " ".join(_parts(_decoded(raw)))
        except DataError:
            return None

    def pieces(self, raw: bytes) -> list[tuple[str, int]]:
        """What of the text each token stands for, and the number of its word, -1 for special ones.

        A word ends at white space and where the tokenizer's own words end. Its pieces, joined, are
        the word as it is written. Raises as `decode` does.
        """
        parts, encoding = self._encoded(raw)
        numbers: dict[tuple[int, int | None, int], int] = {}
        reached = [len(self.prompt), 0]
        pieces = []
        places = zip(
            encoding.tokens, encoding.sequence_ids, encoding.word_ids, encoding.offsets, strict=True
        )
        for token, part, word, (start, end) in places:
            if part is None or end <= (0 if part else len(self.prompt)):
                pieces.append((token, -1))
                continue
            key = part, word, len(parts[part][:end].split())
            # several tokens may stand for the bytes of one character: it belongs to the first
            piece = parts[part][max(start, reached[part]) : end]
            reached[part] = max(end, reached[part])
            pieces.append((piece, numbers.setdefault(key, len(numbers))))
        return pieces or [("", -1)]

    def _encoded(self, raw: bytes) -> tuple[list[str], Encoding]:
        """The text with the prompt before it, or the two of a pair, as they are cut; and tokens."""
        if self.tokenizer is None:
            raise HeadstartError("A text can't be read without a tokenizer. Name a backbone first.")
        parts = _parts(_decoded(raw))
        parts[0] = self.prompt + parts[0]
        cut = shortened if len(parts) == 1 else bounded
        parts = [cut(part, self.tokenizer) for part in parts]
        return parts, self.tokenizer.encode(parts[0], parts[1] if len(parts) > 1 else None)


def _decoded(raw: bytes) -> str:
    """Bytes as text. Raises DataError saying which byte is none."""
    try:
        return decoded(raw)
    except NotTextError as error:
        raise DataError(
            f"byte 0x{error.byte:02x} at offset {error.offset} (line {error.line}) "
            f"is not {error.encoding}; save the file as UTF-8"
        ) from error


def _parts(text: str) -> list[str]:
    """The two texts of a pair, or the one that it is."""
    parts = text.split(_PAIR)
    return parts if len(parts) == 2 else [" ".join(parts)]


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _words(encoding: Encoding, pair: bool, unknown: int | None, prompt: int) -> tuple[int, int]:
    """How many words there are, and how many have an unknown token; 0 where none can have.

    The first `prompt` characters are not the text's own.
    """
    if unknown is None:
        return 0, 0
    words: Sequence[object] = encoding.word_ids
    if pair:
        words = list(zip(encoding.sequence_ids, words, strict=True))
    special: set[object] = {None, (None, None)}
    if prompt:
        places = zip(encoding.sequence_ids, encoding.offsets, words, strict=True)
        special |= {word for part, (_, end), word in places if part == 0 and end <= prompt}
    missing = {word for word, id in zip(words, encoding.ids, strict=True) if id == unknown}
    return len(set(words).difference(special)), len(missing.difference(special))


class _Plain(dict[int, str]):
    """What stands for a character: a space for punctuation and the like, else itself."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        kind = unicodedata.category(letter)
        self[code] = letter if kind[0] in "LMN" or kind == "So" or letter == _PAIR else " "
        return self[code]


_PLAIN = _Plain()


def sketch(plain: str) -> str:
    """A hash of 256 bits as hex, of a text in lower case; empty for one of few letters."""
    bare = plain.translate(_PLAIN)
    letters = sum(map(str.isalpha, bare))
    if letters < _LEAST:
        return ""
    bare = _NUMBER.sub("0 ", bare) if letters >= _LONG else bare
    parts = (" ".join(part.split()) for part in bare.split(_PAIR))
    return hashlib.blake2b(_PAIR.join(parts).encode(), digest_size=32).hexdigest()
