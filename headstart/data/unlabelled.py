"""Data that names no labels: pictures in one folder, or a manifest without a label column."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.contracts import Modality
from headstart.data import tables
from headstart.data.check import check_items
from headstart.data.items import find
from headstart.data.manifests import Manifest
from headstart.data.names import lists_no_items
from headstart.data.remote import by_address, named
from headstart.data.schema import Schema
from headstart.data.sources import Contents, Data, FileSource, InMemory, Item
from headstart.data.trees import walk
from headstart.errors import DataError
from headstart.runtime.progress import Progress


@by_address
def unlabelled(
    data: Data, modality: Modality, schema: Schema, progress: Progress
) -> tuple[Item, ...] | None:
    """The usable items of data without labels, each with an empty one; None where labels are named.

    An item is in the split that a manifest's column says, else in none. Items that can't be used
    are left out with a warning. Raises DataError where none is left.
    """
    items = _items(data, modality, schema)
    if items is None:
        return None
    checked = check_items(items, modality, progress)
    if not checked.items:
        raise DataError(
            f"{data} has no usable item among {len(items)}. Give files that can be read."
        )
    progress.say(f"{named(data)} names no labels: {len(checked.items)} items without any.")
    for name, reason in checked.skipped[:1]:
        progress.warn(f"{len(checked.skipped)} items are skipped; the first, {name}: {reason}")
    return checked.items


def _items(data: Data, modality: Modality, schema: Schema) -> list[Item] | None:
    if isinstance(data, InMemory):
        lacking = replace(schema, may_lack_label=schema.label is None)
        return _without_labels(find(data, modality, lacking))
    return _files(data, modality) if data.is_dir() else _rows(data, modality, schema)


def _files(path: Path, modality: Modality) -> list[Item] | None:
    """Those of a folder in which all files lie directly, and no manifest beside them."""
    tree = walk(path, modality)
    if not tree.files or len(tree.files) != tree.items:
        return None
    if not all(map(lists_no_items, tree.tables)):
        return None
    return [Item(name, "", None, FileSource(path / name)) for name in tree.files]


def _rows(path: Path, modality: Modality, schema: Schema) -> list[Item] | None:
    """Those of a manifest none of whose columns is the label."""
    if path.suffix.lower() not in tables.READ or not path.is_file():
        return None
    schema = replace(schema, may_lack_label=schema.label is None)
    return _without_labels(Manifest.within(path.parent, path, modality).find(schema))


def _without_labels(contents: Contents) -> list[Item] | None:
    if contents.column:
        return None
    return [Item(row.id, "", row.split, row.source) for row in contents.rows if row.source]
