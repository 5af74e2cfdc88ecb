"""A head fitted to old and new items, and what it answers that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from headstart import defaults
from headstart.contracts import Backbone
from headstart.data import Dataset, Item, joined
from headstart.data.splits import hashed
from headstart.errors import DataError
from headstart.evidence import Experiment
from headstart.evidence.before_after import BeforeAfter, HeldOut
from headstart.pipeline.prepare import RunContext, Transfer
from headstart.pipeline.refitting.saved import Items, Saved
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.runtime.progress import Silent

_UNKNOWN = -1e4  # output for a class that a model does not know


@final
@dataclass(frozen=True)
class Refitting:
    """A saved model with items old and new, and the network that both are seen by."""

    saved: Saved
    items: Items
    backbone: Backbone
    context: RunContext

    def search(self) -> StrategySearch:
        """A head on the features of all items but those held out."""
        new = self.items.new
        if self._in_folds:
            new = replace(new, items=tuple(map(_learned, new.items)))
        return self._searched(self.context.experiment(joined(self.items.old, new), self.backbone))

    def changes(self, search: StrategySearch) -> tuple[BeforeAfter, BeforeAfter]:
        """What the new head made better or worse on old items, and on new ones."""
        judge = self._judged_by_folds if search.folding else self._judged_held_out
        experiment, seed = search.held_out_experiment, search.experiment.settings.seed
        each = [
            BeforeAfter.of(experiment.task, held_out, experiment.labels, seed)
            for held_out in judge(search)
        ]
        return each[0], each[1]

    @property
    def _in_folds(self) -> bool:
        """Whether new items are too few to hold some of them back for good."""
        new = self.items.new
        return not new.has_test_split and len(new.items) < defaults.FOLDED

    def _searched(self, experiment: Experiment) -> StrategySearch:
        return strategy_search.run(Transfer(experiment, self.backbone, self.saved.spec))

    def _judged_held_out(self, search: StrategySearch) -> tuple[HeldOut, HeldOut]:
        """On the old test items, and on the new ones that were held back or are so by folds."""
        experiment = search.experiment
        test, outputs = experiment.dataset.split("test"), _answers(search)
        new = {item.identity for item in self.items.new.items}
        is_new = np.array([item.identity in new for item in test])
        old = self._held_out(experiment, test, outputs, ~is_new)
        if not self._in_folds:
            return old, self._held_out(experiment, test, outputs, is_new)
        every = [item for item in experiment.dataset.items if item.identity in new]
        by_folds = self._answered_by_folds(experiment, every)
        whole = self._held_out(experiment, every, by_folds, np.full(len(every), True))
        return old, replace(whole, spread=1 + len(every) / len(experiment.dataset.items))

    def _judged_by_folds(self, search: StrategySearch) -> tuple[HeldOut, HeldOut]:
        """On all items, old ones beside a head that was fitted to the others of them alone."""
        experiment, folding = search.held_out_experiment, search.folding
        if folding is None:
            raise ValueError("no folds judge")
        items, outputs = experiment.dataset.items, _answers(search)
        is_old = np.arange(len(items)) < len(self.items.old.items)
        before = self._searched(self.context.experiment(self.items.old, self.backbone))
        spread = folding.folds.spread(1)
        old = self._held_out(search.experiment, items, outputs, is_old, _answers(before))
        new = self._held_out(search.experiment, items, outputs, ~is_old)
        return replace(old, spread=spread), replace(new, spread=spread)

    def _held_out(
        self,
        experiment: Experiment,
        items: Sequence[Item],
        after: np.ndarray,
        part: np.ndarray,
        before: np.ndarray | None = None,
    ) -> HeldOut:
        """A part of some items; `before` is what the saved model answers unless it is known."""
        own = [item for item, inside in zip(items, part, strict=True) if inside]
        test = tuple(replace(item, split="test") for item in own)
        dataset = replace(experiment.dataset, items=test)
        if before is None:
            before = self.saved.predictor.headed(experiment.rows_of(self.backbone, own))
        missing = after.shape[1] - before.shape[1]
        padded = np.pad(before, ((0, 0), (0, missing)), constant_values=_UNKNOWN)
        return HeldOut(own, dataset.targets("test"), padded, after[part])

    def _answered_by_folds(self, experiment: Experiment, new: Sequence[Item]) -> np.ndarray:
        """Outputs (N, labels) for new items, each by a head that did not learn from its fold."""
        fold_of = _folds(new, experiment.dataset)
        outputs = np.empty((len(new), len(experiment.labels)), np.float32)
        count = max(fold_of.values()) + 1
        with experiment.progress.track("new items in folds", count) as advance:
            for fold in range(count):
                ids = {item.id for item in new if fold_of[item.cluster] == fold}
                items = tuple(
                    replace(item, split="test") if item.id in ids else item
                    for item in experiment.dataset.items
                    if item.split != "test"
                )
                dataset = replace(experiment.dataset, items=items)
                part = replace(experiment, dataset=dataset, progress=Silent())
                places = [place for place, item in enumerate(new) if item.id in ids]
                order = {item.id: row for row, item in enumerate(dataset.split("test"))}
                rows = [order[new[place].id] for place in places]
                outputs[places] = _answers(self._searched(part))[rows]
                advance(1)
        return outputs


def _answers(search: StrategySearch) -> np.ndarray:
    return np.asarray(search.arms[search.winner].arm.outputs["test"])


def _learned(item: Item) -> Item:
    return replace(item, split="train") if item.split == "test" else item


def _folds(items: Sequence[Item], dataset: Dataset) -> dict[str, int]:
    """The fold of each cluster, of five or as many as there are, labels spread over all."""
    label_of = {item.cluster: item.label for item in items}
    if len(label_of) < 2:
        raise DataError(
            f"{dataset.added[-1]} holds near copies of one item alone, by which nothing can be "
            "judged. Label items that differ."
        )
    order = sorted(label_of, key=lambda cluster: (label_of[cluster], hashed(cluster)))
    count = min(defaults.FOLDS, len(order))
    return {cluster: place % count for place, cluster in enumerate(order)}
