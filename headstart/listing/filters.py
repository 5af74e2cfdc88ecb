"""Some of the cards, in some order: what a user wants of all that the hubs have."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Final, final

from headstart.contracts.backbone import Card
from headstart.errors import HeadstartError, UnknownNameError
from headstart.runtime.progress import Progress

_UNITS: Final = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
_ORDERS: Final[dict[str, Callable[[Card], Any]]] = {  # what isn't known comes last
    "parameters": lambda card: (card.parameters is None, card.parameters or 0),
    "accuracy": lambda card: (card.accuracy is None, -(card.accuracy or 0.0)),
    "name": lambda card: card.reference.partition(":")[2],
}


@final
@dataclass(frozen=True)
class CardFilter:
    """What cards are wanted; None wants any.

    `licence` is a shell pattern without regard to case, `min_accuracy` in percent, `order` one of
    parameters, accuracy (the best first) and name. What a card doesn't tell, no demand on it meets.
    """

    modality: str | None = None
    hub: str | None = None
    licence: str | None = None
    min_parameters: int | None = None
    max_parameters: int | None = None
    min_accuracy: float | None = None
    at_hand: bool = False
    order: str | None = None
    limit: int = 0


def chosen(cards: Sequence[Card], filters: CardFilter, progress: Progress) -> list[Card]:
    """The cards that are wanted, in order. Raises HeadstartError where none is."""
    if filters.order is not None and filters.order not in _ORDERS:
        raise UnknownNameError("order", filters.order, _ORDERS)
    verdicts = [(card, _suits(card, filters)) for card in cards]
    matching = [card for card, suits in verdicts if suits]
    silent = sum(suits is None for _, suits in verdicts)
    if not matching:
        raise HeadstartError(
            f"None of {len(cards)} backbones is {_described(filters)}{_unknown(silent)}. "
            "Ask for less."
        )
    if silent:
        progress.say(f"Some are left out{_unknown(silent)}.")
    if filters.order is not None:
        matching.sort(key=_ORDERS[filters.order])
    if 0 < filters.limit < len(matching):
        progress.say(f"{filters.limit} of {len(matching)} shown.")
    return matching[: filters.limit or None]


def count(text: str) -> int:
    """The number that `30M`, `1.5B` or `350000` stands for. Raises HeadstartError for others."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMB]?)", text.strip().replace("_", ""), re.I | re.A)
    if match is None:
        raise HeadstartError(f"{text!r} is not a number of parameters. Write it like 30M or 1.5B.")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def _suits(card: Card, filters: CardFilter) -> bool | None:
    """Whether a card is wanted, or None where only what it doesn't tell stands against it."""
    verdicts = [
        filters.modality is None or card.modality == filters.modality,
        card.at_hand or not filters.at_hand,
        _fits(card.licence, filters.licence and filters.licence.lower(), fnmatchcase),
        _fits(card.parameters, filters.min_parameters, lambda own, least: own >= least),
        _fits(card.parameters, filters.max_parameters, lambda own, most: own <= most),
        _fits(card.accuracy, filters.min_accuracy, lambda own, least: own >= least),
    ]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _fits(own: Any, demand: Any, holds: Callable[[Any, Any], bool]) -> bool | None:
    if demand is None:
        return True
    return None if own is None else holds(own.lower() if isinstance(own, str) else own, demand)


def _described(filters: CardFilter) -> str:
    """The demands in words."""
    demands = {
        field.name.replace("_", " "): getattr(filters, field.name)
        for field in fields(filters)
        if field.name not in ("hub", "order", "limit")
    }
    stated = {n: value for n, value in demands.items() if not (value is None or value is False)}
    return ", ".join(name if value is True else f"{name} {value}" for name, value in stated.items())


def _unknown(silent: int) -> str:
    return f"; of {silent} it is not known" if silent else ""
