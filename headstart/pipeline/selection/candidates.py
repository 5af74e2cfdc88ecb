"""Which backbones are looked at for a data set, and which of two comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import numpy as np
from huggingface_hub import constants

from headstart import catalog
from headstart.contracts import Backbone, Card, Modality
from headstart.contracts.references import parse
from headstart.data import Data, Item, recognise
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.evidence import Arm, Assessor, Experiment, Interval
from headstart.listing import backbones
from headstart.loading.variants import SOUNDS
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.schema import schema
from headstart.results.ranking import Ranked
from headstart.transferability.prior import Facts

FETCHED = 5  # backbones that a look fetches where none is named
LIGHT = 30_000_000  # parameters of those
_STAND_IN = "seeded"  # random networks for trials: looked at only where they are named

INSTALL: Final = "pip install 'headstart[weights]'"


@final
@dataclass(frozen=True)
class Recommended:
    """A backbone that a hub has, with what is to be known before it is fetched."""

    reference: str
    megabytes: float
    licence: str
    made_for: str

    def __str__(self) -> str:
        return f"{self.reference} ({self.megabytes:g} MB, {self.licence}, for {self.made_for})"


# The same networks as those that the extra `weights` brings.
RECOMMENDED: Final[Mapping[str, Recommended]] = {
    "image": Recommended("timm:tf_efficientnet_lite0.in1k", 18.8, "apache-2.0", "photos"),
    "text": Recommended("hf:sentence-transformers/all-MiniLM-L6-v2", 91, "apache-2.0", "English"),
}


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
    by_item: np.ndarray = field(default_factory=lambda: np.empty(0))  # each scored by the others
    places: np.ndarray = field(default_factory=lambda: np.empty(0, int))  # of those items
    outputs: np.ndarray = field(default_factory=lambda: np.empty(0))  # of those, (N, labels)
    assessor: Assessor | None = None  # of them
    tuned: Arm | None = None  # a short fine-tuning
    untuned: str = ""  # why the last one could not be

    def __getstate__(self) -> dict[str, Any]:
        """What is sent between processes: never the network, which each loads itself."""
        return vars(self) | {"backbone": None}

    def take(self, other: Candidate) -> None:
        """Know what was found out of a copy elsewhere."""
        if other is not self:
            vars(self).update(vars(other) | {"backbone": self.backbone})

    @property
    def loaded(self) -> Backbone:
        """Its network. Raises ValueError before it is loaded."""
        if self.backbone is None:
            raise ValueError(f"{self.reference} was not loaded")
        return self.backbone

    @property
    def judge(self) -> Assessor:
        """What judges its outputs. Raises ValueError before it was looked at."""
        if self.assessor is None:
            raise ValueError(f"{self.reference} was not looked at")
        return self.assessor

    @property
    def pretrained(self) -> bool:
        """Whether its weights were trained on anything."""
        return self.backbone is not None and self.backbone.origin.pretrained

    @property
    def relatedness(self) -> int:
        """How near to the data its training was: 0 none, 1 on pictures while it hears, else 2."""
        if not self.pretrained:
            return 0
        return 1 if SOUNDS in self.loaded.architecture.options else 2

    @property
    def parameters(self) -> int | None:
        """How many numbers its stages hold; as its card says before it is loaded."""
        if self.backbone is None:
            return self.card.parameters if self.card else None
        return self.backbone.parameters


def behind(best: Candidate, other: Candidate) -> Interval:
    """How far one candidate is behind another, on the items that both were looked at on."""
    _, first, second = np.intersect1d(best.places, other.places, return_indices=True)
    return best.judge.at(first).gain(best.outputs[first], other.outputs[second])


def trained_first(ordered: Sequence[Candidate]) -> list[Candidate]:
    """The same order, but networks of lower `relatedness` first only where clearly better."""
    order: list[Candidate] = []
    for each in ordered:
        place = len(order)
        while place and order[place - 1].relatedness < each.relatedness:
            if behind(order[place - 1], each).low > 0:
                break
            place -= 1
        order.insert(place, each)
    return order


def is_lone(references: Sequence[str]) -> bool:
    """Whether references name a single backbone."""
    return len(references) == 1 and "*" not in references[0]


def modality_of(data: Data, references: Sequence[str], settings: Settings) -> tuple[str, Modality]:
    """The modality of a data set for which no single backbone says it.

    Rows may hold texts, pictures and sounds, so that these would be recognised: where all
    backbones are for rows, rows it is.
    """
    modalities = {name: catalog.modality(name) for name in catalog.names("modalities")}
    cards = [_card(str(replace(parse(each), options={}))) for each in references if "*" not in each]
    card_modalities = {card.modality if card else "" for card in cards}
    whole = (
        next(iter(card_modalities))
        if len(card_modalities) == 1 and len(cards) == len(references)
        else ""
    )
    if whole and modalities[whole].whole_rows:
        return whole, modalities[whole]
    name = recognise(data, modalities, schema(settings))
    return name, modalities[name]


def reading(
    name: str, modality: Modality, candidates: Sequence[Candidate], context: RunContext
) -> Modality:
    """What reads of rows whatever one of the candidates does.

    One that can't be loaded is told so later.
    """
    for each in candidates:
        with suppress(HeadstartError, ImportError):
            each.backbone = context.load(each.reference)
    networks = [each.backbone for each in candidates if each.backbone]
    return modality.reading([own for own in networks if own.modality == name])


def contenders(references: Sequence[str], modality: str, download: bool) -> dict[str, Card | None]:
    """References to look at, with their cards where their hubs list them.

    A reference with a `*` is a pattern. Without any reference, all of this modality whose weights
    are at hand, which may be none; with `download`, also some light ones that would have to be
    fetched. Raises HeadstartError where nothing is left of what was asked for.
    """
    listed: dict[str, Card | None] = {}
    for reference in references:
        if "*" in reference:
            cards = _of(modality, backbones(reference))
            listed |= {card.reference: card for card in cards if card.at_hand or download}
        else:
            parse(reference)
            listed[reference] = _card(reference)
    if not references:
        cards = [c for c in _of(modality, backbones()) if not c.reference.startswith(_STAND_IN)]
        listed = {card.reference: card for card in cards if card.at_hand}
        if download:
            away = [card for card in cards if not card.at_hand and card.accuracy is not None]
            light = [card for card in away if (card.parameters or LIGHT) < LIGHT]
            best = sorted(light, key=lambda card: -(card.accuracy or 0.0))[:FETCHED]
            listed |= {card.reference: card for card in best}
    if references and not listed:
        raise HeadstartError(
            f"No pretrained {modality} model that matches is at hand on this machine. Name "
            "some with -b hub:name, or let them be fetched with --download."
        )
    return listed


def _card(reference: str) -> Card | None:
    """What its hub lists of exactly this reference."""
    try:
        return next((card for card in backbones(reference) if card.reference == reference), None)
    except HeadstartError:
        return None


def _of(modality: str, cards: Iterable[Card]) -> list[Card]:
    return [card for card in cards if card.modality == modality]


def recommended(modality: str, context: RunContext) -> str:
    """The reference of a small backbone for this modality, its weights now at hand.

    Size and licence are said before anything is fetched. Raises HeadstartError where there is none
    to recommend, the run is offline, or it can't be had.
    """
    nothing = f"No pretrained {modality} model is at hand on this machine"
    backbone = RECOMMENDED.get(modality)
    if backbone is None:
        raise HeadstartError(f"{nothing}. Name one with -b hub:name.")
    if context.settings.offline or constants.HF_HUB_OFFLINE:
        raise HeadstartError(
            f"{nothing}, and offline none is fetched. Run: {INSTALL}, which brings one, name a "
            f"file with -b hub:name@FILE, or go online for {backbone}."
        )
    context.progress.say(f"{nothing}. Fetching {backbone}; {INSTALL} brings one too.")
    try:
        context.load(backbone.reference)
    except HeadstartError as error:
        cause = str(error).partition(". ")[0].rstrip(".")
        raise HeadstartError(
            f"{nothing}, and none could be fetched: {cause}. Run: {INSTALL}, which brings one, or "
            "name a file with -b hub:name@FILE."
        ) from error
    return backbone.reference


def facts_of(each: Candidate) -> Facts:
    """What is known of a candidate that was loaded before it is looked at."""
    backbone, card = each.loaded, each.card
    return Facts(
        reference=each.reference,
        weights=backbone.origin.weights_hash,
        pretrained=backbone.origin.pretrained,
        parameters=each.parameters,
        accuracy=card.accuracy if card else None,
        year=card.year if card else None,
        trained_on=backbone.origin.trained_on,
        stages=len(backbone.stages),
    )


def row(each: Candidate, experiment: Callable[[Backbone], Experiment]) -> Ranked:
    """A candidate as the ranking shows it; `experiment` transfers a backbone to the data."""
    backbone = each.backbone
    return Ranked(
        backbone=each.reference,
        expected=each.judge.interval(each.outputs) if len(each.by_item) else None,
        tuned=_tuned(each, experiment),
        scores=dict(each.scores),
        seconds=round(each.seconds, 2),
        speed=each.speed,
        parameters=each.parameters,
        licence=backbone.origin.licence if backbone else None,
        dropped=each.dropped,
    )


def _tuned(each: Candidate, experiment: Callable[[Backbone], Experiment]) -> Interval | None:
    """What fine-tuning reached; None where the network can't be trained."""
    if each.tuned is None or not each.tuned.steps:
        return None
    judge = Assessor.of(experiment(each.loaded), "validation")
    return judge.interval(each.tuned.outputs["validation"])


def groups_of(items: Sequence[Item]) -> np.ndarray | None:
    """The number of each item's group (N,), where the data have any."""
    if not any(item.group for item in items):
        return None
    return np.unique([item.group or item.identity for item in items], return_inverse=True)[1]


def reason(error: BaseException) -> str:
    """An error in one line."""
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__
