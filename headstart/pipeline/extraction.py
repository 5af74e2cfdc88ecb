"""Features: stored ahead of time, written for other tools, or priced by where they are cut."""

from __future__ import annotations

from collections import Counter
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
from headstart.pipeline.heads import moves
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import RunContext, fitted_modality, prepare, schema
from headstart.results import Extracted, Plan
from headstart.results.exported import Exported
from headstart.runtime import machine
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
    data, progress = data_of(data), as_progress(progress)
    settings = settings_of(settings, options)
    experiment, network, _ = prepare(data, backbone, "feature-extraction", settings, progress)
    found = experiment.features(network)
    return Extracted(
        items=sum(len(part.rows) for part in found),
        computed=sum(part.computed for part in found),
        dimensions=network.feature_dim,
        engine=" and ".join(dict.fromkeys(part.engine for part in found if part.engine)),
        seconds=sum(part.seconds for part in found),
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
    settings = settings_of(settings, options)
    place = destination(Path(out))
    around = RunContext.of(settings, progress)
    demand_data(data)
    network = around.load(backbone)
    modality = fitted_modality(network, settings)
    items, kind = unlabelled(data, modality, schema(settings), progress), ""
    if items is None:
        dataset = around.read(data, modality)
        items, kind = dataset.items, dataset.kind
    prefix = frozen.Prefix(
        network,
        len(network.stages),
        machine.device(settings.device),
        settings.engine,
        "fp32" if settings.precision == "auto" else settings.precision,
        settings.batch_size or frozen.BATCH,
    )
    found = frozen.extract(prefix, items, Reader(modality, network.preprocess), progress)
    write(place, found.pooled(), Columns.of(items, kind))
    counts = Counter(item.split or "none" for item in items)
    return Exported(place, len(items), network.feature_dim, kind, dict(counts), found.engine)


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
    data, progress = data_of(data), as_progress(progress)
    settings = settings_of(settings, options)
    experiment, network, name = prepare(data, backbone, strategy, settings, progress)
    strategy_moves = moves(name)
    epochs = experiment.recipe(strategy_moves, name, network).epochs
    legal = cacheable_stages(strategy_moves, epochs, len(network.stages), augmented=False)
    if not legal:
        raise HeadstartError(
            f"{name} trains every stage, so that nothing can be stored. "
            "Name a strategy that leaves some frozen, such as -s last-stages."
        )
    work = experiment.work(epochs)
    cuts = experiment.cuts(network, legal, work)
    return Plan(name, work, tuple(cuts), best(cuts, work))
