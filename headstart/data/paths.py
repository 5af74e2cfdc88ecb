"""The files that a manifest's values name: as written, else the one file that can be meant."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, final

from headstart.data.names import alike, split_of
from headstart.data.remote import address, mirror_at
from headstart.data.remote.addresses import UNFETCHED, scheme_of, shown
from headstart.data.sources import FileSource
from headstart.errors import DataError

Way = tuple[str, ...]  # from the data set's folder to one file, name by name
_SAMPLE = 100  # values of a column that are looked up to tell whether it holds paths
_REQUESTS = 3  # where each is asked for by a request
_THINGS = frozenset(
    {"id", "ids", "uid", "uuid", "image", "images", "img", "photo", "picture", "pic", "key"}
)  # words in the name of a column that may name files without their suffix
_UNNAMED = re.compile(r"column \d+")  # of a table without a header
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def absence(path: Path | str, advice: str) -> DataError:
    """That nothing is at a path, or that it is an address where a path is wanted."""
    text = address(path)
    if not text:
        return DataError(f"{path} does not exist. {advice}")
    if scheme_of(text) == "file":
        return DataError(
            f"{path} is an address. Give the path alone: /{text.partition(':')[2].lstrip('/')}."
        )
    return DataError(
        f"{shown(text)} is an address, and this is read from files alone. Copy or mount it on this "
        "machine, and give the path there."
    )


@final
class Paths:
    """Looks paths up under `root`, the data set's folder, which no path may leave.

    `listing` answers with the ways to all items under it; it is asked once, for the first path that
    isn't there as written. Such a path counts as the one file whose way ends as it does, if there
    is just one: its first folders, its suffix, and the case and composition of its letters may be
    otherwise. A link may lead out of the folder only as the Hugging Face cache has it, from
    `snapshots/…` to `blobs` of the same data set.
    """

    def __init__(self, root: Path, listing: Callable[[], Iterable[Way]]) -> None:
        self.root = Path(os.path.abspath(root))
        self._top = str(self.root)
        self._listing = listing
        self._index: Mapping[str, list[Way]] | None = None
        self._real: dict[str, str] = {}
        self._bases: dict[Path, str] = {}
        self._other: dict[str, str] = {}
        self._mirror = mirror_at(self.root)
        self._sample = _SAMPLE if self._mirror is None or self._mirror.whole else _REQUESTS

    def find(
        self, written_as: str, base: Path, place: str, split: str | None, first: Way = ()
    ) -> tuple[str, FileSource | None, str]:
        """The id of the file that a value names from the folder `base`, and the file.

        In its stead None and the reason, where it can't be told. A file of the row's own split goes
        before others; `first` are the folders of `elsewhere`. Raises DataError where the path or a
        link leaves the data set's folder.
        """
        value = _without(written_as, first)
        if "://" in value and address(value):
            inner = self._mirror.inside(value, self.root) if self._mirror else ""
            if not inner:
                return shown(address(value)), None, UNFETCHED
            value, base = inner, self.root
        written = self._inside(value, base, place)
        if self._mirror:
            self._mirror.expect(written)
        if not os.path.lexists(written) or os.path.isdir(written):
            ways = self._meant(value, base, split)
            if len(ways) > 1:
                candidates = " and ".join("/".join(way) for way in ways[:2])
                return self._id(written), None, f"names {len(ways)} files, such as {candidates}"
            if ways and "/".join(ways[0]) != self._id(written):
                written = os.path.join(self.root, *ways[0])
                self._other.setdefault(written_as, self._id(written))
        if value is not written_as:
            self._other.setdefault(written_as, self._id(written))
        real = self._followed(written, place, value)
        if os.path.exists(real) and not os.path.isfile(real):
            return self._id(written), None, "is no file"
        return self._id(written), FileSource(Path(real)), ""

    def column(
        self,
        names: Sequence[str],
        usual: Sequence[str],
        rows: Iterable[Mapping[str, Any]],
        base: Path,
        split: str | None,
    ) -> str:
        """The column that names files here in half of its values, empty where none does.

        One that is `usual` for that goes first, else the one that names most files. Numbers and
        words alone count only in a column that is called after ids, names or files.
        """
        filled: dict[str, set[str]] = {name: set() for name in names}
        for _, row in zip(range(self._sample), rows, strict=False):
            for name in names:
                value = row.get(name)
                if isinstance(value, str) and value.strip():
                    filled[name].add(value)
        hits = {name: self._hits(filled[name], base, split, name) for name in names}
        fit = [name for name in names if hits[name] and 2 * hits[name] >= len(filled[name])]
        order = [usual.index(n.lower()) if n.lower() in usual else len(usual) for n in fit]
        best = sorted(zip(order, (-hits[name] for name in fit), fit, strict=True))
        return best[0][2] if best else ""

    def elsewhere(self, values: Iterable[str], base: Path, split: str | None) -> Way:
        """The first folders that all paths share and that are not here, as of another machine's.

        None where any path names a file as it is, or too few do without those folders.
        """
        ways = [_split(value) for _, value in zip(range(self._sample), values, strict=False)]
        if not ways or any(".." in way for way in ways):
            return ()
        levels = zip(*(way[:-1] for way in ways), strict=False)
        shared = [names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels)]
        for count in range(len(shared) + 1):
            hits = sum(self._names_file("/".join(w[count:]), base, split, False) for w in ways)
            if 2 * hits >= len(ways):
                return tuple(shared[:count])
            if hits:
                break
        return ()

    def remarks(self) -> tuple[str, ...]:
        """A sentence on paths since the last one that were not there as written, if there were."""
        other = [(value, way) for value, way in self._other.items() if value != way]
        self._other.clear()
        if not other:
            return ()
        value, way = other[0]
        count = "1 path is" if len(other) == 1 else f"{len(other)} paths are"
        return (f"{count} not there as written, and found as `{way}` is for `{value}`",)

    def _hits(self, values: set[str], base: Path, split: str | None, column: str) -> int:
        """How many values name a file here, as they are or without folders of elsewhere."""
        words = re.findall("[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).lower())
        things = any(word in _THINGS or word.endswith(("name", "path", "file")) for word in words)
        things = things or _UNNAMED.fullmatch(column) is not None
        bare = {value for value in values if not re.search(r"[./\\]", value)}
        hits = sum(
            self._names_file(value, base, split, value in bare and not things) for value in values
        )
        if hits or bare:
            return hits
        first = self.elsewhere(sorted(values), base, split)
        return len(values) if first else 0

    def _names_file(self, value: str, base: Path, split: str | None, bare: bool) -> bool:
        """Whether just one file is meant; where `bare`, only if it is there as written."""
        try:
            written = self._inside(value, base, "")
        except DataError:
            return False
        if self._mirror and not self._mirror.whole:
            return not bare and self._mirror.holds(written)
        return os.path.isfile(written) or (not bare and len(self._meant(value, base, split)) == 1)

    def _inside(self, value: str, base: Path, place: str) -> str:
        """The path as written. Raises DataError when it leaves the data set's folder."""
        if "\0" in value:
            raise DataError(f"{place} names {value!r}, which is no file name. Correct the row.")
        if base not in self._bases:
            self._bases[base] = os.path.abspath(base)
        here = self._bases[base]
        joined = os.path.normpath(os.path.join(here, value))
        slashed = value.replace("\\", "/")
        other = joined
        if slashed != value:
            other = os.path.normpath(os.path.join(here, slashed))
        if _DRIVE.match(value) or not (_holds(self._top, joined) and _holds(self._top, other)):
            raise DataError(
                f"{place} names {value!r}, which lies outside the data set's folder. "
                "Keep the files beside the manifest and give paths relative to it."
            )
        return joined if slashed == value or os.path.lexists(joined) else other

    def _followed(self, path: str, place: str, value: str) -> str:
        """The file at the end of all links. Raises DataError where they leave the folder."""
        parent, name = os.path.split(path)
        if parent not in self._real:
            self._real[parent] = os.path.realpath(parent)
        real = os.path.join(self._real[parent], name)
        if os.path.islink(real):
            real = os.path.realpath(real)
        root = self._real.setdefault(str(self.root), os.path.realpath(self.root))
        if not _holds(root, real) and not _stored(root, real):
            raise DataError(
                f"{place} names {value!r}, a link to {real}, which lies outside {self.root}. "
                "Put the file itself there."
            )
        return real

    def _id(self, path: str) -> str:
        return path[len(self._top) :].lstrip(os.sep).replace(os.sep, "/")

    def _meant(self, value: str, base: Path, split: str | None) -> list[Way]:
        """The ways that can be meant by a path that isn't there."""
        if self._index is None:
            self._index = _index(self._listing())
        names = _parts(value)
        if not names:
            return []
        ways = [way for way in self._index.get(names[-1], ()) if _ends(way, names)]
        if len(ways) < 2:
            return ways
        start = os.path.relpath(base, self.root)
        near = [way for way in ways if _ends(way, [*_parts(start), *names])]
        of_split = split or "train"  # what has labels and says no split is hardly a test's
        own = [way for way in ways if of_split in map(split_of, way[:-1])]
        exact = [way for way in ways if _parts("/".join(way)) == names]
        return next((some for some in (exact, near, own) if len(some) == 1), ways)


def _without(value: str, first: Way) -> str:
    """A path without its first folders, where they are these; the very same string otherwise."""
    way = _split(value)
    return "/".join(way[len(first) :]) if first and way[: len(first)] == first else value


def _split(value: str) -> Way:
    return tuple(re.split(r"[\\/]", value.strip()))


def _index(ways: Iterable[Way]) -> Mapping[str, list[Way]]:
    """All ways by the name they end in, with and without its suffix."""
    index: defaultdict[str, list[Way]] = defaultdict(list)
    for way in ways:
        name = alike(way[-1])
        index[name].append(way)
        stem = os.path.splitext(name)[0]
        if stem != name:
            index[stem].append(way)
    return index


def _parts(path: str) -> list[str]:
    names = re.split(r"[\\/]+", os.path.normpath(path.strip().replace("\\", "/")))
    return [alike(name) for name in names if name not in ("", ".", "..")]


def _ends(way: Way, parts: Sequence[str]) -> bool:
    """Whether a way ends in these folders; the file's own name is known to fit."""
    folders = parts[:-1]
    return not folders or [alike(name) for name in way[-len(parts) : -1]] == list(folders)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _stored(root: str, real: str) -> bool:
    """Whether a file lies in the `blobs` beside the `snapshots` that the folder is in."""
    parts = Path(root).parts
    if "snapshots" not in parts:
        return False
    place = len(parts) - 1 - parts[::-1].index("snapshots")
    return Path(real).parent == Path(*parts[:place], "blobs")
