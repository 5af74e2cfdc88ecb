"""Look at backbones for a data set: the prior, then scores on features of more and more items.

Every later look, and the fit that may follow, finds in the store what an earlier one extracted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from headstart import evidence
from headstart.contracts import Backbone
from headstart.contracts.references import parse
from headstart.data import Data, Dataset, Item, demand_data, nested
from headstart.errors import HeadstartError, OutOfTimeError
from headstart.evidence import Experiment
from headstart.features.extract import extract
from headstart.pipeline.demands import demand_looks, demand_steps, demand_trainable
from headstart.pipeline.prepare import RunContext, Transfer, fitted_modality, register_run
from headstart.pipeline.selection import layers
from headstart.pipeline.selection.candidates import (
    Candidate,
    behind,
    contenders,
    facts_of,
    groups_of,
    modality_of,
    reading,
    reason,
    recommended,
    row,
    trained_first,
)
from headstart.pipeline.selection.looks import closer_look, first_look, look_at_all
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.plan import overlap
from headstart.results.ranking import Ranking
from headstart.runtime.budget import Budget
from headstart.runtime.workspace import Workspace
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
    """A data set, and the candidates for it from the best to the worst as far as is known.

    Where one backbone is all that was named it is `lone`: what speaks against it is raised, and
    nothing is compared.
    """

    dataset: Dataset
    context: RunContext
    candidates: list[Candidate]
    strategy: StrategySpec
    lone: bool = False
    priors: Sequence[Prior] = ()

    @classmethod
    def at(
        cls,
        data: Data,
        references: Sequence[str],
        context: RunContext,
        strategy: StrategySpec | None = None,
        *,
        download: bool = False,
        lone: bool = False,
    ) -> BackboneRanking:
        """Load the candidates that the strategy, where one is named, can be used on; score them."""
        demand_data(data)
        if lone:
            backbone = context.load(references[0])
            candidates = [Candidate(references[0], None, backbone)]
            name, modality = backbone.modality, fitted_modality(backbone, context.settings)
        else:
            name, modality = modality_of(data, references, context.settings)
            cards = contenders(references, name, download) or {recommended(name, context): None}
            if strategy and modality.whole_rows and len(cards) == 1:  # nothing to rank
                return cls.at(data, list(cards), context, strategy, lone=True)
            candidates = [Candidate(reference, card) for reference, card in cards.items()]
            if modality.whole_rows:
                modality = reading(name, modality, candidates, context)
        dataset = context.read(data, modality)
        strategy = strategy or StrategySpec.of(None)
        if lone:
            candidates[0].backbone = backbone = context.prepared(backbone, dataset)
            task = context.experiment(dataset, context.backbone_for_task(dataset, backbone)).task
            strategy = strategy.for_items(len(dataset.split("train")), task, backbone)
        ranking = cls(dataset, context, candidates, strategy, lone)
        ranking._check(name)
        context.keep_time()
        return ranking if lone else ranking._scored()

    @property
    def alive(self) -> list[Candidate]:
        """The candidates that weren't dropped."""
        return [each for each in self.candidates if not each.dropped]

    def register(self, workspace: Workspace) -> None:
        """Say what this run is: for a lone backbone as where its transfer goes on elsewhere."""
        backbone = self.alive[0].loaded
        experiment, names = self.experiment(backbone), [c.reference for c in self.candidates]
        several = {"backbones": sorted(names), "strategy": str(self.strategy)}
        alone = Transfer(experiment, backbone, self.strategy).identity
        register_run(workspace, experiment, alone if self.lone else several)

    def level(self) -> list[Candidate]:
        """Those that scores on features can't tell from the best, the best first."""
        best, *others = self.alive
        return [best, *(each for each in others if behind(best, each).low <= 0)]

    def promote(self, first: Sequence[Candidate]) -> None:
        """Put some of the candidates first, in their order."""
        self.candidates = [*first, *(each for each in self.candidates if each not in first)]

    def experiment(self, backbone: Backbone) -> Experiment:
        """The data set as this backbone is to be transferred to it."""
        return self.context.experiment(self.dataset, backbone)

    def transfer(self) -> Transfer:
        """The best of the candidates, with what it is to be transferred to."""
        backbone, ranking = self.alive[0].loaded, None if self.lone else self.ranking()
        return Transfer(self.experiment(backbone), backbone, self.strategy, ranking)

    def ranking(self) -> Ranking:
        """What came out, as the user reads it."""
        backbone = next(each.backbone for each in self.candidates if each.backbone is not None)
        task, best = self.experiment(backbone).task, self.alive[0]
        rows = tuple(row(each, self.experiment) for each in self.candidates)
        return Ranking(rows, tuple(self.priors), task.metric, len(best.by_item), task.sign)

    def _check(self, modality: str) -> None:
        """Load each candidate and drop those that can't be used; a lone one's error is raised."""
        for each in self.candidates:
            usable = [other for other in self.alive if other.backbone is not None]
            if self.context.budget.spent() > SHARE and len(usable) >= KEPT:
                each.dropped = LATE
                continue
            try:
                each.dropped = self._unfit(each, modality)
            except (HeadstartError, ImportError, MemoryError) as error:
                if self.lone:
                    raise
                each.dropped = reason(error)
        if not self.alive:
            raise HeadstartError(
                f"None of {len(self.candidates)} backbones can be used here; the first, "
                f"{self.candidates[0].reference}: {self.candidates[0].dropped}"
            )

    def _unfit(self, each: Candidate, modality: str) -> str:
        """Why a candidate can't be compared with others, empty where it can.

        Raises HeadstartError where it can't be loaded or the strategy can't be used on it.
        """
        backbone = each.backbone or self.context.load(each.reference)
        if backbone.modality != modality:
            return f"is made for {backbone.modality}s, and the data are {modality}s"
        backbone = backbone if self.lone else self.context.prepared(backbone, self.dataset)
        backbone = self.context.backbone_for_task(self.dataset, backbone, alone=self.lone)
        reference = parse(each.reference)
        is_saved = reference.hub == "checkpoint"
        in_training = is_saved and overlap(Path(reference.name), self.dataset.items)
        if in_training:
            sentence = f"was trained on {in_training} of these items, so that it knows them"
            if not self.lone:
                return sentence
            self.context.progress.warn(f"{each.reference} {sentence}.")
        each.backbone = backbone
        experiment = self.experiment(backbone)
        demand_trainable(self.strategy, backbone)
        demand_steps(self.strategy, experiment, backbone)
        demand_looks(experiment, backbone)
        return ""

    def _scored(self) -> BackboneRanking:
        """A first look at all, the small ones first, and a closer one at those that may win.

        Of two of one size the better by the prior comes first. Where time is short it is at fewer
        items, so that all are looked at once before any is twice.
        """
        others = [past for past in recall() if past.data != self.dataset.fingerprint]
        self.priors = prior([facts_of(each) for each in self.alive], others)
        places = {each.reference: place for place, each in enumerate(self.priors)}
        self.candidates.sort(key=lambda each: places.get(each.reference, len(places)))
        waiting = sorted(self.alive, key=lambda each: each.parameters or 0)
        whole = len(self._items(MOST)[0])
        first = FIRST if whole > 2 * FIRST else whole
        until = self.context.budget.until(SHARE)
        look_at_all(self, waiting, partial(first_look, first), until)
        layers.look_deeper(self, first, SHARE / 2)
        self._order()
        self._drop_behind()
        closer = [each for each in self.alive if len(each.by_item) < whole]
        look_at_all(self, closer, partial(closer_look, whole, SHARE), until)
        if closer:
            self._order()
            self._drop_behind()
        self._remember()
        return self

    def _affordable(self, each: Candidate, until: Budget, most: int) -> int:
        if not until.limited:
            return most
        price = evidence.Price.of(self.experiment(each.loaded), each.loaded)
        return min(most, max(FEWEST, int(until.left() / price.item)))

    def look_at(self, each: Candidate, count: int, until: Budget | None = None) -> None:
        """Score one on as many items as there is time for; a late one keeps what it has."""
        late, started = "" if len(each.by_item) else LATE, time.monotonic()
        try:
            self._measure(each, self._affordable(each, until, count) if until else count)
        except OutOfTimeError:
            each.dropped = late
        except (HeadstartError, ImportError, MemoryError, RuntimeError) as error:
            each.dropped = reason(error)
        each.seconds += time.monotonic() - started

    def _measure(self, each: Candidate, count: int) -> None:
        backbone, experiment = each.loaded, self.experiment(each.loaded)
        items, targets, places = self._items(count)
        prefix = experiment.prefix(backbone, len(backbone.stages))
        budget = self.context.budget  # a first look is as long as it takes, a closer one is not
        until = budget.until(SHARE) if budget.limited and len(each.by_item) else None
        extraction = extract(prefix, items, experiment.reader, experiment.progress, until=until)
        if extraction.computed:
            each.speed = extraction.computed / extraction.seconds
        sample = Sample(extraction.features(), targets, self.dataset.kind, groups_of(items))
        each.scores = scored(sample)
        predicted, labels = ridge(sample), len(self.dataset.labels)
        if predicted.shape[1] < labels:  # the last classes don't occur among these items
            predicted = np.pad(predicted, ((0, 0), (0, labels - predicted.shape[1])))
        task, draws = experiment.task, evidence.Draws(clusters=evidence.families(items))
        each.assessor = evidence.Assessor(task, targets, draws)
        each.outputs, each.places, each.by_item = predicted, places, task.scores(predicted, targets)

    def _items(self, count: int) -> tuple[list[Item], np.ndarray, np.ndarray]:
        """A nested subset of what may be learned from, in which each label keeps its share.

        Items, their targets, and their places among all that may be learned from.
        """
        usable = self.dataset.split("train") + self.dataset.split("validation")
        targets = np.concatenate([self.dataset.targets(name) for name in ("train", "validation")])
        positions = np.sort(nested(targets)[:count])
        return [usable[place] for place in positions], targets[positions], positions

    def _order(self) -> None:
        """Best first; those that can't be told from the best by the mean rank of three scores."""
        if not (alive := [each for each in self.alive if len(each.by_item)]):
            first = next(each for each in self.candidates if each.dropped)
            raise HeadstartError(f"{first.reference} can't be ranked: {first.dropped}")
        self.promote(sorted(alive, key=lambda each: -each.by_item.mean()))
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
                less_is_better = best.backbone and self.experiment(best.backbone).task.sign < 0
                scale, unit = (1, "") if less_is_better else (100, " points")
                count = min(len(best.by_item), len(each.by_item))
                each.dropped = (
                    f"{scale * gap.value:.1f}{unit} behind {best.reference} on {count} items "
                    f"({scale * gap.low:.1f} to {scale * gap.high:.1f})"
                )

    def _remember(self) -> None:
        """Let later rankings know what came out, but for errors, whose units are the data's own."""
        remember(
            Past(
                data=self.dataset.fingerprint,
                task=self.dataset.kind,
                metric=task.metric,
                backbone=each.reference,
                weights=each.loaded.origin.weights_hash,
                score=float(each.by_item.mean()),
                when=time.time(),
            )
            for each in self.alive
            if len(each.by_item) and (task := self.experiment(each.loaded).task).sign > 0
        )
