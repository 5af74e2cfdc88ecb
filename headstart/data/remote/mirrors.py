"""A data set by address as a folder in the cache: files by name, their content as it is read."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import Any, Final, ParamSpec, TypeVar, final
from urllib.request import url2pathname
from uuid import uuid4

from headstart.data.remote.addresses import (
    address,
    below,
    is_name,
    joined,
    parted,
    scheme_of,
    shown,
)
from headstart.data.remote.pointers import MARK, URLS, Pointer, mirror_of, most_kept
from headstart.data.remote.stores import Fault, State, Store, patiently, store_of
from headstart.errors import DataError, HeadstartError
from headstart.runtime.places import cache_folder

_P = ParamSpec("_P")
_T = TypeVar("_T")
_MOST: Final = 2_000_000  # files of one data set
_AT_ONCE: Final = 16  # requests
_ABOUT: Final = "about.json"
_TREE: Final = "tree-"
_BY_PARTS: Final = (".parquet", ".arrow", ".feather", ".tar", ".zip", ".tgz", ".gz", ".bz2", ".xz")
_ITEMS: Final = frozenset(  # and all that the system knows as pictures, sounds and films
    ".webp .avif .heic .heif .jp2 .j2k .qoi .pcx .sgi .tga .dcm .nii .pfm .flac .opus .ogg".split()
)


def local(data: str | os.PathLike[str], lock: Callable[[Path], None]) -> Path:
    """Where data are on this machine: a path as it is, that of `file:`, or the folder of pointers.

    Such a folder is made anew where the listing is another than before; `lock` keeps it from being
    removed. Raises DataError for an address that can't be read, and for any that is asked offline.
    """
    text = address(data)
    if not text:
        return Path(os.fsdecode(data))
    if scheme_of(text) == "file":
        return Path(url2pathname(f"/{text.removeprefix('file://')}"))
    folder, name = parted(text)
    states = _states(text, name)
    mirror = cache_folder() / URLS / _hash(text)
    try:
        lock(mirror)
        if text != shown(text):
            mirror.chmod(0o700)  # what signs an address stands in it
        _forget(mirror)
        _write(mirror / _ABOUT, {"folder": folder, "address": text, "whole": name not in states})
        return _tree(mirror, folder, text, states) / name
    except OSError as error:
        raise DataError(
            f"{shown(text)} can't be listed in {mirror}: {error.strerror or error}. Check the "
            "cache, or give a folder whose files have names that this machine can have."
        ) from error


def _states(text: str, name: str) -> dict[str, State]:
    """The files by name, that of the data set among them. Raises DataError for none."""
    is_host = not store_of(text).lists and "//" not in parted(text)[0]
    if is_host or not is_name(name):
        raise DataError(f"{shown(text)} names no file. Give the address of one.")
    state = patiently(text, lambda store: store.state(text))
    if state is not None:
        return {name: state}
    if not store_of(text).lists:
        raise DataError(f"{shown(text)} can't be read: nothing is there. Check the address.")
    states = {f"{name}/{key}": s for key, s in patiently(text, lambda s: [*s.listing(text)])}
    if not states:
        raise DataError(f"{shown(text)} holds no file. Check the address.")
    if len(states) > _MOST:
        raise DataError(f"{shown(text)} holds more than {_MOST:,} files. Give a table or shards.")
    odd = next((key for key in states if not is_name(key)), None)
    if odd is not None:
        raise DataError(
            f"{shown(text)} holds {odd!r}, which can't be a file here. Give a folder without it."
        )
    return states


def _tree(mirror: Path, folder: str, text: str, states: Mapping[str, State]) -> Path:
    """The folder of these files, made once for each listing that says what would change."""
    listed = [[key, state.size, state.version] for key, state in sorted(states.items())]
    known = all(state.version for state in states.values())
    tree = mirror / f"{_TREE}{_hash(json.dumps(listed)) if known else uuid4().hex}"
    if tree.is_dir():
        return tree
    draft = mirror / f".{uuid4().hex}"
    try:
        whole: list[tuple[Path, Pointer]] = []
        for key, state in states.items():
            place = draft / key
            place.parent.mkdir(parents=True, exist_ok=True)
            where = text if key == parted(text)[1] else joined(folder, key)
            pointer = Pointer(where, state.size, state.version, place=str(place))
            pointer.write(place)
            if is_whole(key):
                whole.append((place, pointer))
        demand_room(text, sum(pointer.size or 0 for _, pointer in whole))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda pair: fill(pair[0], pair[1].read()), whole))
        settle(draft, tree)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return tree


def settle(draft: Path, place: Path) -> None:
    """Give a folder its name, where no other process gave another like it that name before."""
    try:
        os.rename(draft, place)
    except OSError:
        if not place.is_dir():
            raise


def is_whole(name: str) -> bool:
    """Whether a file is fetched before the work: what may say how the data are laid out."""
    suffix = PurePosixPath(name.lower()).suffix
    kind = mimetypes.types_map.get(suffix, "").partition("/")[0]
    return suffix not in (*_BY_PARTS, *_ITEMS) and kind not in ("image", "audio", "video")


def fill(place: Path, content: bytes) -> None:
    """Put content in the place of a pointer, but for what might be taken for one."""
    if not content.startswith(MARK):
        place.write_bytes(content)


def demand_room(text: str, size: int) -> None:
    """Raise DataError where so many bytes are too many to be fetched before the work."""
    if size > most_kept():
        raise DataError(
            f"{shown(text)} holds {size / 1e9:.1f} GB of tables and texts that are fetched whole, "
            f"and {most_kept() / 1e9:.1f} GB may be kept. Write them as Parquet, or set "
            "HEADSTART_URL_CACHE to more GB."
        )


@final
@dataclass(frozen=True)
class Mirror:
    """What is known of a data set by address, from a path in its folder of pointers.

    `folder` is the address of what stands in the folder `top`; `whole` says that all files are
    there, as where a folder was listed, and not a table alone.
    """

    top: Path
    folder: str
    address: str
    whole: bool

    def of(self, path: str | os.PathLike[str]) -> str:
        """The address of a path in it."""
        name = Path(os.path.abspath(path)).relative_to(self.top).as_posix()
        return self.address if name == parted(self.address)[1] else joined(self.folder, name)

    def inside(self, text: str, root: Path) -> str:
        """What an address in the data is called from `root`, empty where it is not below it."""
        own = self.folder if root == self.top else self.of(root)
        return below(own, address(text))

    def expect(self, path: str) -> None:
        """Take it that a file is there, though it was not listed; reading it shows."""
        if self.whole or path in _EXPECTED:
            return
        _EXPECTED.add(path)
        place = Path(path)
        with suppress(OSError):  # then it isn't there
            if not place.is_file() or place.name != parted(self.address)[1]:
                place.parent.mkdir(parents=True, exist_ok=True)
                Pointer(self.of(place)).write(place)

    def holds(self, path: str) -> bool:
        """Whether a file is there, asked once where it was not listed."""
        if self.whole or path in _EXPECTED:
            return os.path.isfile(path)
        text = self.of(path)
        if os.path.isfile(path) and text == self.address:
            return True
        if path not in _THERE:
            _THERE[path] = patiently(text, lambda store: _is_there(store, text))
        return _THERE[path]


_EXPECTED: Final[set[str]] = set()  # paths of this process, until their data are listed anew
_THERE: Final[dict[str, bool]] = {}


def _is_there(store: Store, text: str) -> bool:
    try:
        return store.state(text) is not None
    except Fault as fault:
        if fault.denied:  # as S3 says of what isn't there to those who may not list a bucket
            return False
        raise


def _forget(mirror: Path) -> None:
    """Ask anew for what stands in a data set's folder."""
    top = os.path.join(mirror, "")
    _EXPECTED.difference_update([path for path in _EXPECTED if path.startswith(top)])
    for path in [path for path in _THERE if path.startswith(top)]:
        del _THERE[path]


def mirror_at(path: Path) -> Mirror | None:
    """The data set by address whose folder of pointers a path lies in; None for any other."""
    place = mirror_of(path)
    if place is None:
        return None
    tree = Path(os.path.abspath(path)).relative_to(place).parts[:1]
    if not tree or not tree[0].startswith(_TREE):
        return None
    try:
        about = json.loads((place / _ABOUT).read_bytes())
        return Mirror(place / tree[0], about["folder"], about["address"], about["whole"])
    except (OSError, ValueError, LookupError):
        return None


def address_of(path: Path) -> str:
    """The address that a path stands for, without what may be secret; empty for any other path."""
    mirror = mirror_at(path)
    return shown(mirror.of(path)) if mirror else ""


def named(data: object) -> str:
    """What data are called: by the address that their path stands for, else as they are."""
    return (address_of(data) if isinstance(data, Path) else "") or str(data)


def by_address(work: Callable[_P, _T]) -> Callable[_P, _T]:
    """The same function, whose errors call files by their addresses, not as the cache does."""

    @wraps(work)
    def run(*values: _P.args, **more: _P.kwargs) -> _T:
        try:
            return work(*values, **more)
        except HeadstartError as error:
            error.args = tuple(map(_readable, error.args))
            raise

    return run


def _readable(text: Any) -> Any:
    if not isinstance(text, str) or URLS not in text:
        return text
    for folder, own in _folders().items():
        text = text.replace(os.path.join(folder, ""), f"{own}/")
    return text


def _folders() -> Mapping[str, str]:
    """The addresses of folders of pointers."""
    known: dict[str, str] = {}
    for about in (cache_folder() / URLS).glob(f"*/{_ABOUT}"):
        with suppress(OSError, ValueError, LookupError):
            own = shown(str(json.loads(about.read_bytes())["folder"]))
            known |= {str(tree): own for tree in about.parent.glob(f"{_TREE}*")}
    return known


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    draft = path.with_name(f".{uuid4().hex}")
    draft.write_text(json.dumps(facts), encoding="utf-8")
    os.replace(draft, path)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
