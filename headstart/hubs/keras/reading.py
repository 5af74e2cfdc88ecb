"""Files of Keras: opened without running anything in them, and kept to what is inside."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import h5py
import numpy as np

from headstart.errors import WeightsError

CONFIG: Final = "config.json"
_WEIGHTS: Final = "model.weights.h5"
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_BFLOAT16: Final = np.dtype("V2")  # HDF5 has no such numbers, and keeps their bytes
_MOST: Final = 64 << 20  # bytes of a description
_RATIO: Final = 1000  # more than this and an archive holds nothing but a trap


@final
@dataclass(frozen=True)
class File:
    """What a file holds: a network's description in JSON, the tree of its weights, or both."""

    path: Path
    config: bytes | None = None
    version: int = 3  # of the Keras that wrote it
    tree: Any = None  # an HDF5 group


def open_file(path: Path) -> File:
    """Open a `.keras`, `.h5` or `.json` file by what it is, whatever its name.

    Raises WeightsError where it is missing, damaged, or anything else.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
    except OSError as error:
        raise WeightsError(
            f"{path} can't be read ({error.strerror}). Give a .keras, .h5 or .json file."
        ) from None
    try:
        if start.startswith(_ZIP):
            return _open_archive(path)
        if start == _HDF5:
            return _open_tree(path, h5py.File(path, "r"))
        if start.lstrip().startswith(b"{"):
            return File(path, _checked(path, path.read_bytes()))
    except WeightsError:
        raise
    except Exception as error:  # damaged files raise nearly anything
        raise WeightsError(
            f"{path} can't be read as a file of Keras ({type(error).__name__}: "
            f"{str(error)[:80].rstrip('.')}). Copy or save it again."
        ) from error
    raise WeightsError(
        f"{path} is not a file of Keras. Give a .keras or .h5 file that Keras saved, or .json."
    )


def member(group: Any, path: str, file: File) -> Any:
    """What stands at a path inside a group. Raises WeightsError where it leads out of the file."""
    for name in path.strip("/").split("/"):
        link = group.get(name, getlink=True) if isinstance(group, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            fault = "lacks" if link is None else "leads elsewhere by"
            raise WeightsError(f"{file.path} {fault} {path}. Copy or save it again.")
        group = group[name]
    return group


def numbers(dataset: Any, file: File) -> np.ndarray:
    """A dataset's values as float32, or in one byte each as they are.

    Raises WeightsError unless they are numbers inside the file.
    """
    inside = isinstance(dataset, h5py.Dataset) and not dataset.external and not dataset.is_virtual
    if inside and dataset.dtype == _BFLOAT16:  # the upper half of float32
        halves = np.asarray(dataset[()]).view(np.uint16).astype(np.uint32)
        return np.asarray(np.left_shift(halves, 16).view(np.float32))
    if not inside or dataset.dtype.kind not in "fiu":
        name = getattr(dataset, "name", "a member")
        raise WeightsError(
            f"{file.path} keeps {name} as something else than numbers of its own, so that it was "
            "not read. Copy or save it again."
        )
    kind = dataset.dtype if dataset.dtype.itemsize == 1 else np.float32
    return np.asarray(dataset[()], dtype=kind)


def listed(group: Any, name: str) -> list[str]:
    """An attribute that lists names, which Keras splits where it is long."""
    parts = [name] if name in group.attrs else []
    while (part := f"{name}{len(parts)}") in group.attrs:
        parts.append(part)
    return [_text(value) for part in parts for value in group.attrs[part]]


def _open_tree(path: Path, tree: Any) -> File:
    config = tree.attrs.get("model_config")
    version = _text(tree.attrs.get("keras_version", "3"))
    text = None if config is None else _checked(path, _text(config).encode())
    return File(path, text, _major(version), tree)


def _open_archive(path: Path) -> File:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.replace("\\", "/")
            if name.startswith("/") or ".." in name.split("/"):
                raise WeightsError(
                    f"{path} holds {entry.filename}, which leads out of it, so that it was not "
                    "opened. Save the network again with Keras."
                )
            if entry.file_size > _RATIO * (entry.compress_size + 1024):
                raise WeightsError(
                    f"{path} holds {entry.filename}, which is far larger than the file, so that "
                    "it was not opened. Save the network again with Keras."
                )
        names = archive.namelist()
        if CONFIG not in names or _WEIGHTS not in names:
            raise WeightsError(
                f"{path} lacks {CONFIG} or {_WEIGHTS}. Give a .keras file that Keras saved."
            )
        config = _checked(path, archive.read(CONFIG))
        about = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
        tree = h5py.File(io.BytesIO(archive.read(_WEIGHTS)), "r")
    return File(path, config, _major(str(about.get("keras_version", "3"))), tree)


def _checked(path: Path, config: bytes) -> bytes:
    """A description that is JSON of sensible length."""
    if len(config) > _MOST or not isinstance(json.loads(config), Mapping):
        raise WeightsError(f"{path} describes no network. Save the network again with Keras.")
    return config


def _major(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isdigit() else 3


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
