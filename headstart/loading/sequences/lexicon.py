"""How a network begins that is to learn from pairs of texts: with what they say of each piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.loading.sequences.network import ENCODER
from headstart.loading.sequences.writer import Writer

_PAIRS: Final = 50_000  # that are counted
_SHARE: Final = 0.9  # of a vector that is of its piece's company, by squares; the rest is drawn
_SEED: Final = 0
_ALIKE: Final = 2.4  # what attention gives to a state like its own, before the softmax
_TAKEN: Final = 1.4  # times what is looked at is taken over
_BESIDE: Final = 0.4  # times the weights of what is added to a state beside what is looked at

Ids = Sequence[Sequence[int]]


@final
@dataclass(frozen=True)
class Lexicon:
    """Pairs of texts as pieces: what is read, and what is to be written. N rows of either."""

    sources: Ids
    targets: Ids

    def start(self, stages: Mapping[str, nn.Module], writer: Writer) -> None:
        """Give an untrained network tables of vectors of these pairs, and attention to use them.

        The tables of both sides hold vectors of one space (Littman, Dumais and Landauer 1998), in
        which pieces that occur in the same pairs are near. What writes attends to states like its
        own, and takes them over as they are, so that it begins with pieces like those it looks at;
        after the start of Trockman and Kolter 2023 for attention to itself.
        """
        generator = torch.Generator().manual_seed(_SEED)
        tables = [
            cast(Tensor, stages["embeddings"].get_parameter(f"{ENCODER}.embed_tokens.weight")),
            cast(Tensor, writer.get_parameter("model.decoder.embed_tokens.weight")),
        ]
        with torch.no_grad():
            for table, own in zip(tables, self.vectors(*tables[0].shape), strict=True):
                length = table.norm(dim=1, keepdim=True)
                random_part = table / length.clamp(min=1e-9)
                mixed = _SHARE**0.5 * torch.from_numpy(own) + (1 - _SHARE) ** 0.5 * random_part
                table.copy_(length * mixed / mixed.norm(dim=1, keepdim=True).clamp(min=1e-9))
            for module in (*stages.values(), writer):
                for name, inner in module.named_modules():
                    _initialise(name.rpartition(".")[2], inner, generator)

    def vectors(self, count: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each of `count` pieces as it is read, and as it is written: (count, width) float32.

        They have length 1, or 0 where a piece doesn't occur.
        """
        from scipy.sparse import vstack
        from scipy.sparse.linalg import svds

        sides = [_occurrences(own[:_PAIRS], count) for own in (self.sources, self.targets)]
        matrix = vstack(sides).tocsr()
        rng = np.random.default_rng(_SEED)
        most = min(width, min(matrix.shape) - 1)
        answer = np.zeros((2 * count, width), dtype=np.float32)
        if most > 0 and matrix.nnz:
            left, strength, _ = svds(matrix, k=most, v0=rng.standard_normal(min(matrix.shape)))
            rotation = np.linalg.qr(rng.standard_normal((width, width)))[0][:most]
            answer = np.asarray(left * np.sqrt(np.maximum(strength, 0.0)) @ rotation, np.float32)
        length = np.linalg.norm(answer, axis=1, keepdims=True)
        answer = np.where(length > 1e-6, answer / np.maximum(length, 1e-6), np.float32(0))
        return answer[:count], answer[count:]


def _occurrences(rows: Ids, count: int) -> Any:
    """Pieces by pairs (count, N): logarithms of counts, rare pieces weigh more, rows of length 1.

    A long text counts less for each of its pieces.
    """
    from scipy.sparse import coo_matrix, diags

    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    pieces = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    shape = count, len(rows)
    matrix = coo_matrix((np.ones(len(pieces)), (pieces, places)), shape=shape).tocsr()
    matrix.sum_duplicates()
    matrix.data = np.log1p(matrix.data)
    rare = np.log((1 + len(rows)) / (1 + np.diff(matrix.indptr)))
    matrix = diags(rare) @ matrix
    matrix = matrix @ diags(_length(matrix, 0) ** -0.5)
    return diags(1 / _length(matrix, 1)) @ matrix


def _length(matrix: Any, axis: int) -> np.ndarray:
    """The lengths of columns (0) or rows (1), 1 where there is nothing."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis)).ravel())
    return np.where(length > 0, length, 1.0)


def _initialise(name: str, module: Any, generator: torch.Generator) -> None:
    """Give a part of a layer, by its name there, the weights that it begins with."""
    if name == "encoder_attn":
        width = module.out_proj.weight.shape[0]
        value_weight, key_weight = (
            torch.linalg.qr(torch.randn(width, width, generator=generator))[0] for _ in range(2)
        )
        module.v_proj.weight.copy_(_TAKEN * value_weight)
        module.out_proj.weight.copy_(value_weight.T)
        scale = (_ALIKE / module.head_dim**0.5) ** 0.5
        module.q_proj.weight.copy_(scale * key_weight)
        module.k_proj.weight.copy_(scale * key_weight)
    elif name == "fc2":
        module.weight.mul_(_BESIDE)
    elif name == "self_attn":
        module.out_proj.weight.mul_(_BESIDE)
