"""Which backbones are looked at for a data set, and which of two comes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headstart import catalog
from headstart.contracts import Backbone, Card, Modality
from headstart.contracts.references import parse
from headstart.data import Data, recognise
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.evidence import Arm, Interval, average, paired
from headstart.pipeline.listing import backbones
from headstart.pipeline.prepare import schema
from headstart.results.ranking import Ranked
from headstart.transferability.prior import Known

FETCHED = 5  # backbones that a look fetches where none is named
LIGHT = 30_000_000  # parameters of those
_STAND_IN = "seeded"  # random networks for trials: looked at only where they are named


@dataclass(eq=False)
class Candidate:
    """One candidate and what is known of it so far."""

    reference: str
    card: Card | None
    backbone: Backbone | None = None
    dropped: str = ""
    seconds: float = 0.0
    speed: float | None = None  # items a second, measured here
    scores: Mapping[str, float | None] = field(default_factory=dict)
    held: np.ndarray = field(default_factory=lambda: np.empty(0))  # each item, by the others
    places: np.ndarray = field(default_factory=lambda: np.empty(0, int))  # of those items
    tuned: Arm | None = None  # a short fine-tuning

    @property
    def pretrained(self) -> bool:
        """Whether its weights were trained on anything."""
        return self.backbone is not None and self.backbone.origin.pretrained

    @property
    def parameters(self) -> int | None:
        """How many numbers its stages hold; as its card says before it is loaded."""
        if self.backbone is None:
            return self.card.parameters if self.card else None
        stages = self.backbone.stages.values()
        return sum(p.numel() for stage in stages for p in stage.parameters())


def behind(best: Candidate, other: Candidate) -> Interval:
    """How far one candidate is behind another, on the items that both were looked at on."""
    _, first, second = np.intersect1d(best.places, other.places, return_indices=True)
    return paired(best.held[first], other.held[second])


def trained_first(ordered: Sequence[Candidate]) -> list[Candidate]:
    """The same order, but random networks before trained ones only where clearly better."""
    found: list[Candidate] = []
    for each in ordered:
        place = len(found)
        if each.pretrained:
            while place and not found[place - 1].pretrained and not _clear(found[place - 1], each):
                place -= 1
        found.insert(place, each)
    return found


def _clear(better: Candidate, other: Candidate) -> bool:
    return behind(better, other).low > 0


def modality_of(data: Data, settings: Settings) -> tuple[str, Modality]:
    """The modality of a data set for which no backbone says it."""
    known = {name: catalog.modality(name) for name in catalog.names("modalities")}
    name = recognise(data, known, schema(settings))
    return name, known[name]


def contenders(asked: Sequence[str], modality: str, download: bool) -> dict[str, Card | None]:
    """References to look at, with their cards where their hubs list them.

    A reference with a `*` is a pattern. Without any asked for, all of this modality whose weights
    are at hand, which may be none; with `download`, also some light ones that would have to be
    fetched. Raises HeadstartError where nothing is left of what was asked for.
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
    if asked and not found:
        raise HeadstartError(
            f"No pretrained {modality} model that matches is at hand on this machine. Name "
            "some with -b hub:name, or let them be fetched with --download."
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


def known(each: Candidate) -> Known:
    """What is known of a candidate that was loaded before it is looked at."""
    backbone, card = each.backbone, each.card
    if backbone is None:
        raise ValueError(f"{each.reference} was not loaded")
    return Known(
        reference=each.reference,
        weights=backbone.origin.weights_hash,
        pretrained=backbone.origin.pretrained,
        parameters=each.parameters,
        accuracy=card.accuracy if card else None,
        year=card.year if card else None,
        trained_on=backbone.origin.trained_on,
        stages=len(backbone.stages),
    )


def row(each: Candidate, seed: int) -> Ranked:
    """A candidate as the ranking shows it."""
    backbone = each.backbone
    return Ranked(
        backbone=each.reference,
        expected=average(each.held, seed) if len(each.held) else None,
        tuned=_tuned(each.tuned, seed),
        scores=dict(each.scores),
        seconds=round(each.seconds, 2),
        speed=each.speed,
        parameters=each.parameters,
        licence=backbone.origin.licence if backbone else None,
        dropped=each.dropped,
    )


def _tuned(arm: Arm | None, seed: int) -> Interval | None:
    """What fine-tuning reached; None where the network can't be trained."""
    return average(arm.checked, seed) if arm and arm.steps else None


def reason(error: BaseException) -> str:
    """An error in one line."""
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__
