"""Which of a network's pieces stand for new ones, by what it writes itself for the same sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from headstart.loading.sequences.writer import Writer

_TEXTS: Final = 96_000  # that are written, times the network's width: wider ones take longer
_FEWEST: Final = 100
_BATCH: Final = 64
_ROUNDS: Final = 5


def written(
    stages: Mapping[str, nn.Module], writer: Writer, tokenizer: bytes, sources: Sequence[str]
) -> list[list[int]]:
    """The pieces that a network writes for the first texts, the likeliest at each place."""
    reads = Tokenizer.from_str(tokenizer.decode())
    reads.enable_truncation(writer.vocabulary.longest)
    most = max(_FEWEST, _TEXTS // int(writer.network.config.d_model))
    rows = [each.ids or [writer.vocabulary.end] for each in reads.encode_batch([*sources[:most]])]
    answer: list[list[int]] = [[] for _ in rows]
    order = np.argsort([len(row) for row in rows], kind="stable")
    earlier, writer.hurried = writer.hurried, True
    try:
        for start in range(0, len(rows), _BATCH):
            part = order[start : start + _BATCH].tolist()
            width = max(len(rows[place]) for place in part)
            ids = torch.full((len(part), width), writer.vocabulary.pad)
            mask = torch.zeros_like(ids)
            for line, place in enumerate(part):
                ids[line, : len(rows[place])] = torch.tensor(rows[place])
                mask[line, : len(rows[place])] = 1
            states: Any = {"input_ids": ids, "mask": mask}
            with torch.inference_mode():
                for stage in stages.values():
                    states = stage(states)
            for place, own in zip(part, writer.candidates(states, 1), strict=True):
                answer[place] = writer.vocabulary.pieces(own[0][0])
    finally:
        writer.hurried = earlier
    return answer


def shares(
    new: Sequence[Sequence[int]], old: Sequence[Sequence[int]], count: int
) -> dict[int, dict[int, float]]:
    """For each piece of `new` texts the pieces of `old` ones that it stands for, and their shares.

    By the expected counts of Model 1 (Brown et al. 1993), in which each piece of a new text comes
    from one of the old text beside it; squared, so that what is sure counts more. `count` pieces
    in all.
    """
    pairs = [(a, b) for a, b in zip(new, old, strict=False) if a and b]
    if not pairs:
        return {}
    rows = np.concatenate([np.repeat(np.asarray(a), len(b)) for a, b in pairs])
    columns = np.concatenate([np.tile(np.asarray(b), len(a)) for a, b in pairs])
    sizes = np.concatenate([np.repeat(len(b), len(a)) for a, b in pairs])
    begins = np.cumsum(sizes) - sizes
    keys, where = np.unique(rows.astype(np.int64) * count + columns, return_inverse=True)
    likely: Any = np.ones(len(keys))
    expected = likely
    for _ in range(_ROUNDS):
        each = likely[where]
        each = each / np.repeat(np.add.reduceat(each, begins), sizes)
        expected = np.bincount(where, each, len(keys))
        likely = expected / np.bincount(keys % count, expected, count)[keys % count]
    answer: dict[int, dict[int, float]] = {}
    for key, weight in zip(keys.tolist(), (expected**2).tolist(), strict=True):
        answer.setdefault(key // count, {})[key % count] = weight
    return {n: {o: w / sum(own.values()) for o, w in own.items()} for n, own in answer.items()}
