"""Which of several tables helps most: each beside the target's rows, judged by folds of these."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from headstart import catalog, evidence
from headstart.contracts import Backbone
from headstart.data import Data, Dataset, demand_data, most_folds
from headstart.errors import DataError
from headstart.evidence import Arm
from headstart.evidence.trials import Start, Trial
from headstart.pipeline.folding import Folding
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.sources import beside
from headstart.pipeline.strategy_spec import FEATURES
from headstart.results.sources import ALONE, RankedSource, SourceRanking

COLUMNS = "table:columns"


def ranked(data: Data, context: RunContext) -> SourceRanking:
    """The sources of the settings, and all of them together where there are several.

    Raises HeadstartError where the data are no table, or too few rows to judge by.
    """
    demand_data(data)
    plain = context.load(COLUMNS)
    dataset = context.read(data, catalog.modality(plain.modality))
    if most_folds(dataset) < 2:
        raise DataError(f"{dataset.root} has too few rows to judge tables by. Give more.")
    names = list(dict.fromkeys(context.settings.sources))
    choices = [(name,) for name in names] + ([tuple(names)] if len(names) > 1 else [])
    own = replace(context, settings=replace(context.settings, sources=(), map=None))
    alone = own.prepared(plain, dataset)
    base, first = _cross_validated(context, dataset, alone)
    seed, sign = context.settings.seed, base.whole.task.sign
    clusters = evidence.families(base.held_out_experiment.dataset.split("test"))
    rows = []
    for choice in choices:
        backbone = beside(plain, dataset, choice, context.settings.map, context.progress)
        folding, arm = _cross_validated(context, dataset, backbone)
        gain = folding.folds.gain(arm.rows, first.rows, seed, clusters)
        score = evidence.interval(arm, seed, folding.folds, clusters, sign)
        rows.append(RankedSource(" + ".join(Path(name).name for name in choice), score, gain))
    own_score = evidence.interval(first, seed, base.folds, clusters, sign)
    rows.append(RankedSource(ALONE, own_score))
    rows.sort(key=lambda row: -sign * row.score.value)
    task = base.whole.task
    return SourceRanking(tuple(rows), task.metric, len(dataset.items), task.sign < 0)


def _cross_validated(
    context: RunContext, dataset: Dataset, backbone: Backbone
) -> tuple[Folding, Arm]:
    """The folds, and the arm over all items of the head that learns from sources, or the probe."""
    folding = Folding.over(context.experiment(dataset, backbone), trains=False)
    folding.extract(backbone)
    if not backbone.related:
        return folding, folding.arm(FEATURES)
    name = backbone.heads[-1]
    folding.add(name, partial(_judged, name), backbone, context.budget, folding.folds.repeats)
    return folding, folding.arm(name)


def _judged(name: str, start: Start, _: Trial) -> Arm:
    head = catalog.head(name)
    return evidence.head_arm(start.experiment, start.backbone, head, name, start.probe).arm
