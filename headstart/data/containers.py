"""Data sets that came packed: archives, and one table that lies in several files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from headstart.contracts import Modality
from headstart.data import tables
from headstart.data.names import passed_over
from headstart.data.remote import indexed, pointer_at
from headstart.data.remote.pointers import mirror_of
from headstart.data.sources import SPLIT_WORDS
from headstart.data.tables import arrays, labelled_lines, moses, shards, svmlight
from headstart.errors import DataError, WeightsError
from headstart.runtime.places import cache_folder

_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVES = (".zip", *_TARS)
_IN_USE: dict[Path, FileLock] = {}  # a lock for each folder of the cache that was unpacked or found
_MOST_TEXTS = 30  # files beside texts with their classes
_MOST, _MEMBERS = 64 << 30, 2_000_000  # bytes and files of one archive
_BESIDE = (".tar", ".json", ".txt", ".md", ".idx")  # what may lie in a folder of shards
_NUMBERED = re.compile(r"(part|shard|chunk|data)?[-_.]?\d")  # how the name of a part begins


@dataclass(frozen=True)
class Part:
    """One table of several; `split` and `word` where its name or folder says them."""

    path: Path
    root: Path
    split: str | None = None
    word: str = ""


def is_archive(path: Path) -> bool:
    """Whether a file is called as archives are."""
    return path.name.lower().endswith(ARCHIVES) and path.is_file()


def opened(path: Path) -> Path:
    """The folder that an archive holds, unpacked into the cache; any other path as it is.

    Of one that lies elsewhere the folder holds pointers.

    Raises DataError for an archive that is damaged, too large or leads outside itself.
    """
    if not is_archive(path):
        return path
    pointer = pointer_at(path)
    if pointer is not None:
        return indexed(path, pointer)
    name = path.name.lower()
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        place = cache_folder() / "unpacked" / content
        use(place)
        from headstart.loading.downloads.unpacking import unpack  # late: few data are archives

        return unpack(path, place / path.name, _MOST, _MEMBERS)
    except WeightsError as error:
        if "can't be unpacked" in str(error):
            raise DataError(str(error)) from error
        why, command = str(error).rpartition(". ")[0], "unzip" if name[-4:] == ".zip" else "tar -xf"
        raise DataError(
            f"{why}. Unpack it by `{command} {shlex.quote(str(path))}` and give the folder."
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} can't be unpacked: {error.strerror or error}. Check the file and the cache."
        ) from error


def is_read(path: Path) -> bool:
    """Whether a file of another name than a table's is an archive or a table."""
    return is_archive(path) or is_part(path)


def is_part(path: Path) -> bool:
    """Whether a file of another name than a table's is one by its content or those beside it."""
    forms = (moses.is_side, arrays.is_arrays, labelled_lines.is_labelled, svmlight.is_svmlight)
    return any(form(path) for form in forms)


def packed(path: Path, modality: Modality) -> list[Path]:
    """The files that each hold several items of a modality: one, or all that a folder holds."""
    form = svmlight.is_svmlight if modality.whole_rows else labelled_lines.is_labelled
    if not modality.inline and not modality.whole_rows:
        form = arrays.is_arrays
    if not path.is_dir():
        return [path] if form(path) else []
    every = [p for p in islice(path.iterdir(), _MOST_TEXTS + 1) if not passed_over(p.name)]
    if len(every) > _MOST_TEXTS or any(p.is_dir() for p in every):
        return []
    files = sorted(filter(form, every))
    others = {*every}.difference(files)
    return [] if any(p.suffix.lower() in modality.suffixes for p in others) else files


def use(place: Path) -> None:
    """Make a folder of the cache, and keep others from removing it while this process lives."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.parent.parent / "lock"):
        (place / "users").mkdir(parents=True, exist_ok=True)
        os.utime(place)  # when it was last used
        if place not in _IN_USE or not Path(_IN_USE[place].lock_file).exists():
            _IN_USE[place] = FileLock(place / "users" / uuid4().hex, thread_local=False)
            _IN_USE[place].acquire()


def parts(path: Path) -> list[Part]:
    """The tables that a folder is made of, where its files and no folders of classes say so.

    Folders that `save_to_disk` of datasets wrote, WebDataset shards, numbered parts of one table,
    and pairs of files by line, also in a folder `data`. Raises DataError where one of them is not
    whole.
    """
    if not path.is_dir():
        return [Part(path, path.parent)] if is_part(path) else []
    if (path / "dataset_dict.json").is_file():
        names = [str(name) for name in _read(path / "dataset_dict.json").get("splits", [])]
        return [part for name in names for part in _saved(_inside(path, name), path, name)]
    if (path / "state.json").is_file():
        return _saved(path, path, "")
    for folder in (path, path / "data"):
        shares = (folder.is_dir() and _several(folder, path)) or []
        if shares:
            return shares
    for folder in _only(path):
        files = [Part(each, path, split, word) for each, split, word in arrays.files_of(folder)]
        if files or (files := _labelled(folder, path)):
            return files
    unpacked = path.parent.parent == cache_folder() / "unpacked" or mirror_of(path) is not None
    archived = unpacked and path.name.endswith(_TARS)
    return [Part(path, path.parent)] if archived and shards.is_shard(path) else []


def _several(folder: Path, root: Path) -> list[Part]:
    return _shards(folder) or _numbered(folder, root) or _paired(folder, root)


def _labelled(folder: Path, root: Path) -> list[Part]:
    """Texts with classes in their lines; the one beside that for training is the test.

    Raises DataError where a split has two.
    """
    every = [p for p in islice(folder.iterdir(), _MOST_TEXTS + 1) if not passed_over(p.name)]
    files = sorted(filter(labelled_lines.is_labelled, every if len(every) <= _MOST_TEXTS else ()))
    if any(p.suffix.lower() in tables.SUFFIXES for p in {*every}.difference(files)):
        return []  # a table may list these files
    parts = [Part(path, root, *_split(path)) for path in files]
    splits = [part.split for part in parts]
    if sorted(splits, key=str) == [None, "train"]:
        parts = [p if p.split else Part(p.path, root, "test", p.path.name) for p in parts]
    twice = next((s for s in splits if splits.count(s) > 1 and len(set(splits)) > 1), "")
    if twice != "":
        names = " and ".join(part.path.name for part in parts if part.split == twice)
        raise DataError(
            f"{folder} holds more than one file of {twice or 'no split'} ({names}). Give the path "
            "of the one to read, or move the others away."
        )
    return parts


def _only(path: Path) -> Iterator[Path]:
    """The folder, and each that is the only one in it; none of several, as of classes."""
    folders = [path]
    while len(folders) == 1:
        folder = folders[0]
        folders = [f for f in folder.iterdir() if f.is_dir() and not passed_over(f.name)]
        if len(folders) < 2:
            yield folder


def _saved(folder: Path, root: Path, word: str) -> list[Part]:
    state = _read(folder / "state.json")
    if state.get("_indices_data_files"):
        raise DataError(
            f"{folder} keeps its rows' order in another file. Save the data set again by "
            "`flatten_indices().save_to_disk(…)`."
        )
    word = word or str(state.get("_split") or "")
    split = SPLIT_WORDS.get(word.lower())
    files = [each.get("filename") for each in state.get("_data_files", [])]
    return [Part(_inside(folder, name), root, split, word if split else "") for name in files]


def _inside(folder: Path, name: Any) -> Path:
    """A file or folder in a folder, by its name. Raises DataError for a name that leads out."""
    if not isinstance(name, str) or Path(name).name != name or not (folder / name).exists():
        raise DataError(
            f"{folder} names {name!r}, which is not in it. Save the data set again by "
            "`save_to_disk`."
        )
    return folder / name


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} can't be read: {error}. Save the data set again.") from error
    return content if isinstance(content, dict) else {}


def _shards(folder: Path) -> list[Part]:
    archives = _files(folder, (".tar",))
    beside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if not archives or any(e.is_dir() or e.suffix not in _BESIDE for e in beside):
        return []
    places = [opened(path) for path in archives]
    if not all(map(shards.is_shard, places)):
        raise DataError(
            f"{folder} holds the archive {archives[0].name}, which is no WebDataset shard. "
            f"Give {archives[0]} itself, or unpack it."
        )
    return [Part(place, place.parent, *_split(place)) for place in places]


def _numbered(folder: Path, root: Path) -> list[Part]:
    files = _files(folder, tuple(tables.SUFFIXES))
    alike = {re.sub(r"\d+", "0", path.name.lower()) for path in files}
    if len(files) < 2 or len(alike) > 1 or not all(_NUMBERED.match(p.stem.lower()) for p in files):
        return []
    return [Part(path, root) for path in files]


def _paired(folder: Path, root: Path) -> list[Part]:
    """Pairs of files by line, of splits where those for training are among them."""
    pairs = [(files[0], *_split(files[0])) for files in moses.sides(folder).values()]
    parts = [Part(path, root, split, word) for path, split, word in pairs if split]
    if any(part.split == "train" for part in parts):
        return parts
    return [Part(path, root) for path, _, _ in pairs]


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    every = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in every if path.is_file() and path.suffix.lower() in suffixes]


def _split(path: Path) -> tuple[str | None, str]:
    words = re.split(r"[^a-z0-9]+", path.name.lower())
    word = next((word for word in words if word in SPLIT_WORDS), "")
    return SPLIT_WORDS.get(word), word
