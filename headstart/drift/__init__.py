"""What a model has seen, and whether what it is asked about now is like that.

Everything here reads stored features and outputs alone, in NumPy; nothing imports torch.
"""

from __future__ import annotations

from headstart.drift.conformal import Sets
from headstart.drift.familiarity import Familiarity
from headstart.drift.limits import (
    FIT_AGAIN,
    NO_REFERENCE,
    UNFAMILIAR,
    UNLIKE,
    AnswerLimits,
    Limits,
    demand_refusing,
)
from headstart.drift.reference import FILE, MOST, TOKENS_A_WORD, Reference, chosen

__all__ = [
    "FILE",
    "FIT_AGAIN",
    "MOST",
    "NO_REFERENCE",
    "TOKENS_A_WORD",
    "UNFAMILIAR",
    "UNLIKE",
    "AnswerLimits",
    "Familiarity",
    "Limits",
    "Reference",
    "Sets",
    "chosen",
    "demand_refusing",
]
