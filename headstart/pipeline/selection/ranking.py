"""Look at backbones for a data set: the prior, then scores on features of more and more items.

Every later look, and the fit that may follow, finds in the store what an earlier one extracted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart import evidence
from headstart.contracts import Backbone
from headstart.contracts.references import parse
from headstart.data import Data, Dataset, Item, nested
from headstart.errors import HeadstartError, OutOfTimeError
from headstart.evidence import Experiment
from headstart.features.extract import extract
from headstart.pipeline.demands import demand_looks, demand_steps, demand_trainable
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.recommended import recommended
from headstart.pipeline.selection.candidates import (
    Candidate,
    behind,
    contenders,
    known,
    modality_of,
    reason,
    row,
    trained_first,
)
from headstart.plan import trained_on
from headstart.results.ranking import Ranking
from headstart.transferability import Sample, combined, ridge, scored
from headstart.transferability.history import Past, recall, remember
from headstart.transferability.prior import Prior, prior

FIRST = 300  # items that every candidate is looked at on
FEWEST = 32  # items of a first look where time is short
MOST = 3_000  # items that the closer look takes at most: scores take the cube of them
LATE = "not looked at: the budget has no time for it"
KEPT = 3  # candidates that a first look never drops
SHARE = 0.2  # of a budget, by when a ranking that is part of a fit must be done


@dataclass
class BackboneRanking:
    """A data set, and the candidates for it from the best to the worst as far as is known."""

    dataset: Dataset
    around: RunContext
    field: list[Candidate]
    priors: Sequence[Prior] = ()
    strategy: str | None = None

    @classmethod
    def at(
        cls,
        data: Data,
        asked: Sequence[str],
        download: bool,
        around: RunContext,
        strategy: str | None = None,
    ) -> BackboneRanking:
        """Load and score the candidates that the strategy, where one is named, can be used on."""
        name, modality = modality_of(data, around.settings)
        found = contenders(asked, name, download) or {recommended(name, around): None}
        dataset = around.read(data, modality)
        field = [Candidate(*each) for each in found.items()]
        look = cls(dataset, around, field, strategy=strategy)
        look._load(name)
        around.keep_time()
        others = [past for past in recall() if past.data != dataset.fingerprint]
        look.priors = prior([known(c) for c in look.alive], others)
        look._score()
        return look

    @property
    def alive(self) -> list[Candidate]:
        """The candidates that weren't dropped."""
        return [each for each in self.field if not each.dropped]

    def level(self) -> list[Candidate]:
        """Those that scores on features can't tell from the best, the best first."""
        best, *others = self.alive
        return [best, *(each for each in others if behind(best, each).low <= 0)]

    def promote(self, first: Sequence[Candidate]) -> None:
        """Put some of the candidates first, in their order."""
        self.field = [*first, *(each for each in self.field if each not in first)]

    def experiment(self, backbone: Backbone) -> Experiment:
        """The data set as this backbone is to be transferred to it."""
        return self.around.experiment(self.dataset, backbone)

    def ranking(self) -> Ranking:
        """What was found, as the user reads it."""
        rows = [row(each, self.around.settings.seed) for each in self.field]
        return Ranking(tuple(rows), tuple(self.priors), self._metric(), len(self.alive[0].held))

    def _metric(self) -> str:
        backbone = next(each.backbone for each in self.field if each.backbone is not None)
        return self.experiment(backbone).task.metric

    def _load(self, modality: str) -> None:
        for each in self.field:
            if self.around.budget.spent() > SHARE and len(self._loaded()) >= KEPT:
                each.dropped = LATE
                continue
            try:
                backbone = self.around.load(each.reference)
            except (HeadstartError, ImportError, MemoryError) as error:
                each.dropped = reason(error)
                continue
            known = self._seen_by(each.reference)
            if backbone.modality != modality:
                each.dropped = f"is made for {backbone.modality}s, and the data are {modality}s"
            elif known:
                each.dropped = f"was trained on {known} of these items, so that it knows them"
            else:
                each.backbone, each.dropped = backbone, self._refused(backbone)
        if not self.alive:
            raise HeadstartError(
                f"None of {len(self.field)} backbones can be used here; the first, "
                f"{self.field[0].reference}: {self.field[0].dropped}"
            )

    def _loaded(self) -> list[Candidate]:
        return [each for each in self.field if each.backbone is not None and not each.dropped]

    def _refused(self, backbone: Backbone) -> str:
        """Why the strategy can't be used on this backbone."""
        try:
            demand_trainable(self.strategy, backbone)
            demand_steps(self.strategy, self.experiment(backbone), backbone)
            demand_looks(self.experiment(backbone), backbone)
        except HeadstartError as error:
            return str(error)
        return ""

    def _seen_by(self, reference: str) -> int:
        """How many of these items a saved model was trained or selected on."""
        asked = parse(reference)
        seen = trained_on(Path(asked.name)) if asked.hub == "checkpoint" else None
        return len((seen or frozenset()) & {item.identity for item in self.dataset.items})

    def _score(self) -> None:
        """A first look at all, the small ones first, and a closer one at those that may win.

        Of two of one size the better by the prior comes first. Where time is short the first look
        is at fewer items, so that all are looked at once before any is looked at twice.
        """
        places = {each.reference: place for place, each in enumerate(self.priors)}
        self.field.sort(key=lambda each: places.get(each.reference, len(places)))
        waiting = sorted(self.alive, key=lambda each: each.parameters or 0)
        whole = len(self._items(MOST)[0])
        first = FIRST if whole > 2 * FIRST else whole
        for number, each in enumerate(waiting):
            self._look_at(each, first, len(waiting) - number)
        self._order()
        self._drop_behind()
        closer = [each for each in self.alive if len(each.held) < whole]
        for each in closer:
            if self.around.budget.spent() <= SHARE:
                self._look_at(each, whole)
        if closer:
            self._order()
            self._drop_behind()
        for each in self.alive:
            _remember(self, each)

    def _affordable(self, each: Candidate, waiting: int, most: int) -> int:
        if not self.around.budget.limited or each.backbone is None:
            return most
        price = evidence.Price.of(self.experiment(each.backbone), each.backbone)
        slot = self.around.budget.until(SHARE).left() / waiting
        return min(most, max(FEWEST, int(slot / price.item)))

    def _look_at(self, each: Candidate, count: int, waiting: int = 0) -> None:
        """Score one candidate; without time for a closer look it keeps what the first one found.

        With `waiting` candidates for a first look, this one included, by as many items as it takes
        its part of the time for.
        """
        late, started = "" if len(each.held) else LATE, time.monotonic()
        try:
            self._measure(each, self._affordable(each, waiting, count) if waiting else count)
        except OutOfTimeError:
            each.dropped = late
        except (HeadstartError, ImportError, MemoryError, RuntimeError) as error:
            each.dropped = reason(error)
        each.seconds += time.monotonic() - started

    def _measure(self, each: Candidate, count: int) -> None:
        backbone = each.backbone
        if backbone is None:
            raise ValueError(f"{each.reference} was not loaded")
        experiment = self.experiment(backbone)
        items, targets, places = self._items(count)
        prefix = experiment.prefix(backbone, len(backbone.stages))
        budget = self.around.budget  # a first look is as long as it takes, a closer one is not
        until = budget.until(SHARE) if budget.limited and len(each.held) else None
        found = extract(prefix, items, experiment.reader, experiment.progress, until=until)
        if found.computed:
            each.speed = found.computed / found.seconds
        sample = Sample(found.features(), targets, self.dataset.kind)
        each.scores = scored(sample)
        predicted = ridge(sample)
        labels = len(self.dataset.labels)
        if predicted.shape[1] < labels:  # the last classes don't occur among these items
            predicted = np.pad(predicted, ((0, 0), (0, labels - predicted.shape[1])))
        each.held, each.places = experiment.task.scores(predicted, targets), places

    def _items(self, count: int) -> tuple[list[Item], np.ndarray, np.ndarray]:
        """A nested subset of what may be learned from, in which each label keeps its share.

        Items, their targets, and their places among all that may be learned from.
        """
        usable = self.dataset.split("train") + self.dataset.split("validation")
        parts = [self.dataset.targets(name) for name in ("train", "validation")]
        targets = np.concatenate(parts)
        chosen = np.sort(nested(targets)[:count])
        return [usable[place] for place in chosen], targets[chosen], chosen

    def _order(self) -> None:
        """Best first; those that can't be told from the best by the mean rank of three scores."""
        alive = [each for each in self.alive if len(each.held)]
        if not alive:
            reasons = next(each for each in self.field if each.dropped)
            raise HeadstartError(f"{reasons.reference} can't be ranked: {reasons.dropped}")
        alive.sort(key=lambda each: -each.held.mean())
        self.promote(alive)
        level = self.level()
        ranks = combined([each.scores for each in level])
        order = sorted(range(len(level)), key=lambda place: (-ranks[place], place))
        self.promote([level[place] for place in order])
        self.promote(trained_first(self.alive))

    def _drop_behind(self) -> None:
        best = self.alive[0]
        for each in self.alive[KEPT:]:
            gap = behind(best, each)
            if gap.low > 0:
                each.dropped = (
                    f"{100 * gap.value:.1f} points behind {best.reference} on "
                    f"{min(len(best.held), len(each.held))} items "
                    f"({100 * gap.low:.1f} to {100 * gap.high:.1f})"
                )


def _remember(look: BackboneRanking, each: Candidate) -> None:
    backbone = each.backbone
    if backbone is None or not len(each.held):
        return
    remember(
        [
            Past(
                data=look.dataset.fingerprint,
                task=look.dataset.kind,
                metric=look.experiment(backbone).task.metric,
                backbone=each.reference,
                weights=backbone.origin.weights_hash,
                score=float(each.held.mean()),
                when=time.time(),
            )
        ]
    )
