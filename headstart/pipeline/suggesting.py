"""Which items to label next: a pool in the space of a model's features, and what is known there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from headstart import artifact, catalog, plan
from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.data import Item, Source
from headstart.data.check import check_items
from headstart.data.items import find
from headstart.errors import DataError, HeadstartError
from headstart.features.extract import Prefix, extract, is_stored
from headstart.features.reading import Reader
from headstart.labelling import Suggestion, Suggestions, suggestions
from headstart.labelling.history import (
    Change,
    ModelScore,
    SuggestionRecord,
    ahead,
    changed,
    place_of,
)
from headstart.labelling.pool import Pool, pool_of, shown
from headstart.labelling.selection import Features, doubts, select
from headstart.pipeline.demands import demand_features
from headstart.pipeline.opening import fitted_schema, load
from headstart.plan import FitPlan
from headstart.runtime.progress import Progress, Show, as_progress
from headstart.serve import Predictor

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch

COUNT = 20


def suggest(
    model: str | Path,
    data: Any,
    count: int = COUNT,
    *,
    out: str | Path | None = None,
    progress: Show = None,
) -> Suggestions:
    """Name the items whose labels would help a saved model most, the best first.

    `data` is a folder or a manifest of items without labels, or anything that `predict` takes.
    Items that the model was made or judged with are left out by their content, as are copies and
    what can't be read. Which come first says `headstart.labelling.selection.select`. The answer
    also tells what the suggestions before it changed, where the model was made with some of them:
    each run notes its own beside the model's folder. `out` is a new table, .csv. Raises
    HeadstartError for anything the user can mend.
    """
    if count < 1:
        raise HeadstartError(f"{count} suggestions can't be made. Ask for 1 or more.")
    progress, folder = as_progress(progress), Path(model)
    place = None if out is None else suggestions.destination(Path(out))
    saved = SuggestingModel.of(folder)
    pool = pool_of(
        data, saved.predictor.reader.modality, saved.predictor.schema, saved.labelled, progress
    )
    rows, remarks = saved.ordered(pool, count, progress)
    change, forecast = saved.change(count)
    if place is not None:
        suggestions.write(place, rows)
    _note(saved, rows, change, progress)
    return Suggestions(str(model), rows, pool, remarks, change, forecast, place)


@final
@dataclass(frozen=True)
class SuggestingModel:
    """A saved model as it is asked for suggestions, with what is known of how it was made."""

    folder: Path
    predictor: Predictor
    backbone: Backbone
    plan: FitPlan | None
    evidence: dict[str, Any]
    weights: str

    @classmethod
    def of(cls, folder: Path) -> SuggestingModel:
        """Open it. Raises HeadstartError where there is no model, or one without features."""
        predictor, weights = load(folder), artifact.read(folder).weights_sha256
        advice = "Look at what headstart predict answers, and label what is wrong"
        demand_features(folder, predictor.task, "suggest", advice)
        backbone = catalog.load_backbone(Reference("checkpoint", str(folder)))
        fit_plan = plan.read(folder) if (folder / plan.FILE).exists() else None
        try:
            evidence = artifact.read_evidence(folder)
        except HeadstartError:
            evidence = {}
        return cls(folder, predictor, backbone, fit_plan, evidence, weights)

    @property
    def labelled(self) -> frozenset[str]:
        """The identities of all items with labels that it was made or judged with."""
        if self.plan is None:
            return frozenset()
        parts = (*self.plan.splits.values(), self.plan.left_out)
        return frozenset(identity for part in parts for identity in part)

    def ordered(
        self, pool: Pool, count: int, progress: Progress, beside: Sequence[Item] = ()
    ) -> tuple[list[Suggestion], list[str]]:
        """The items to label next, and sentences on what was not known.

        `beside` are further items that have a label by now.
        """
        features = self.features(pool.items, progress)
        answers, doubt = doubts(
            self.predictor.model.head, self.predictor.task, self.predictor.labels, features
        )
        items, remark = self._covered(progress)
        parts = [part for part in (items, beside) if part]
        covered = [self.features(part, progress) for part in parts]
        picks = select(features, doubt, covered, count)
        modality = self.predictor.reader.modality
        rows = [
            Suggestion(item, shown(item, modality), answers[n], float(doubt[n]), pick.covers)
            for pick in picks
            for n, item in [(pick.position, pool.items[pick.position])]
        ]
        return rows, [remark] if remark else []

    def features(self, items: Sequence[Item], progress: Progress) -> Features:
        """Pooled features (N, D) as the head reads them, kept in the store."""
        return features_of(
            items, self.backbone, self.predictor.reader, self.predictor.device, progress
        )

    def _covered(self, progress: Progress) -> tuple[list[Item], str]:
        """What it was trained on, and a sentence where that is not to be had."""
        if self.plan is None:
            return [], (
                f"{self.folder} does not record what it was trained on: items like those may be "
                "suggested."
            )
        identities = {*self.plan.splits["train"], *self.plan.splits["validation"]}
        items = self._stored(sorted(identities)) or self._still_there(identities, progress)
        if items:
            return items, ""
        return [], (
            f"The labelled items of {self.plan.data} are gone: items like those may be suggested."
        )

    def _stored(self, identities: Sequence[str]) -> list[Item]:
        """The items by their hashes alone, where the store holds the features of all of them."""
        items = [Item(each, "", None, _Gone(self.folder), each, each) for each in identities]
        prefix = _prefix(self.backbone, self.predictor.device)
        reader = Reader(self.predictor.reader.modality, self.predictor.reader.preprocess)
        return items if is_stored(prefix, items, reader) else []

    def _still_there(self, identities: set[str], progress: Progress) -> list[Item]:
        """Those of the items that are still where the data were."""
        modality = self.predictor.reader.modality
        schema = fitted_schema(self.folder)
        try:
            listed = find(Path(self.plan.data if self.plan else ""), modality, schema)
        except (DataError, OSError):
            return []
        rows = [Item(row.id, "", None, row.source) for row in listed.rows if row.source]
        checked = check_items(rows, modality, progress)
        return [item for item in checked.items if item.identity in identities]

    def change(self, count: int) -> tuple[Change | None, str]:
        """What earlier suggestions changed, and what so many more labels are forecast to bring."""
        state = self.score()
        try:
            forecast = ahead(self.evidence, count)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            forecast = ""  # the evidence of another tool or time
        return (None if state is None else changed(self.folder, state, self.labelled)), forecast

    def score(self) -> ModelScore | None:
        """The model's score; None where its evidence says none."""
        try:
            return ModelScore.of(self.weights, self.evidence, self.plan.splits if self.plan else {})
        except (AttributeError, LookupError, TypeError, ValueError):
            return None


@final
@dataclass(frozen=True)
class _Gone(Source):
    """Content whose features are stored, and that nobody reads again."""

    folder: Path

    def read(self) -> bytes:
        """Nothing. Raises DataError."""
        raise DataError(
            f"Training items of {self.folder} are known by their hashes alone. Give the data."
        )


def _note(
    saved: SuggestingModel, rows: Sequence[Suggestion], change: Change | None, progress: Progress
) -> None:
    """Keep what was suggested beside the model, where that can be written."""
    state, place = saved.score(), place_of(saved.folder)
    if state is None:
        return
    date = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        items = tuple(row.item.identity for row in rows)
        SuggestionRecord(date, state, items, change).write(place)
    except OSError as error:
        progress.warn(
            f"{place} can't be written ({error.strerror}): a later run will not know of these "
            "suggestions."
        )


def _prefix(backbone: Backbone, device: torch.device) -> Prefix:
    return Prefix(backbone, len(backbone.stages), device, precision="fp32")


def features_of(
    items: Sequence[Item],
    backbone: Backbone,
    reader: Reader,
    device: torch.device,
    progress: Progress,
) -> Features:
    """Pooled features (N, D) of items, kept in the store and read when asked for."""
    own = Reader(reader.modality, reader.preprocess)  # which keeps no texts for later
    return extract(_prefix(backbone, device), items, own, progress).pooled()
