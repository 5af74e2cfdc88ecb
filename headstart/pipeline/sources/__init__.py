"""Other tables beside the one that is fitted to: read by a mapping, as rows in its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from headstart import catalog
from headstart.contracts import Backbone, Encoding, Modality
from headstart.contracts.related import Related
from headstart.data import Dataset
from headstart.data.targets import kind_named
from headstart.errors import DataError, HeadstartError
from headstart.pipeline.sources.conversion import Converted, converted
from headstart.pipeline.sources.mapping import read as read_mapping
from headstart.pipeline.sources.proposal import proposed
from headstart.pipeline.sources.tables import SourceTable, rows_of
from headstart.runtime.progress import Progress

NUMBERS: Final = "source-prior"  # what is tried by itself, others where they are named
CLASSES: Final = "source-logistic"
_TREES: Final = 50  # rows of the target, below which boosting is not worth a try
_FEWEST: Final = 10  # rows of a source, below which it says nothing


def beside(
    backbone: Backbone, dataset: Dataset, sources: Sequence[str], places: str | None, show: Progress
) -> Backbone:
    """The backbone with its columns fitted to all tables, and the sources' rows in its features.

    `places` is the file of the mapping. Raises HeadstartError without one, once a proposal is
    written, and DataError for what does not fit the tables.
    """
    modality = catalog.modality(backbone.modality)
    kind = kind_named(dataset.kind)
    single = kind.encoding is Encoding.AMOUNTS and len(dataset.labels) == 1
    if not single and kind.encoding is not Encoding.INDEX:
        raise HeadstartError(
            f"{dataset.root} is labelled with {', '.join(dataset.labels)}, and other tables help "
            "with one number or with classes. Leave out --from."
        )
    tables = [SourceTable.of(Path(source)) for source in sources]
    target = rows_of(dataset)
    if places is None:
        raise proposed(target, dataset, tables)
    maps = read_mapping(Path(places), tables, target, dataset)
    parts = [converted(table, maps[table.key], target, dataset) for table in tables]
    for part in parts:
        _demand_rows(part)
        show.say(part.sentence())
    own = [item.read() for name in ("train", "validation") for item in dataset.split(name)]
    others = [_bytes(modality, row) for part in parts for row in part.rows]
    whole = modality.prepared(backbone, [*own, *others])
    head = NUMBERS if kind.encoding is Encoding.AMOUNTS else CLASSES
    trees = backbone.heads if len(own) >= _TREES else ()
    related = tuple(_related(part, whole, modality) for part in parts)
    return replace(whole, related=related, heads=(*trees, head))


def _bytes(modality: Modality, row: dict[str, Any]) -> bytes:
    content = modality.row(row)
    return b"{}" if content is None else content


def _related(part: Converted, backbone: Backbone, modality: Modality) -> Related:
    raws = [_bytes(modality, row) for row in part.rows]
    try:
        features = np.stack([modality.decode(raw, backbone.preprocess) for raw in raws])
    except DataError as error:
        raise DataError(f"{part.name} has a row that can't be used: {error}.") from error
    columns = modality.feature_columns(backbone.preprocess)
    mask = np.array([name in part.columns for name in columns])
    if not mask.any():
        raise DataError(
            f"{part.name} has no column that varies where the table's do. Map others of them."
        )
    return Related(part.name, features, part.targets, mask, part.scale)


def _demand_rows(part: Converted) -> None:
    if len(part.rows) < _FEWEST:
        raise DataError(
            f"{part.name} has {len(part.rows)} rows with a label that can be used, and "
            f"{_FEWEST} are the least to learn from. Correct its mapping, or leave it out."
        )
