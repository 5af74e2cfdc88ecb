"""A repository's code: from GitHub, from a folder of this machine, or from a saved model."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, final
from urllib.parse import quote, unquote
from uuid import uuid4

from headstart.errors import HeadstartError
from headstart.loading.downloads import alone, fetch_folder, records, tree_digest, unpack
from headstart.runtime.places import cache_folder

ADDRESS: Final = "HEADSTART_GITHUB"  # names a mirror in the environment
ENTRIES: Final = "hubconf.py"
SAVED: Final = "repository.zip"  # in a saved model
DEFAULT: Final = "HEAD"  # the default branch
_GITHUB: Final = "https://github.com"
_MOST: Final = 5_000_000  # bytes of code, as every saved model keeps them
_REPOSITORY: Final = 1 << 30  # bytes of all that a repository holds
_KINDS: Final = frozenset({".py", ".json", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".txt"})
_LEFT_OUT: Final = frozenset({"test", "tests", "docs"})  # and what begins with a dot
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@final
@dataclass(frozen=True)
class Code:
    """The files that run, by their paths from the repository's top, and the commit if known."""

    files: Mapping[str, bytes]
    commit: str = ""

    @cached_property
    def sha256(self) -> str:
        """The hash of names and contents: what a user trusts."""
        return tree_digest({n: hashlib.sha256(c).hexdigest() for n, c in self.files.items()})

    def packed(self) -> bytes:
        """One .zip of the files, the same for the same files."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as opened:
            for name in sorted(self.files):
                info = zipfile.ZipInfo(name, _ZIP_EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                opened.writestr(info, self.files[name])
        return content.getvalue()

    def placed(self) -> Path:
        """A folder with exactly these files, from which they run."""
        folder = repositories_folder() / "code" / self.sha256
        with alone(folder):
            if folder.is_dir() and _files(folder) == self.files:
                return folder
            scratch = folder.with_name(f".{self.sha256[:8]}.{uuid4().hex[:8]}")
            for name, content in self.files.items():
                path = scratch / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            shutil.rmtree(folder, ignore_errors=True)
            scratch.rename(folder)
        return folder


def from_github(repository: str, ref: str) -> Code:
    """The code of a repository at a ref, fetched where it isn't at hand.

    Raises WeightsError where it can't be had, HeadstartError where it is no repository of torch.hub
    or too large.
    """
    owner, _, name = repository.partition("/")
    base = os.environ.get(ADDRESS, "").rstrip("/") or _GITHUB
    folder = repositories_folder() / quote(f"{repository}:{ref}", safe="")
    record = fetch_folder(
        f"{base}/{owner}/{name}/archive/{quote(ref)}.zip",
        folder,
        what=f"torchhub:{repository}:{ref}",
        advice="Check owner, repository and ref, or give a folder as torchhub:./FOLDER/ENTRY.",
        most=_REPOSITORY,
    )
    inside = [path for path in folder.iterdir() if path.is_dir()]
    top = folder if (folder / ENTRIES).is_file() or len(inside) != 1 else inside[0]
    return Code(_read(top, f"{repository}:{ref}"), record.comment)


def from_folder(folder: Path) -> Code:
    """The code in a folder of this machine. Raises HeadstartError as `from_github` does."""
    if not folder.is_dir():
        raise HeadstartError(
            f"{folder} is not a folder. Write torchhub:./FOLDER/ENTRY, or "
            "torchhub:OWNER/REPOSITORY:REF/ENTRY."
        )
    return Code(_read(folder, str(folder)))


def from_saved(folder: Path, commit: str) -> Code:
    """The code in a saved model. Raises WeightsError where it can't be unpacked."""
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = unpack(folder / SAVED, Path(scratch) / "code", _MOST)
        return Code(_read(unpacked, str(folder / SAVED)), commit)


def repositories_folder() -> Path:
    """Where repositories are kept."""
    return cache_folder() / "torchhub"


def fetched() -> Iterator[tuple[str, Path]]:
    """The repositories that were fetched, as owner/repository[:ref], and where their code lies."""
    for folder, _ in records(repositories_folder()):
        name = unquote(folder.name).removesuffix(f":{DEFAULT}")
        yield from ((name, path.parent) for path in sorted(folder.glob(f"*/{ENTRIES}")))


def _read(folder: Path, what: str) -> dict[str, bytes]:
    if not (folder / ENTRIES).is_file():
        raise HeadstartError(
            f"{what} has no {ENTRIES}, which names entry points. Give a repository of torch.hub."
        )
    return _files(folder, what)


def _files(folder: Path, what: str = "") -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts) or _LEFT_OUT & set(parts[:-1])
        if hidden or path.suffix not in _KINDS or path.is_symlink() or not path.is_file():
            continue
        total += path.stat().st_size
        if total > _MOST:
            raise HeadstartError(
                f"{what} holds more than {_MOST / 1e6:g} MB of code, which every saved model would "
                "keep. Take the network's files into a smaller folder, and give that."
            )
        files["/".join(parts)] = path.read_bytes()
    return files
