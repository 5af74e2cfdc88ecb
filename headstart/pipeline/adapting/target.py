"""The target that a source is adapted to: its items, and the labels that some of them have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.adaptation import Labelled
from headstart.data import Columns, Data, FileSource, Item, Schema, data_of, load_labelled
from headstart.data import tables as kept_tables
from headstart.errors import DataError
from headstart.evidence import Experiment
from headstart.labelling.pool import pool_of
from headstart.pipeline.schema import schema

LABEL_NEXT = "label-next.csv"
MOST = 5_000  # items, with which nothing is won any more
_FEWEST = 10  # items, below which nothing can be said of their statistics


@dataclass(frozen=True)
class Target:
    """Unlabelled items, and the labels that some have by their position: own, and given to choose.

    `label_next` are items worth a label, empty before it is known which.
    """

    name: str
    items: tuple[Item, ...]
    truth: Labelled | None = None
    validation: Labelled | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Any, experiment: Experiment) -> Target:
        """Read a target beside its source, each content once, in an order of the contents' own.

        Labels that it has itself are kept apart for the gap to the best, where the source knows
        them all. Raises DataError where it holds too few items, or labels that were given are of
        none of them.
        """
        progress, modality = experiment.progress, experiment.reader.modality
        own = schema(experiment.settings)
        own = replace(own, before=_columns(experiment), kind=experiment.task.kind)
        name = str(data) if isinstance(data, str | Path) else "data in memory"
        pool = pool_of(data, modality, own, (), progress)
        items = tuple(sorted(pool.items, key=lambda item: item.identity))
        if len(items) < _FEWEST:
            raise DataError(
                f"{name} holds {len(items)} items, too few to adapt to. "
                f"Give {_FEWEST} or more, or evaluate the source's model on them."
            )
        notes = tuple(pool.remarks())
        trained = {item.identity for item in experiment.dataset.items}
        shared = sum(item.identity in trained for item in items)
        if shared:
            notes += (f"{shared} of the target's items are in the source, too.",)
        try:
            labels = _labels(data_of(data), experiment, own)
        except DataError as error:
            labels = {}
            reason = str(error).partition(". ")[0]
            progress.say(f"{name} is taken without labels; with some the gain would be known.")
            progress.say(f"It has none that the source knows: {reason}.")
        validation_labels = _validation_labels(name, items, experiment, own)
        if len(items) > MOST:
            notes += (f"Adapted to {MOST:,} of the target's {len(items):,} items.",)
            items = items[:MOST] + tuple(
                item for item in items[MOST:] if item.identity in validation_labels
            )
        return cls(
            name, items, _labelled(items, labels), _labelled(items, validation_labels), notes
        )


def _validation_labels(
    name: str, items: Sequence[Item], experiment: Experiment, own: Schema
) -> dict[str, int]:
    """The labels to choose by; none where no table of them was named."""
    if experiment.settings.target_labels is None:
        return {}
    place = Path(experiment.settings.target_labels)
    labels = _of_paths(place, items, experiment.labels)
    labels = labels or _labels(place, experiment, replace(own, label=None))
    if not labels.keys() & {item.identity for item in items}:
        raise DataError(
            f"{place} labels no item of {name}. Name items of the target in it, as "
            f"{LABEL_NEXT} of an earlier fit does."
        )
    return labels


def _of_paths(place: Path, items: Sequence[Item], labels: Sequence[str]) -> dict[str, int]:
    """Class numbers by identity where a table names the target's own files by their whole paths.

    They may lie anywhere: nothing is opened that isn't the target's. Empty where it names none.
    """
    files = {
        os.path.abspath(item.source.path): item.identity
        for item in items
        if isinstance(item.source, FileSource)
    }
    if not files or not place.is_file() or place.suffix.lower() not in kept_tables.READ:
        return {}
    table = kept_tables.read(place)[0]
    cells = [[str(value or "").strip() for value in table.values(n)] for n in table.names]
    column = next((each for each in cells if any(cell in files for cell in each)), None)
    if column is None or "label" not in table.names:
        return {}
    numbers = {label: number for number, label in enumerate(labels)}
    answers = cells[list(table.names).index("label")]
    strange = next((label for label in answers if label and label not in numbers), None)
    if strange is not None:
        raise DataError(
            f"{place} has the label {strange!r}, which is not one of "
            f"{', '.join(map(repr, labels))}. Rename it."
        )
    pairs = zip(column, answers, strict=True)
    return {files[path]: numbers[label] for path, label in pairs if label and path in files}


def _labels(place: Data, experiment: Experiment, own: Schema) -> dict[str, int]:
    """The class numbers of items by their identities.

    Raises DataError where there are no labels, and for those that the source doesn't know.
    """
    dataset = load_labelled(place, experiment.reader.modality, experiment.labels, own)
    identities = (item.identity for item in dataset.items)
    return dict(zip(identities, map(int, dataset.targets("test")), strict=True))


def _labelled(items: Sequence[Item], classes: Mapping[str, int]) -> Labelled | None:
    """The items that have a label; None where none has."""
    places = [place for place, item in enumerate(items) if item.identity in classes]
    if not places:
        return None
    return Labelled(np.array(places), np.array([classes[items[n].identity] for n in places]))


def _columns(experiment: Experiment) -> Columns | None:
    """The columns that the source was read from, where it is a table."""
    columns = experiment.dataset.report.columns
    if not columns:
        return None
    return Columns(tuple(columns.get("content", ())), tuple(columns.get("label", ())))
