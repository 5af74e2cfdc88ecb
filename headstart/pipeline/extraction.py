"""Features: stored ahead of time, written for other tools, or priced by where they are cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from headstart.data import data_of, demand_data, unlabelled
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.features import extract as frozen
from headstart.features.export import Columns, destination, write
from headstart.features.legality import cacheable_stages
from headstart.features.plan import best
from headstart.features.reading import Reader
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import RunContext, Transfer, fitted_modality
from headstart.pipeline.rows import fitted_to_rows
from headstart.pipeline.schema import schema
from headstart.pipeline.selection.choosing import prepare
from headstart.pipeline.strategy_spec import FEATURES
from headstart.results import Exported, Extracted, Plan
from headstart.runtime.progress import Show, as_progress


def cache_features(
    data: Any,
    backbone: str,
    *,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Extracted:
    """Extract and store the features of a data set, so that later runs on it find them there.

    Raises HeadstartError for anything the user can mend.
    """
    transfer = _prepared(data, backbone, FEATURES, settings_of(settings, options), progress)
    parts = transfer.experiment.features(transfer.backbone)
    return Extracted(
        items=sum(len(part.rows) for part in parts),
        computed=sum(part.computed for part in parts),
        dimensions=transfer.backbone.feature_dim,
        engine=" and ".join(dict.fromkeys(part.engine for part in parts if part.engine)),
        seconds=sum(part.seconds for part in parts),
    )


def export_features(
    data: Any,
    backbone: str,
    out: str | Path,
    *,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Exported:
    """Write frozen features with ids, labels and splits to a file, for tools other than this one.

    The suffix of `out` says how: .parquet, .csv, .npy or .npz. Data without labels are taken too:
    pictures in one folder, or a manifest without a label column. All items are computed in one
    precision, fp32 unless the settings say bf16. Raises HeadstartError for anything the user can
    mend, such as a file that exists.
    """
    data, progress = data_of(data, labelled=False), as_progress(progress)
    settings, place = settings_of(settings, options), destination(Path(out))
    context = RunContext.of(settings, progress)
    demand_data(data)
    network = context.load(backbone)
    modality = fitted_modality(network, settings)
    items, kind = unlabelled(data, modality, schema(settings), progress), ""
    if items is None:
        dataset = context.read(data, modality)
        items, kind = dataset.items, dataset.kind
    if modality.whole_rows:
        prefix = context.prefix(network)
        network = fitted_to_rows(network, modality, items, prefix, progress)
        modality = fitted_modality(network, settings)
    prefix = context.prefix(network)
    rows = frozen.extract(prefix, items, Reader(modality, network.preprocess), progress)
    write(place, rows.pooled(), Columns.of(items, kind))
    counts = Counter(item.split or "none" for item in items)
    return Exported(place, len(items), network.feature_dim, kind, dict(counts), rows.engine)


def plan_features(
    data: Any,
    backbone: str,
    *,
    strategy: str | None = None,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Plan:
    """Price every boundary at which a strategy lets activations be stored, by measuring.

    Raises HeadstartError where the strategy trains every stage, so that there is none.
    """
    transfer = _prepared(data, backbone, strategy, settings_of(settings, options), progress)
    experiment, spec, training = transfer.experiment, transfer.strategy, transfer.strategy.build()
    epochs = experiment.recipe(training, str(spec), transfer.backbone).epochs
    stages = len(transfer.backbone.stages)
    legal = cacheable_stages(training, epochs, stages, augmented=False)
    if not legal:
        raise HeadstartError(
            f"{spec} trains every stage, so that nothing can be stored. "
            "Name a strategy that leaves some frozen, such as -s last-stages."
        )
    work = experiment.work(epochs)
    cuts = experiment.cuts(transfer.backbone, legal, work)
    return Plan(str(spec), work, tuple(cuts), best(cuts, work))


def _prepared(
    data: Any, backbone: str, strategy: str | None, settings: Settings, progress: Show
) -> Transfer:
    """What a run would begin with that trains no network from scratch."""
    context = RunContext.of(replace(settings, scratch=False), as_progress(progress))
    return prepare(data_of(data), backbone, strategy, context)
