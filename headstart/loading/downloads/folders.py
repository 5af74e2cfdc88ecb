"""Archives kept as folders: fetched once, unpacked, and compared with their record ever after."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

from headstart.errors import WeightsError
from headstart.loading.downloads.fetching import ADVICE, alone, fetch, file_sha256
from headstart.loading.downloads.unpacking import MOST, unpack

_RECORD: Final = ".headstart.json"


@final
@dataclass(frozen=True)
class FolderRecord:
    """What is recorded beside a folder that came out of an archive."""

    url: str
    sha256: str  # of the archive; empty where another program unpacked it
    tree: str  # of the files in the folder
    comment: str = ""  # of a zip: GitHub writes the commit there


def fetch_folder(
    url: str,
    folder: Path,
    *,
    sha256: str = "",
    what: str = "",
    advice: str = ADVICE,
    most: int = MOST,
) -> FolderRecord:
    """Fetch an archive and unpack it to a folder, unless that is there, which is then compared.

    `sha256` is the archive's, or its first digits; `what` and `advice` are for messages. Raises
    WeightsError where the archive can't be had or is not to be unpacked, and where the folder is
    another than what was unpacked.
    """
    what = what or folder.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        if not folder.is_dir():
            return _fetched(url, folder, sha256, what, advice, most)
        tree = tree_digest(_hashes(folder))
        record = recorded(folder)
        if record is None:
            record = FolderRecord(url, "", tree)
            _write(folder, record)
    if record.tree != tree:
        raise WeightsError(
            f"{what} has changed since it was fetched. Remove {folder}, so that it is fetched anew."
        )
    if not record.sha256.startswith(sha256.lower()):
        raise WeightsError(
            f"{what} at hand came out of an archive with "
            f"{f'sha256 {record.sha256}' if record.sha256 else 'an unknown sha256'}, not {sha256}. "
            f"Remove {folder}, so that it is fetched anew."
        )
    return record


def records(folder: Path) -> Iterator[tuple[Path, FolderRecord]]:
    """The folders in this one that came out of archives, with what is recorded of each."""
    for path in sorted(folder.glob(f"*{_RECORD}")):
        unpacked = path.with_name(path.name.removesuffix(_RECORD))
        record = recorded(unpacked)
        if record is not None and unpacked.is_dir():
            yield unpacked, record


def recorded(folder: Path) -> FolderRecord | None:
    """What is recorded of a folder, or None where nothing is."""
    try:
        return FolderRecord(**json.loads(_record(folder).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def tree_digest(hashes: Mapping[str, str]) -> str:
    """One hash for a tree of files, by their paths from its top and the hash of each."""
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()


def _fetched(
    url: str, folder: Path, sha256: str, what: str, advice: str, most: int
) -> FolderRecord:
    archive = folder.with_name(f"{folder.name}.archive")
    fetch(url, archive, sha256=sha256, what=what, advice=advice)
    try:
        own = file_sha256(archive)
        if not own.startswith(sha256.lower()):  # left by a run that was killed
            raise WeightsError(f"{what} has the sha256 {own}, not {sha256}. {advice}")
        unpack(archive, folder, most)
        record = FolderRecord(url, own, tree_digest(_hashes(folder)), _comment(archive))
        _write(folder, record)
    finally:
        archive.unlink(missing_ok=True)
    return record


def _comment(archive: Path) -> str:
    if not zipfile.is_zipfile(archive):
        return ""
    with zipfile.ZipFile(archive) as opened:
        return opened.comment.decode("utf-8", "replace")[:200]


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def _write(folder: Path, record: FolderRecord) -> None:
    path = _record(folder)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(asdict(record)), encoding="utf-8")
    os.replace(beside, path)


def _record(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_RECORD}")
