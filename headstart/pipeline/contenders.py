"""Which backbones are looked at for a data set: those named, those that match, or all at hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from headstart import catalog
from headstart.contracts import Card, Modality
from headstart.data import recognise
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.pipeline.listing import backbones
from headstart.pipeline.prepare import schema
from headstart.references import parse

FETCHED = 5  # backbones that a look fetches where none is named
LIGHT = 30_000_000  # parameters of those
_STAND_IN = "seeded"  # random networks for trials: looked at only where they are named


def modality_of(data: str | Path, settings: Settings) -> tuple[str, Modality]:
    """The modality of a data set for which no backbone says it."""
    known = {name: catalog.modality(name) for name in catalog.names("modalities")}
    name = recognise(data, known, schema(settings))
    return name, known[name]


def contenders(asked: Sequence[str], modality: str, download: bool) -> dict[str, Card | None]:
    """References to look at, with their cards where their hubs list them.

    A reference with a `*` is a pattern. Without any asked for, all of this modality whose weights
    are at hand; with `download`, also some light ones that would have to be fetched. Raises
    HeadstartError where that leaves none.
    """
    found: dict[str, Card | None] = {}
    for reference in asked:
        if "*" in reference:
            cards = _of(modality, backbones(reference))
            found |= {card.reference: card for card in cards if card.at_hand or download}
        else:
            parse(reference)
            found[reference] = _card(reference)
    if not asked:
        cards = [c for c in _of(modality, backbones()) if not c.reference.startswith(_STAND_IN)]
        found = {card.reference: card for card in cards if card.at_hand}
        if download:
            away = [card for card in cards if not card.at_hand and card.accuracy is not None]
            light = [card for card in away if (card.parameters or LIGHT) < LIGHT]
            best = sorted(light, key=lambda card: -(card.accuracy or 0.0))[:FETCHED]
            found |= {card.reference: card for card in best}
    if not found:
        raise HeadstartError(
            f"No pretrained {modality} model{' that matches' if asked else ''} is at hand on this "
            "machine. Name some with -b hub:name, or let them be fetched with --download."
        )
    return found


def _card(reference: str) -> Card | None:
    """What its hub lists of exactly this reference."""
    try:
        return next((card for card in backbones(reference) if card.reference == reference), None)
    except HeadstartError:
        return None


def _of(modality: str, cards: Iterable[Card]) -> list[Card]:
    return [card for card in cards if card.modality == modality]
