"""The network over word vectors, each word's and then their mean, and what finds words in texts.

The latter is a tokenizer as Hugging Face writes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.errors import WeightsError

PAD: Final = 0
UNKNOWN: Final = 1
SPECIAL: Final[Mapping[str, int]] = {"[PAD]": PAD, "[UNK]": UNKNOWN}  # before the first word
_SHOWING: Final = 5000  # words with letters that show whether any is upper case
# How contractions are cut: as the Penn Treebank does, or not at all.
_PENN: Final = r"(?i:\w+(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b)|\w+|\.{3}|[^\w\s]"
_WHOLE: Final = r"\w+(?:'\w+)*|\.{3}|[^\w\s]"
VECTORS: Final = "embedding.weight"  # the vectors' name among the network's tensors
_SPREAD: Final = 0.1  # standard deviation of random vectors
_SMOOTH: Final = 1e-3  # a of SIF


def _sif(words: int) -> Tensor:
    """Smooth inverse frequency a / (a + p), a = 0.001 (Arora, Liang and Ma 2017).

    Files are sorted by frequency but don't state it: p is that of Zipf's law, 1 / rank over its
    sum for all words. The method's second step, to take the first principal component off, is left
    out: standardised features under a linear layer can do without it.
    """
    frequencies = 1 / torch.arange(1, words + 1, dtype=torch.float64)
    frequencies /= frequencies.sum()
    return (_SMOOTH / (_SMOOTH + frequencies)).float()


POOLINGS: Final[Mapping[str, Callable[[int], Tensor]]] = {"mean": torch.ones, "sif": _sif}


@final
class Embeddings(nn.Module):
    """A vector for each word, trainable, and how much the word counts when they are pooled.

    `vectors` (special + words, D) become its own, without a copy.
    """

    def __init__(self, vectors: Tensor, pooling: str) -> None:
        super().__init__()
        words, dimension = vectors.shape
        self.embedding = nn.Embedding(words, dimension, padding_idx=PAD, _weight=vectors)
        weights = POOLINGS[pooling](words - len(SPECIAL))
        self.register_buffer("word_weights", torch.cat((torch.zeros(len(SPECIAL)), weights)))
        self.word_weights: Tensor

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Maps `input_ids` (N, T) to `hidden` (N, T, D + 1) with the `mask`.

        The last number is the word's weight: 0 for padding and for what is not in the vocabulary.
        """
        ids, mask = inputs["input_ids"], inputs["mask"]
        weights = (self.word_weights[ids] * mask.to(self.word_weights.dtype)).unsqueeze(-1)
        return {"hidden": torch.cat((self.embedding(ids), weights), dim=-1), "mask": mask}


@final
class Pooling(nn.Module):
    """The weighted sum of the known words' vectors over their number; zeros where there is none."""

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Maps `hidden` (N, T, D + 1) with its `mask` to (N, D)."""
        hidden, mask = inputs["hidden"], inputs["mask"].unsqueeze(-1).float()
        vectors, weights = hidden[..., :-1].float(), hidden[..., -1:].float() * mask
        count = (weights > 0).float().sum(1).clamp(min=1)
        return ((vectors * weights).sum(1) / count).to(hidden.dtype)


def random_vectors(words: int, dimension: int) -> Tensor:
    """Vectors with no meaning, (special + words, dimension), from torch's random state."""
    vectors = torch.randn(len(SPECIAL) + words, dimension).mul_(_SPREAD)
    vectors[: len(SPECIAL)] = 0
    return vectors


def is_lower(words: Sequence[str]) -> bool:
    """Whether none of the first words has an upper-case letter."""
    with_letters = (word for word in words if any(map(str.isalpha, word)))
    return not any(any(map(str.isupper, word)) for word in islice(with_letters, _SHOWING))


def tokenizer(words: Sequence[str], lower: bool) -> bytes:
    """tokenizer.json for these words; word number n has the id n + 2.

    Texts are cut at white space and punctuation, and contractions as in the vocabulary: "don't" is
    "do" and "n't" unless it has the whole and not the part.
    """
    vocabulary = dict(SPECIAL)
    for word in words:
        vocabulary[word] = len(vocabulary)
    whole = "don't" in vocabulary and "n't" not in vocabulary
    steps: list[dict[str, Any]] = [
        {"type": "NFC"},
        {
            "type": "Replace",
            "pattern": {"String": "\N{RIGHT SINGLE QUOTATION MARK}"},
            "content": "'",
        },
    ]
    if lower:
        steps.append({"type": "Lowercase"})
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": _WHOLE if whole else _PENN},
            "behavior": "Removed",
            "invert": True,
        },
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    return json.dumps(content, ensure_ascii=False).encode()


def vocabulary_of(content: bytes, what: str) -> tuple[int, bool]:
    """How many words a saved tokenizer knows, and whether it lower-cases texts.

    Raises WeightsError for one that wasn't written here.
    """
    try:
        entries = json.loads(content)
        vocabulary: Mapping[str, int] = entries["model"]["vocab"]
        steps = [step["type"] for step in entries["normalizer"]["normalizers"]]
        ours = all(vocabulary[name] == number for name, number in SPECIAL.items())
    except (ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise WeightsError(
            f"{what} is not the tokenizer of word vectors. Copy the saved folder again."
        )
    return len(vocabulary) - len(SPECIAL), "Lowercase" in steps
