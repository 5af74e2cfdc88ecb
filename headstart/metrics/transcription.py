"""How many words or characters of a text are wrong, as jiwer counts them."""

from __future__ import annotations

from abc import ABC
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from headstart.contracts.metric import SEQUENCES, Metric
from headstart.contracts.sequences import decoded
from headstart.contracts.spoken import NORMALISATION, plain
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor


class _ErrorRate(Metric, ABC):
    """Edits from all references to all answers, over the length of the references.

    Predictions and targets are code points (N, L). Case and punctuation count as they are written,
    unless texts are `spoken`.
    """

    kinds: ClassVar[tuple[str, ...]] = (SEQUENCES,)
    less_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, inf)
    process: ClassVar[str]  # of jiwer
    spoken: ClassVar[bool] = False

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Edits (Levenshtein 1966) and the reference's length of each item, (N, 2).

        Raises HeadstartError where jiwer is not installed.
        """
        sides = (map(self._read, decoded(side)) for side in (targets, predictions))
        pairs = [*zip(*sides, strict=True)]
        rows = np.zeros((len(pairs), 2))
        full = [place for place, (target, _) in enumerate(pairs) if target]  # jiwer takes no other
        if full:
            aligned = self._aligned([pairs[place] for place in full])
            for place, chunks, target in zip(
                full, aligned.alignments, aligned.references, strict=True
            ):
                wrong = (chunk for chunk in chunks if chunk.type != "equal")
                edits = sum(
                    max(c.ref_end_idx - c.ref_start_idx, c.hyp_end_idx - c.hyp_start_idx)
                    for c in wrong
                )
                rows[place] = edits, len(target)
        return rows

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """The edits over the length; not a number where all references are empty."""
        edits, length = (weights @ statistics).unbind(dim=1)
        return edits / length

    def signature(self, targets: np.ndarray) -> str:
        """How spoken texts are normalised."""
        return NORMALISATION if self.spoken else ""

    def _read(self, text: str) -> str:
        return plain(text) if self.spoken else " ".join(text.split())

    def _aligned(self, pairs: list[tuple[str, str]]) -> Any:
        try:
            import jiwer
        except ImportError as error:
            raise HeadstartError(
                f"{self.name} needs the package jiwer. Install it by "
                "`pip install 'headstart[translation]'`."
            ) from error
        process = {"words": jiwer.process_words, "characters": jiwer.process_characters}
        return process[self.process]([one for one, _ in pairs], [other for _, other in pairs])


@final
class WER(_ErrorRate):
    """The word error rate."""

    name: ClassVar[str] = "WER"
    process: ClassVar[str] = "words"


@final
class CER(_ErrorRate):
    """The character error rate."""

    name: ClassVar[str] = "CER"
    process: ClassVar[str] = "characters"


@final
class SpokenWER(_ErrorRate):
    """The word error rate of texts in lower case, without punctuation."""

    name: ClassVar[str] = "spoken WER"
    process: ClassVar[str] = "words"
    spoken: ClassVar[bool] = True


@final
class SpokenCER(_ErrorRate):
    """The character error rate of texts in lower case, without punctuation."""

    name: ClassVar[str] = "spoken CER"
    process: ClassVar[str] = "characters"
    spoken: ClassVar[bool] = True
