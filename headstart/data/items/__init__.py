"""Finding items: folders of classes, with or without splits, and manifests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from headstart.contracts import Modality
from headstart.data import annotated, containers, transcripts
from headstart.data.grouping import grouped, place_of
from headstart.data.items.file_names import from_names, label_part
from headstart.data.items.folders import from_folders
from headstart.data.items.lists import of_lists
from headstart.data.items.split_lists import beside, split_by_lists
from headstart.data.items.tables import Table, Tables, join
from headstart.data.items.wrapping import unwrapped
from headstart.data.manifests import Manifest
from headstart.data.masks import without_masks
from headstart.data.names import lists_items, only_part, split_of
from headstart.data.paths import Paths, absence
from headstart.data.remote import by_address
from headstart.data.schema import Schema
from headstart.data.sources import Contents, Data, InMemory, Source
from headstart.data.tables import READ, known_refusal, refusal
from headstart.data.tables.pixels import Pixels
from headstart.data.trees import Folder, readable, walk
from headstart.errors import DataError, UndirectedError

_HEAD = 1024  # bytes by which an item is known
_WHOLE = frozenset({".parquet", ".arrow"})  # tables that may hold their items themselves


@by_address
def find(data: Data, modality: Modality, schema: Schema) -> Contents:
    """Every item under a folder, in a manifest or in memory, with its label and the named split.

    Raises DataError when there is nothing, or nothing that says the classes.
    """
    place = place_of(schema.group)
    if place is not None:
        return grouped(find(data, modality, replace(schema, group=None)), place)
    if isinstance(data, InMemory):
        return data.find(modality, schema)
    demand_data(data)
    path = containers.opened(data)
    parts = containers.parts(path)
    marked = annotated.find(path, modality, schema, parts, _root(path, modality))
    if marked is None and not parts:
        marked = transcripts.find(path, modality, schema)
    if marked is not None:
        return split_by_lists(marked, walk(path, modality)) if path.is_dir() else marked
    if parts:
        return _from_parts(path, parts, modality, schema)
    if not path.is_dir():
        contents = Manifest.within(_root(path, modality), path, modality).find(schema)
        return contents if modality.inline else split_by_lists(contents, beside(path))
    tree = walk(path, modality)
    tree, masks = (tree, ()) if modality.inline else without_masks(tree)
    name_part = label_part(schema.label)
    if name_part is not None and tree.items:
        contents = replace(from_names(path, tree, name_part), warnings=masks)
        return split_by_lists(contents, tree)
    top = unwrapped(tree)
    tables = Tables(top, Paths(path, tree.every), modality, schema)
    contents = _contents(path, top, tables)
    inner = top.path.relative_to(path).as_posix()
    wrapped = (f"the data set lies in the folder `{inner}`",) if top is not tree else ()
    contents = replace(
        contents, remarks=(*wrapped, *contents.remarks), warnings=(*masks, *contents.warnings)
    )
    return split_by_lists(contents, tree)


def _root(manifest: Path, modality: Modality) -> Path:
    """The data set's folder of a manifest: its own, or the one above where that holds lists alone.

    `meta/esc50.csv` lists the files of `audio/` beside `meta/`.
    """
    folder = Path(os.path.abspath(manifest)).parent
    contained = modality.inline or modality.whole_rows or manifest.suffix.lower() in _WHOLE
    if contained or not lists_items(folder.name) or walk(folder, modality).items:
        return manifest.parent
    return manifest.parent.parent if manifest.parent.name else folder.parent


@by_address
def demand_data(path: Data) -> None:
    """Raise DataError where there is no folder or manifest, before anything else is looked at."""
    if isinstance(path, InMemory):
        return
    if not os.path.exists(path):
        raise absence(path, "Give a folder of classes or a manifest.")
    if path.is_dir():
        readable(path)
    elif path.suffix.lower() not in READ and not containers.is_read(path):
        raise refusal(path)


@by_address
def find_inputs(paths: Sequence[Path | str], modality: Modality) -> list[Path]:
    """The files to predict on: files as given, folders walked for the modality's files, sorted.

    Raises DataError for a path that does not exist and for a folder without such a file.
    """
    inputs: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files = [path.joinpath(*way) for way in walk(path, modality).every()]
            if not files:
                counted = f"Files that count: {_kinds(modality)}"
                advice = "Give a table itself" if modality.whole_rows else counted
                raise DataError(f"{path} holds no file to predict on. {advice}.")
            inputs.extend(files)
        elif os.path.exists(path):
            inputs.append(path)
        else:
            raise absence(path, "Give files or folders.")
    return inputs


def _from_parts(
    root: Path, parts: Sequence[containers.Part], modality: Modality, schema: Schema
) -> Contents:
    """What several files hold that are one table."""
    manifests = [Manifest.within(p.root, p.path, modality, p.split, p.word) for p in parts]
    contents = join(root, [manifest.find(schema) for manifest in manifests])
    if len(parts) == 1:
        return contents
    sentence = f"{len(parts)} files from {parts[0].path.name} to {parts[-1].path.name} are joined"
    return replace(contents, remarks=(*contents.remarks, sentence))


def _contents(path: Path, top: Folder, tables: Tables) -> Contents:
    """What manifests list that fit the items here, else what the folders say, else any manifest."""
    every, inline = tables.every(), tables.modality.inline
    if every and (inline or tables.modality.whole_rows) and not top.items:
        return tables.read(every)
    listing = [table for table in every if tables.list_items(table)]
    if listing and not (inline and _may_be_classes(top)):
        contents = _by_manifest(top, tables, listing)
        return _unused(contents, (t for t in every if t.split and t not in listing))
    if not every and (by_list := of_lists(top, tables)) is not None:
        return by_list
    try:
        if not top.items:
            raise _nothing(path, top, tables.modality)
        contents = from_folders(path, top, tables.schema)
    except DataError as error:
        if not every:
            return tables.alone(error)
        return _any_manifest(top, tables, listing or every, error)
    if listing:
        raise DataError(
            f"{path} holds folders of texts and the manifest {listing[0].path.name}, which has "
            f"texts too. Give {listing[0].path} to read that, or move it away to read the folders."
        )
    return _unused(contents, every)


def _unused(contents: Contents, tables: Iterable[Table]) -> Contents:
    """The contents with a warning for each table that lists none of them."""
    sentences = (f"{each.path.name} lists no item that is here and is not used." for each in tables)
    return replace(contents, warnings=(*contents.warnings, *sentences))


def _may_be_classes(top: Folder) -> bool:
    """Whether folders here could name classes: several, or one that holds several."""
    full = top.full
    return len(full) > 1 or any(each.split or _may_be_classes(each) for each in full)


def _any_manifest(
    top: Folder, tables: Tables, listing: Sequence[Table], error: DataError
) -> Contents:
    """What the tables list though it isn't here. Raises the folders' error where they hold more."""
    try:
        return tables.read(listing)
    except DataError:
        if top.full:
            raise error from None
        raise


def _by_manifest(top: Folder, tables: Tables, listing: Sequence[Table]) -> Contents:
    contents = tables.read(listing)
    names = [folder.name for folder in top.full]
    if len(names) < 2 or only_part(names) or any(map(split_of, names)):
        return contents
    those = " and ".join(f"`{table.path.name}`" for table in listing[:2])
    verb = "says" if len(listing) == 1 else "say"
    sentence = f"{those} {verb} the labels, and folders' names do not"
    return replace(contents, remarks=(sentence, *contents.remarks))


def _nothing(path: Path, top: Folder, modality: Modality) -> DataError:
    """The error for a folder without an item, which says what else is there."""
    below = [inner.path for folder, _ in top.below() for inner in folder.folders if inner.tables]
    if len(below) > 1:
        names = " and ".join(repr(inner.relative_to(path).as_posix()) for inner in below[:2])
        return DataError(
            f"{path} holds tables in several folders, such as {names}, and nothing says that they "
            f"are one data set. Give one of the folders, such as {below[0]}."
        )
    files = [f.path / name for f, _ in top.below() for name in (*f.others, *f.tables)]
    packed = next(filter(containers.is_archive, files), None)
    if packed:
        advice = f"Give {packed} itself, or unpack it there"
        return DataError(f"{path} holds no items but the archive {packed.name}. {advice}.")
    refused = next(((f, why) for f in files if (why := known_refusal(f))), None)
    if refused:
        name = refused[0].relative_to(path).as_posix()
        return DataError(f"{path} holds no items: {name} {refused[1]}")
    example = f", as {files[0].name} is not" if files and modality.inline else ""
    advice = "Make one folder per class, or give a manifest"
    if example and any(len(f.folders) > 1 for f, _ in top.below()):
        advice = "Rename texts to end in .txt, or give a manifest"
    elif len(files) == 1 and files[0].suffix.lower() in READ:
        advice = f"Give {files[0]} itself, if it is a table of them"
    return DataError(
        f"{path} holds no items (files that count: {_kinds(modality)}{example}). {advice}."
    )


def _kinds(modality: Modality) -> str:
    return ", ".join(sorted(READ if modality.whole_rows else modality.suffixes))


def recognise(data: Data, modalities: Mapping[str, Modality], schema: Schema) -> str:
    """The name of the modality that finds most items there.

    Of several that find as many it is the one that knows the first item by its content, or else the
    first of them; nothing else is opened but manifests. Where a column of texts was named, it is a
    modality whose content stands in columns; where one of paths was, it is another. Raises
    DataError where none finds any: that of the modality with most files there, else the first's.
    """
    items: dict[str, list[Source]] = {}
    errors: dict[str, DataError] = {}
    for name, modality in sorted(modalities.items(), key=lambda pair: pair[1].whole_rows):
        contained = modality.inline or modality.whole_rows
        if (schema.content and not modality.inline) or (schema.files and contained):
            continue
        try:
            contents = find(data, modality, schema)
        except DataError as error:
            errors[name] = error
            continue
        items[name] = [row.source for row in contents.rows if row.source is not None]
        if any(isinstance(source, Pixels) for source in items[name]):
            break  # numbers that are pixels can be read as little else, and take long to look at
    most = max(map(len, items.values()), default=0)
    if not most:
        undirected = [error for error in errors.values() if isinstance(error, UndirectedError)]
        if undirected:
            raise undirected[0]
        _demand_label(data, modalities, schema)
        plain = _is_table(data) and not schema.content and not schema.files
        raise next(
            # of a table's errors the last is on its rows
            iter([*errors.values()][::-1] if plain else _by_files(data, modalities, errors)),
            DataError(f"{data} holds no item of a known kind. Give files of one."),
        )
    best = [name for name, own in items.items() if len(own) == most]
    names = (name for name in best[1:] and best if _is_known(items[name][0], modalities[name]))
    return next(names, best[0])


def _by_files(
    data: Data, modalities: Mapping[str, Modality], errors: Mapping[str, DataError]
) -> list[DataError]:
    """The errors of modalities, those with most files in the folder first."""
    if isinstance(data, InMemory) or not data.is_dir():
        return [*errors.values()]
    return [errors[n] for n in sorted(errors, key=lambda n: -walk(data, modalities[n]).items)]


def _is_table(data: Data) -> bool:
    """Whether data are a table by themselves, so that their rows may be what is meant."""
    return isinstance(data, InMemory) or (data.is_file() and data.suffix.lower() in READ)


def _is_known(source: Source, modality: Modality) -> bool:
    """Whether a modality knows an item by its content."""
    with suppress(DataError):
        return bool(modality.recognises(source.read()[:_HEAD]))
    return False


def _demand_label(data: Data, modalities: Mapping[str, Modality], schema: Schema) -> None:
    """Raise DataError for a table whose rows could be read if it said which column is the label."""
    for modality in modalities.values():
        if modality.whole_rows and not schema.content and not schema.files:
            with suppress(DataError):
                find(data, modality, replace(schema, may_lack_label=True))
                break
    else:
        return
    find(data, modality, schema)
