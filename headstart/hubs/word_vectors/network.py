"""The network over word vectors: each word's vector, then their mean or weighted mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, final

import torch
from torch import Tensor, nn

from headstart.hubs.word_vectors.tokens import PAD, SPECIAL

VECTORS: Final = "embedding.weight"  # the vectors' name among the network's tensors
_SPREAD: Final = 0.1  # standard deviation of random vectors
_SMOOTH: Final = 1e-3  # a of SIF


def _equal(words: int) -> Tensor:
    return torch.ones(words)


def _sif(words: int) -> Tensor:
    """Smooth inverse frequency a / (a + p), a = 0.001 (Arora, Liang and Ma 2017).

    Files are sorted by frequency but don't state it: p is that of Zipf's law, 1 / rank over its
    sum for all words. The method's second step, to take the first principal component off, is left
    out: standardised features under a linear layer can do without it.
    """
    frequencies = 1 / torch.arange(1, words + 1, dtype=torch.float64)
    frequencies /= frequencies.sum()
    return (_SMOOTH / (_SMOOTH + frequencies)).float()


POOLINGS: Final[Mapping[str, Callable[[int], Tensor]]] = {"mean": _equal, "sif": _sif}


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
