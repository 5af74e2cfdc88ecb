"""What features of a data set will take, reckoned from a few of its items before any work."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Unpack

import numpy as np
import psutil

from headstart.contracts import Modality
from headstart.data import Item, data_of, demand_data, named
from headstart.data.items import find
from headstart.data.sources import Row, digest
from headstart.defaults import Settings
from headstart.errors import DataError, HeadstartError
from headstart.features.activating import Activating
from headstart.features.engine import Engine, EngineError
from headstart.features.extract import Prefix
from headstart.features.reading import Reader, chosen, groups_of
from headstart.features.store import RECORD, STORED, Shape
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import RunContext, fitted_modality
from headstart.pipeline.schema import schema
from headstart.results.sizes import Sizes
from headstart.runtime.progress import Show, as_progress

SAMPLE: Final = 64  # items, from all over the data
STARTING: Final = 10.0  # seconds until workers are there
RAY: Final = 700 << 20  # bytes that Ray takes besides them
_HERE: Final = "local"


def plan(
    data: Any,
    backbone: str,
    *,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Sizes:
    """Reckon time, memory and disk of all features, wherever the settings say.

    A sample of the items is checked and computed here, on one thread as in a worker, or on all as
    in this process. Raises HeadstartError for anything the user can mend.
    """
    data, settings = data_of(data), settings_of(settings, options)
    context = RunContext.of(settings, as_progress(progress))
    demand_data(data)
    network = context.load(backbone)
    modality = _of_items(fitted_modality(network, settings), backbone)
    rows = [row for row in find(data, modality, schema(settings)).rows if row.source is not None]
    items, checking = _checked(rows, modality, named(data))
    prefix, reader = context.prefix(network), Reader(modality, network.preprocess).in_arrays()
    engine = _engine(prefix, reader, items, context, len(rows))
    extracting, numbers = _extracting(engine, reader, items, prefix.batch)
    apart, cores = settings.on != _HERE, os.cpu_count() or 1
    workers = (settings.workers or cores) if apart else 1
    resident = int(psutil.Process().memory_info().rss)
    return Sizes(
        items=len(rows),
        sample=len(items),
        where=settings.on,
        workers=workers,
        engine=engine.name,
        checking=checking * len(rows) / cores,
        extracting=extracting * len(rows) / workers + STARTING * apart,
        memory=resident + (workers * resident + RAY) * apart,
        disk=len(rows) * (numbers * STORED["fp32"].itemsize + RECORD.itemsize),
    )


def _of_items(modality: Modality, backbone: str) -> Modality:
    if modality.whole_rows:
        raise HeadstartError(
            f"{backbone} reads rows of tables, which take little more than to be read. "
            "Name a backbone of texts, pictures or sounds."
        )
    return modality


def _checked(rows: Sequence[Row], modality: Modality, data: str) -> tuple[list[Item], float]:
    """The usable ones of a sample, and the seconds that checking one took."""
    places = {round(place) for place in np.linspace(0, len(rows) - 1, SAMPLE)} if rows else set()
    sample = [Item(rows[n].id, "", None, row) for n in sorted(places) if (row := rows[n].source)]
    usable, started = [], time.perf_counter()
    for item in sample:
        try:
            raw = item.read()
        except DataError:
            continue
        if modality.check(raw).problem is None:
            usable.append(replace(item, digest=digest(raw)))
    if not usable:
        raise DataError(f"{data} has no usable item among {len(sample)}. Give others.")
    return usable, (time.perf_counter() - started) / len(sample)


def _engine(
    prefix: Prefix, reader: Reader, items: Sequence[Item], context: RunContext, count: int
) -> Engine:
    """What will run them: here on all threads, in a worker on one."""
    inputs = next(reader.inputs([items[: prefix.batch]]))
    engine = prefix.engine_for(reader, inputs, context.progress, prefix.precision, count)
    if context.settings.on == _HERE:
        return engine
    try:
        return engine.maker()(1)
    except EngineError as error:
        raise HeadstartError(
            f"Engine {engine.name} can't run in workers: {error}. Give --on local."
        ) from None


def _extracting(
    engine: Engine, reader: Reader, items: Sequence[Item], batch: int
) -> tuple[float, int]:
    """Seconds that an item takes, read, decoded and computed, and numbers of its features."""
    groups = groups_of(np.arange(len(items)), batch)
    work = Activating(lambda inputs: engine, reader.afresh(), None)
    warm = Activating(lambda inputs: engine, reader.afresh(), None)
    (first,) = warm.stream(chosen(items, groups[:1]))  # the first time takes longer
    started = time.perf_counter()
    for _ in work.stream(chosen(items, groups)):
        pass
    return (time.perf_counter() - started) / len(items), Shape.of(first.values).numbers
