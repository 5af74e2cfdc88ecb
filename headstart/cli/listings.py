"""Answers that are lists: backbones and strategies, as JSON or as aligned lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.contracts import Card


@dataclass(frozen=True)
class Backbones:
    """The backbones that match a pattern."""

    cards: Sequence[Card]

    def to_json(self) -> dict[str, Any]:
        """{"backbones": [{"reference", "modality", "parameters", "accuracy", "year", …}]}."""
        return {
            "backbones": [  # but where weights are looked for, which is between hub and index
                {name: value for name, value in asdict(card).items() if name != "path"}
                for card in self.cards
            ]
        }

    def __str__(self) -> str:
        rows = [
            (
                card.reference,
                f"{card.parameters / 1e6:.1f}M" if card.parameters is not None else "?",
                "?" if card.accuracy is None else f"{card.accuracy:.1f} %",
                card.input,
                card.licence or "?",
                card.trained_on or "?",
                "yes" if card.at_hand else "no",
            )
            for card in self.cards
        ]
        titles = (
            *("reference", "parameters", "ImageNet top-1"),
            *("input", "licence", "trained on", "at hand"),
        )
        return table(titles, rows)


@dataclass(frozen=True)
class Strategies:
    """The known strategies and what each does."""

    summaries: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """{"strategies": {name: what it does}}."""
        return {"strategies": dict(self.summaries)}

    def __str__(self) -> str:
        return table(("strategy", "what it does"), list(self.summaries.items()))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text; drawing them is loaded when there are some to draw."""
    from headstart.report import as_columns

    return as_columns(titles, rows)
