"""Plain tars by address: looked through once, each file in them known by its place from then on."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import Final
from uuid import uuid4

from headstart.data.remote.addresses import shown
from headstart.data.remote.mirrors import demand_room, fill, is_whole, settle
from headstart.data.remote.pointers import Pointer, Remote, mirror_of
from headstart.errors import DataError, WeightsError

_AHEAD: Final = 8 << 20  # bytes that one request asks for; what is larger is passed over
_MEMBERS: Final = 2_000_000


def indexed(path: Path, pointer: Pointer) -> Path:
    """The folder of the files in a tar, as pointers into it; labels and texts are there whole.

    The tar is read from its beginning to its end, 8 MB at a time, and small items are kept on the
    way where there is room. Raises DataError where it is compressed, damaged or leads outside.
    """
    if not path.name.lower().endswith(".tar"):
        raise DataError(
            f"{shown(pointer.address)} is compressed, so that no part of it can be read by itself. "
            "Write it as a plain tar, or unpack it and give the folder."
        )
    mirror = mirror_of(path) or path.parent
    name = f"{pointer.address} {pointer.version or path}"  # which is listed anew for each run then
    place = mirror / f"unpacked-{hashlib.blake2b(name.encode(), digest_size=12).hexdigest()}"
    folder = place / path.name
    if folder.is_dir():
        return folder
    draft = mirror / f".{uuid4().hex}" / path.name
    try:
        _write(pointer, draft)
        settle(draft.parent, place)
    except OSError as error:
        raise DataError(
            f"{shown(pointer.address)} can't be laid out in {mirror}: {error.strerror or error}. "
            "Check the cache, or write a tar whose files have names that this machine can have."
        ) from error
    except WeightsError as error:
        raise DataError(
            f"{str(error).rpartition('. ')[0]}. Write it as a plain tar of files, or unpack it and "
            "give the folder."
        ) from error
    finally:
        shutil.rmtree(draft.parent, ignore_errors=True)
    return folder


def _write(pointer: Pointer, draft: Path) -> None:
    from headstart.loading.downloads.unpacking import files_in  # late: answers do without

    what = shown(pointer.address)
    file = io.BufferedReader(Remote(pointer, keep=False), _AHEAD)
    draft.mkdir(parents=True)
    whole = 0
    for entry in files_in(what, file, _MEMBERS):
        place = draft / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)
        own = Pointer(pointer.address, entry.size, pointer.version, entry.start, str(place))
        own.write(place)
        if is_whole(entry.path):
            whole += entry.size
            demand_room(pointer.address, whole)
            fill(place, entry.read())
        elif entry.size <= _AHEAD:
            own.keep(entry.read())
