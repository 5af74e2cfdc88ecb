"""Features ahead of time: extract and store them, or price where the network may be cut."""

from __future__ import annotations

from pathlib import Path

from headstart import catalog
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.features.legality import storable
from headstart.features.plan import best
from headstart.pipeline.prepare import prepare
from headstart.progress import Progress, Silent
from headstart.results import Extracted, Plan


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
    moves = catalog.strategy(name)
    epochs = target.recipe(moves, name, source).epochs
    legal = storable(moves, epochs, len(source.stages), augmented=False)
    if not legal:
        raise HeadstartError(
            f"{name} trains every stage, so that nothing can be stored. "
            "Name a strategy that leaves some frozen, such as -s last-stages."
        )
    work = target.work(epochs)
    cuts = target.cuts(source, legal, work)
    return Plan(name, work, tuple(cuts), best(cuts, work))
