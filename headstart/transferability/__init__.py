"""Transferability: how well a pretrained network suits labelled items, without any training."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headstart.contracts import Encoding
from headstart.transferability.combination import combined
from headstart.transferability.held_out import k_nn, linear, neighbours, ridge
from headstart.transferability.marginal import logme
from headstart.transferability.sample import Sample
from headstart.transferability.score import Score
from headstart.transferability.separation import gbc, h_score, sfda
from headstart.transferability.source_head import leep, nce

SCORES: Mapping[str, Score] = MappingProxyType(
    {
        "k-nn": Score(k_nn),
        "ridge": Score(linear),
        "logme": Score(logme),
        "h-score": Score(h_score, encodings=(Encoding.INDEX,)),
        "sfda": Score(sfda, encodings=(Encoding.INDEX,)),
        "gbc": Score(gbc, encodings=(Encoding.INDEX,)),
        "leep": Score(leep, encodings=(Encoding.INDEX,), from_head=True),
        "nce": Score(nce, encodings=(Encoding.INDEX,), from_head=True),
    }
)

__all__ = ["SCORES", "Sample", "Score", "combined", "neighbours", "ridge"]
