"""Numbers about items themselves, before any network saw them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.contracts import Modality
from headstart.data import Item
from headstart.drift.reference import TOKENS_A_WORD


def measures_of(items: Sequence[Item], modality: Modality) -> dict[str, np.ndarray]:
    """Numbers about items by name, (N,) each: of texts their tokens, and how many a word takes.

    An encoder that does not know a language has no words of it, and splits them into many pieces.
    """
    if not modality.keeps_decoded or not items:
        return {}
    pieces = [modality.pieces(item.read()) for item in items]
    tokens = np.array([len(own) for own in pieces], dtype=np.float32)
    words = np.array([len({number for _, number in own}) for own in pieces], dtype=np.float32)
    return {"tokens": tokens, TOKENS_A_WORD: tokens / np.maximum(words, 1)}
