"""A score by name, and when it is defined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from headstart.contracts import Encoding
from headstart.transferability.sample import Sample


@final
@dataclass(frozen=True)
class Score:
    """One number that says how well a network's features suit labelled items; higher is better.

    Numbers of one score compare networks on the same items, and nothing else.
    """

    measure: Callable[[Sample], float]
    encodings: tuple[Encoding, ...] = (Encoding.INDEX, Encoding.AMOUNTS, Encoding.MARKS)
    from_head: bool = False  # whether it looks at the pretrained head instead of the features

    def of(self, sample: Sample) -> float | None:
        """The score, a finite number.

        None for a kind of target that it isn't made for, without a pretrained head where it needs
        one, and where all items have the same target.
        """
        if sample.encoding not in self.encodings or (self.from_head and sample.source is None):
            return None
        return float(self.measure(sample)) if sample.varying.any() else None
