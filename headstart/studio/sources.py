"""The sources that a session may choose from, and what `rank` found of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from headstart.errors import HeadstartError
from headstart.listing import backbones
from headstart.pipeline.selection.candidates import INSTALL, contenders

KINDS = {"image": "Pictures", "text": "Texts", "audio": "Sounds"}  # that the page can show


@final
@dataclass
class Sources:
    """References of one modality; where `explicit` the user named them, else they are at hand.

    `scores` are what `rank` expects of each, by reference, from `examples` examples.
    """

    references: list[str]
    explicit: bool
    remark: str = ""
    scores: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    examples: int = 0

    @classmethod
    def of(cls, modality: str, references: Sequence[str]) -> Sources:
        """Those that were named, else all at hand, the smallest first, else one of random weights.

        Raises HeadstartError where there is none at all.
        """
        if references:
            return cls(list(dict.fromkeys(references)), True)
        cards = contenders((), modality, False)
        sizes = {name: card.parameters if card else None for name, card in cards.items()}
        at_hand = sorted(sizes, key=lambda name: sizes[name] or 1 << 62)
        if at_hand:
            return cls(at_hand, False)
        stand_ins = [card.reference for card in backbones("seeded:*") if card.modality == modality]
        if not stand_ins:
            raise HeadstartError(f"No {modality} model is at hand. Name one with -b hub:name.")
        remark = (
            "No pretrained model of this kind is at hand, and one of random weights stands in. "
            f"Run {INSTALL}, or name one with -b hub:name."
        )
        return cls(stand_ins[:1], False, remark)

    def learn(self, answer: Mapping[str, Any], examples: int) -> None:
        """Take in what `rank` answers."""
        rows = [row for row in answer.get("ranking", ()) if isinstance(row, Mapping)]
        self.scores = {str(row["backbone"]): row for row in rows}
        self.examples = examples
        self.references = list(dict.fromkeys([*self.scores, *self.references]))

    def to_json(self) -> dict[str, Any]:
        """What the page shows: the best first, once they are ranked."""
        keys = ("expected", "low", "high", "parameters", "licence", "dropped")
        return {
            "list": [
                {"reference": name} | {key: self.scores.get(name, {}).get(key) for key in keys}
                for name in self.references
            ],
            "ranked": self.examples,
            "remark": self.remark,
        }
