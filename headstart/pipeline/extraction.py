"""Features: stored ahead of time, written for other tools, or priced by where they are cut."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from headstart.data import demand_data, unlabelled
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.features import extract as frozen
from headstart.features.export import Columns, destination, write
from headstart.features.legality import storable
from headstart.features.plan import best
from headstart.features.reading import Reader
from headstart.pipeline.heads import moves
from headstart.pipeline.prepare import Surroundings, fitted_modality, prepare, schema
from headstart.results import Extracted, Plan
from headstart.results.exported import Exported
from headstart.runtime import machine
from headstart.runtime.progress import Progress, Silent


def extract_features(
    data: str | Path,
    backbone: str,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Extracted:
    """Extract and store the features of a data set, so that later runs on it find them there.

    Raises HeadstartError for anything the user can mend.
    """
    settings, progress = settings or Settings(), progress or Silent()
    target, source, _ = prepare(data, backbone, "feature-extraction", settings, progress)
    found = target.features(source)
    return Extracted(
        items=sum(len(part.rows) for part in found),
        computed=sum(part.computed for part in found),
        dimensions=source.feature_dim,
        engine=" and ".join(dict.fromkeys(part.engine for part in found if part.engine)),
        seconds=sum(part.seconds for part in found),
    )


def extract(
    data: str | Path,
    backbone: str,
    out: str | Path,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write frozen features with ids, labels and splits to a file, for tools other than this one.

    The suffix of `out` says how: .parquet, .csv, .npy or .npz. Data without labels are taken too:
    pictures in one folder, or a manifest without a label column. All items are computed in one
    precision, fp32 unless the settings say bf16. Raises HeadstartError for anything the user can
    mend, such as a file that exists.
    """
    settings, progress = settings or Settings(), progress or Silent()
    place = destination(Path(out))
    around = Surroundings.of(settings, progress)
    demand_data(Path(data))
    source = around.load(backbone)
    modality = fitted_modality(source, settings)
    items, kind = unlabelled(Path(data), modality, schema(settings), progress), ""
    if items is None:
        dataset = around.read(data, modality)
        items, kind = dataset.items, dataset.kind
    prefix = frozen.Prefix(
        source,
        len(source.stages),
        machine.device(settings.device),
        settings.engine,
        "fp32" if settings.precision == "auto" else settings.precision,
        settings.batch or frozen.BATCH,
    )
    found = frozen.extract(prefix, items, Reader(modality, source.preprocess), progress)
    write(place, found.pooled(), Columns.of(items, kind))
    counts = Counter(item.split or "none" for item in items)
    return Exported(place, len(items), source.feature_dim, kind, dict(counts), found.engine)


def plan_features(
    data: str | Path,
    backbone: str,
    *,
    strategy: str | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Price every boundary at which a strategy lets activations be stored, by measuring.

    Raises HeadstartError where the strategy trains every stage, so that there is none.
    """
    settings, progress = settings or Settings(), progress or Silent()
    target, source, name = prepare(data, backbone, strategy, settings, progress)
    strategy_moves = moves(name)
    epochs = target.recipe(strategy_moves, name, source).epochs
    legal = storable(strategy_moves, epochs, len(source.stages), augmented=False)
    if not legal:
        raise HeadstartError(
            f"{name} trains every stage, so that nothing can be stored. "
            "Name a strategy that leaves some frozen, such as -s last-stages."
        )
    work = target.work(epochs)
    cuts = target.cuts(source, legal, work)
    return Plan(name, work, tuple(cuts), best(cuts, work))
