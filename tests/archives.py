"""Archives for tests: harmless ones, and those of people who mean harm."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path


def tar_of(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    """A .tar.gz of files by name and content, and of what else is given."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member, io.BytesIO(bytes(member.size)))
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, link: str = "", size: int = 0) -> tarfile.TarInfo:
    """A member of a tar that is no plain file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    """A .zip of files by name and content."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


def zip_link(name: str, kind: int = stat.S_IFLNK) -> zipfile.ZipInfo:
    """A member of a zip that calls itself a link, or something else."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


def packed(path: Path, files: dict[str, str], top: str, comment: str = "") -> Path:
    """A .zip like those that GitHub makes: all files under one folder, the commit as comment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    zip_of(path, *((f"{top}/{name}", text.encode()) for name, text in files.items()))
    with zipfile.ZipFile(path, "a") as opened:
        opened.comment = comment.encode()
    return path
