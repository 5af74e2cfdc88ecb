"""Labelling on a local page: what is shown and in which order, and where the answers go."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from headstart import catalog
from headstart.contracts import Encoding, Modality
from headstart.data import FileSource, Input, Item, Schema, demand_data, inputs_of
from headstart.data.targets import kind_named
from headstart.defaults import Settings
from headstart.errors import DataError, HeadstartError
from headstart.features.reading import Reader
from headstart.labelling.desk import Desk, Entry
from headstart.labelling.pool import Pool, pool_of
from headstart.labelling.selection import select
from headstart.labelling.server import LabelPage
from headstart.labelling.sheet import PATH, Content, Sheet
from headstart.pipeline.prepare import fitted_modality
from headstart.pipeline.suggesting import SuggestingModel, features_of
from headstart.report.notebook import Printed
from headstart.runtime import machine
from headstart.runtime.local_page import LocalServer
from headstart.runtime.progress import Progress, Show, as_progress

NAME = "labels.csv"
_PAIR = "\x1e"  # between the two texts of a pair
_UNLIKE_CLASSES = frozenset(",;|")  # signs by which a label might be read as several


@dataclass(frozen=True)
class LabellingOptions:
    """How items are to be labelled: the classes, the table, and where the page is.

    `labels` are those of the model where there are none; `backbone` orders the items where there is
    no model.
    """

    labels: Sequence[str] | None = None
    out: str | Path | None = None
    backbone: str | None = None
    count: int = 100
    port: int = 0
    browser: bool = False


@final
@dataclass(frozen=True, repr=False)
class LabellingResult(Printed):
    """What a page left: the table, how many items each class has in it, and how many are left."""

    path: Path
    counts: Mapping[str, int]
    left: int
    remarks: Sequence[str] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """{"out", "labels", "counts", "left"}."""
        total = sum(self.counts.values())
        return {
            "out": str(self.path),
            "labels": total,
            "counts": dict(self.counts),
            "left": self.left,
        }

    def __str__(self) -> str:
        total = sum(self.counts.values())
        each = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        lines = [f"{self.path} has {total} labels{f' ({each})' if each else ''}; {self.left} left."]
        if len(self.counts) > 1:
            plain = all(_is_plain(name) for name in self.counts)
            lines.append(f"Next: headstart fit {self.path}{'' if plain else ' --targets classes'}")
        return "\n".join([*lines, *self.remarks])


def label(
    model: str | Path | None, data: str | Path, options: LabellingOptions, *, progress: Show = None
) -> LabellingResult:
    """Show items without labels on a page of this machine until it is finished or interrupted.

    With a model they come in the order of `suggest`, `count` of them; with a backbone typical ones
    that cover the others come first; with neither all come in the order of their names. Answers
    are kept in a table that `fit` reads, beside the items, and an item in it is not shown again.
    Raises HeadstartError for anything the user can mend.
    """
    progress = as_progress(progress)
    saved = None if model is None else SuggestingModel.of(Path(model))
    modality, schema = _reading(saved, data, options)
    kind = None if saved is None else saved.predictor.task.kind
    if kind is not None and kind_named(kind).encoding is not Encoding.INDEX:
        raise HeadstartError(
            f"{model} answers with {kind}, and the page takes one class an "
            "item. Fill in the table of `headstart suggest --out` instead."
        )
    pool = pool_of(data, modality, schema, saved.labelled if saved else (), progress)
    path = Path(options.out) if options.out is not None else _beside(Path(data))
    entries, columns = _entries(pool.items, modality, schema, path)
    with Sheet(path, columns) as sheet:
        order, remarks = _order(saved, pool, entries, sheet, options, progress)
        known_labels = saved.predictor.labels if saved else ()
        classes = known_labels if options.labels is None else options.labels
        desk = Desk(entries, order, classes, sheet).open()
        for sentence in (*pool.remarks(), *remarks):
            progress.say(sentence)
        _serve(desk, modality, options, progress)
        return LabellingResult(path, desk.counts(), desk.left, remarks)


def _serve(desk: Desk, modality: Modality, options: LabellingOptions, progress: Progress) -> None:
    page = LabelPage(desk, modality)
    with LocalServer.opened(page, "headstart label", options.port) as server:
        server.serve(progress, "Answers are kept one by one", options.browser)


def _reading(
    saved: SuggestingModel | None, data: str | Path, options: LabellingOptions
) -> tuple[Modality, Schema]:
    """What reads the items: the model's modality, the backbone's, or that of the files there."""
    if saved is not None:
        return saved.predictor.reader.modality, saved.predictor.schema
    if options.backbone is not None:
        backbone = catalog.load_backbone(options.backbone)
        return fitted_modality(backbone, Settings()), Schema()
    return _recognised(Path(data)), Schema()


def _recognised(data: Path) -> Modality:
    """The modality that finds most items there. Raises DataError where none does."""
    demand_data(data)
    counts: list[tuple[int, Modality]] = []
    errors: list[DataError] = []
    for name in catalog.names("modalities"):
        modality = catalog.modality(name)
        if modality.whole_rows:  # which the page does not show
            continue
        try:
            count = sum(map(_is_there, inputs_of(data, modality)))
            counts.append((count, modality))
        except DataError as error:
            errors.append(error)
    if not counts:
        raise errors[0]
    return max(counts, key=lambda each: each[0])[1]


def _is_there(each: Input) -> bool:
    if isinstance(each.source, FileSource):
        return os.path.isfile(each.source.path)
    return each.source is not None


def _beside(data: Path) -> Path:
    return (data if data.is_dir() else data.parent) / NAME


def _entries(
    items: Sequence[Item], modality: Modality, schema: Schema, path: Path
) -> tuple[list[Entry], tuple[str, ...]]:
    """The items as the table names them, and the table's columns.

    Raises HeadstartError where files lie outside the table's folder, or items have no file.
    """
    texts = [modality.text(item.read()) for item in items[:1]]
    if texts and texts[0] is not None:
        contents = [tuple(_text(item, modality).split(_PAIR)) for item in items]
        width = max(map(len, contents))
        before = schema.before.content if schema.before else ()
        columns = before if len(before) == width else ("text", "text 2")[:width]
        wide = [(*content, *[""] * (width - len(content))) for content in contents]
        return [_entry(*each) for each in zip(items, wide, strict=True)], tuple(columns)
    folder = Path(os.path.abspath(path)).parent
    return [_entry(item, (_below(item, folder, path),)) for item in items], (PATH,)


def _entry(item: Item, content: Content) -> Entry:
    return Entry(item, content, content[0])


def _text(item: Item, modality: Modality) -> str:
    raw = item.read()
    if isinstance(item.source, FileSource):
        return modality.text(raw) or ""
    return raw.decode("utf-8", "replace")


def _below(item: Item, folder: Path, path: Path) -> str:
    """A file's way from the table's folder."""
    if not isinstance(item.source, FileSource):
        raise HeadstartError(
            f"{item.id} has no file of its own, and {path} could not name it. Give a folder of "
            "files."
        )
    place = Path(os.path.abspath(item.source.path))
    if not place.is_relative_to(folder):
        raise HeadstartError(
            f"{path} can't name {item.source.path}, which lies outside its folder. "
            "Put the table into the items' folder or one above it with --out."
        )
    return place.relative_to(folder).as_posix()


def _order(
    saved: SuggestingModel | None,
    pool: Pool,
    entries: Sequence[Entry],
    sheet: Sheet,
    options: LabellingOptions,
    progress: Progress,
) -> tuple[list[int], list[str]]:
    """Positions of those to show, and sentences on what was not known."""
    answered = sheet.answers()
    new = [n for n, entry in enumerate(entries) if entry.content not in answered]
    if not new or (saved is None and options.backbone is None):
        return new, []
    items = [pool.items[n] for n in new]
    done = [entry.item for entry in entries if entry.content in answered]
    if saved is not None:
        rows, remarks = saved.ordered(Pool(tuple(items)), options.count, progress, done)
        places = {entry.key: n for n, entry in enumerate(entries)}
        return [places[row.item.identity] for row in rows], remarks
    backbone = catalog.load_backbone(str(options.backbone))
    reader = Reader(fitted_modality(backbone, Settings()), backbone.preprocess)
    device = machine.device("auto")
    covered = [features_of(done, backbone, reader, device, progress)] if done else []
    features = features_of(items, backbone, reader, device, progress)
    picks = select(features, np.ones(len(items)), covered, options.count)
    return [new[pick.position] for pick in picks], []


def _is_plain(name: str) -> bool:
    """Whether a table with such a label is read as one of classes without being told."""
    try:
        float(name)
    except ValueError:
        return _UNLIKE_CLASSES.isdisjoint(name)
    return False
