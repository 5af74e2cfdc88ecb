"""A saved model as it is to be refitted: the items it was made with, and those that are new."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from headstart import artifact
from headstart.artifact import Record
from headstart.contracts import Backbone, Modality
from headstart.contracts.backbone import Origin
from headstart.data import IN_MEMORY, Data, Dataset, Schema, data_of, in_splits, load_added
from headstart.defaults import Settings
from headstart.errors import DataError, HeadstartError
from headstart.pipeline.demands import demand_features
from headstart.pipeline.opening import fitted_schema, load
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.strategy_spec import FEATURES, StrategySpec
from headstart.plan import FitPlan
from headstart.plan import read as read_plan
from headstart.runtime.progress import Progress, Silent
from headstart.serve import Predictor

FEWEST = 5  # new items, with fewer of which nothing could be said of the change


@final
@dataclass(frozen=True)
class Reading:
    """What items are read for, and who is told."""

    modality: Modality
    progress: Progress


@final
@dataclass(frozen=True)
class Saved:
    """The model's folder, what it says of itself, and the model at work."""

    folder: Path
    record: Record
    plan: FitPlan
    predictor: Predictor

    @classmethod
    def of(cls, folder: Path) -> Saved:
        """Open it. Raises HeadstartError where it is no model that can learn more items."""
        record = artifact.read(folder)
        plan = read_plan(folder)
        if plan.settings.get("adapt_to") is not None:
            raise HeadstartError(
                f"{folder} was adapted to {plan.settings['adapt_to']}, and what it answers there "
                "can't be held to. Fit anew with the new items as --target-labels."
            )
        predictor = load(folder)
        advice = f"Give old and new items together to headstart fit DATA -b {folder} -o NEW"
        demand_features(folder, predictor.task, "refit", advice)
        return cls(folder, record, plan, predictor)

    @property
    def settings(self) -> Settings:
        """Those of the fit, judged as it was, without what a refit does not do."""
        judge = "holdout" if self.plan.splits["test"] else "cv"
        return replace(self.plan.chosen(), judge=judge, scratch=False, evidence="quick", track=None)

    @property
    def spec(self) -> StrategySpec:
        """A head on the features of the saved network: that of the fit, where it had one."""
        text = self.plan.strategy
        return StrategySpec.of(text if text.startswith(f"{FEATURES}?head=") else FEATURES)

    def places(self, old: Sequence[Any]) -> list[Data]:
        """Where the items are that it was made with; `old` says it where they moved.

        Raises DataError where they are not there.
        """
        fit_places = (self.plan.data, *self.plan.added)
        if old and len(old) != len(fit_places):
            raise DataError(
                f"{len(old)} places were given for the items that {self.folder} was made with, "
                f"which were in {len(fit_places)}: {', '.join(fit_places)}. "
                "Give one for each, in this order."
            )
        for place in () if old else fit_places:
            if place == IN_MEMORY or not os.path.exists(place):
                there = "in memory" if place == IN_MEMORY else f"in {place}, which is not there now"
                raise DataError(
                    f"The items that {self.folder} was made with were {there}. Say where they are "
                    "with --old (old= in Python), or fit anew with all items."
                )
        return [data_of(place) for place in old or fit_places]

    def backbone(self, context: RunContext) -> Backbone:
        """The saved network under no head: where it was not trained, as the fit itself read it.

        That one's features are stored under its own name.
        """
        if self.plan.strategy.partition("?")[0] == FEATURES:
            with suppress(HeadstartError):  # gone since, or never here
                original = context.load(self.plan.reference())
                if original.origin.weights_hash == self.plan.weights and original.feature_dim:
                    return original  # which a table's is not before its columns are known
        backbone = context.load(f"checkpoint:{self.folder}")
        own = backbone.origin.weights_hash
        return replace(backbone, origin=replace(Origin(**self.record.origin), weights_hash=own))


@final
@dataclass(frozen=True)
class Items:
    """The old items in the splits of the fit, and new ones in splits of their own.

    `new_classes` are those that the model did not know. `overlap` counts items of the new data that
    it was made with, of which `relabelled` have another label now; `gone` those that it was made
    with and that are not there any more.
    """

    old: Dataset
    new: Dataset
    new_classes: tuple[str, ...]
    overlap: int
    relabelled: int
    gone: int

    @classmethod
    def of(
        cls, saved: Saved, data: Data, old: Sequence[Any], schema: Schema, reader: Reading
    ) -> Items:
        """Read both. Raises DataError where items are too few, or not there."""
        places, plan = saved.places(old), saved.plan
        fit_identities = {each for part in plan.splits.values() for each in part}
        labels = saved.record.labels
        added = load_added(data, reader.modality, labels, schema, progress=reader.progress)
        again = {
            item.identity: item.label for item in added.items if item.identity in fit_identities
        }
        new = tuple(item for item in added.items if item.identity not in fit_identities)
        if len(new) < FEWEST:
            also = f" beside {len(again)} that the model was made with" if again else ""
            raise DataError(
                f"{data} has {len(new)} new items{also}, too few to learn from and judge by. "
                f"Label {FEWEST} or more."
            )
        own = fitted_schema(saved.folder)
        parts = [
            load_added(place, reader.modality, labels, own, progress=Silent()) for place in places
        ]
        before = {item.identity: item.label for part in parts for item in part.items}
        changed = {one: label for one, label in again.items() if before.get(one, label) != label}
        old_data = in_splits(parts, plan.splits, labels, changed)
        gone = len(fit_identities) - len({item.identity for item in old_data.items})
        later = replace(added, items=new)
        every = dict.fromkeys((*old_data.labels, *added.labels))
        more = tuple(label for label in every if label not in labels)
        return cls(old_data, later, more, len(again), len(changed), gone)
