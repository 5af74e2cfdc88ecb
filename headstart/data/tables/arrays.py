"""Pictures as arrays of bytes: MNIST's files, and the binary files of CIFAR and STL-10."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from headstart.data.names import split_in
from headstart.data.tables.interface import TableInMemory
from headstart.data.tables.pixels import Pixels
from headstart.errors import DataError

_IDX = re.compile(r"(.*?)[-._]?images[-.]idx3-ubyte(\.gz)?")
_HEADERS = {b"\0\0\x08\x03": 3, b"\0\0\x08\x01": 1}  # of idx files, and their axes
_LARGEST = 1 << 33  # bytes of an array
_SIDE, _STL_SIDE = 32, 96
_RECORD = 3 * _SIDE**2
_TEST = "t10k"  # as MNIST calls it
_Arrays = tuple[np.ndarray, np.ndarray, Sequence[str]]  # pictures, numbers of classes, names


def read(path: Path) -> list[TableInMemory]:
    """The table of a file of pictures, with the classes that it or a file beside it says.

    Raises DataError for a file that is cut off, and for classes of others than these pictures.
    """
    form = _form(path)
    pictures, numbers, names = form(path) if form else _no_arrays(path)
    if len(pictures) != len(numbers):
        raise DataError(
            f"{path} holds {len(pictures)} pictures and {len(numbers)} labels. Fetch both again."
        )
    if names and len(numbers) and numbers.max() >= len(names):
        raise DataError(
            f"{path} has a class of number {numbers.max()} (from 0), and only {len(names)} have "
            "names. Fetch it again."
        )
    labels = [names[n] if names else str(n) for n in numbers.tolist()]
    rows = list(enumerate(zip(map(Pixels, pictures), labels, strict=True)))
    return [TableInMemory(path, ["image", "label"], rows, noun="picture")]


def is_arrays(path: Path) -> bool:
    """Whether a file holds pictures as such an array does, by its name and those beside it."""
    return _form(path) is not None and path.is_file()


def files_of(folder: Path) -> list[tuple[Path, str, str]]:
    """The files of pictures in a folder, each with its split and the word for that.

    What is called after no split belongs to those for training. Raises DataError where they are of
    several data sets, as EMNIST's are.
    """
    every = sorted(each for each in folder.iterdir() if is_arrays(each))
    files = [each for each in every if each.suffix != ".gz" or each.with_suffix("") not in every]
    named = [(each, *_split(each)) for each in files]
    sets = {before: each.name for each, _, _, before in named}
    if len(sets) > 1:
        first, second = [*sets.values()][:2]
        raise DataError(
            f"{folder} holds more than one data set ({first} and {second}). Keep each in its own "
            "folder."
        )
    return [(each, split, word) for each, split, word, _ in named]


def _split(path: Path) -> tuple[str, str, str]:
    """The split that a file is called after, its word, and what stands before that."""
    match = _IDX.fullmatch(path.name)
    stem = match[1] if match else path.stem
    if stem.endswith(_TEST):
        return "test", _TEST, stem.removesuffix(_TEST).strip("-_.")
    split, word, before = split_in(stem) or ("train", "train", "")
    return split, word, before


def _form(path: Path) -> Callable[[Path], _Arrays] | None:
    """What reads a file, by its name and the files beside it."""
    if _IDX.fullmatch(path.name):
        return _idx if _labels_of(path) else None
    if path.suffix != ".bin":
        return None
    if path.name.endswith("_X.bin") and path.with_name(path.name[:-5] + "y.bin").is_file():
        return _stl
    if (path.parent / "batches.meta.txt").is_file():
        return lambda file: _cifar(file, 1, "batches.meta.txt")
    if (path.parent / "fine_label_names.txt").is_file():
        return lambda file: _cifar(file, 2, "fine_label_names.txt")
    return None


def _no_arrays(path: Path) -> _Arrays:
    raise DataError(f"{path} holds no pictures with labels. Give a folder that has both.")


def _labels_of(path: Path) -> Path | None:
    """The file of labels beside one of pictures in MNIST's form, packed or not."""
    plain = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    return next((p for n in (plain, f"{plain}.gz") if (p := path.with_name(n)).is_file()), None)


def _idx(path: Path) -> _Arrays:
    labels = _labels_of(path)
    return _idx_array(path), _idx_array(labels or path), ()


def _idx_array(path: Path) -> np.ndarray:
    """The array in a file: bytes behind a header that says how many (LeCun, 1998)."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            axes = _HEADERS.get(file.read(4))
            if axes is None:
                raise DataError(f"{path} does not begin as a file of MNIST's form. Fetch it again.")
            shape = np.frombuffer(file.read(4 * axes), ">u4").tolist()
            size = math.prod(shape) if len(shape) == axes else _LARGEST
            content = file.read(size) if size < _LARGEST else b""
    except (OSError, EOFError) as error:
        raise DataError(f"{path} can't be read ({error}). Fetch it again.") from error
    if size != len(content):
        raise _cut_off(path)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _cifar(path: Path, labels: int, names: str) -> _Arrays:
    """Records of a byte for each label, the finest last, and three planes (Krizhevsky, 2009)."""
    records = _records(path, labels + _RECORD)
    pictures = records[:, labels:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return pictures, records[:, labels - 1], _names(path.with_name(names))


def _stl(path: Path) -> _Arrays:
    """Three planes a picture, column by column, and classes from 1 (Coates et al., 2011)."""
    planes = _records(path, 3 * _STL_SIDE**2).reshape(-1, 3, _STL_SIDE, _STL_SIDE)
    numbers = _records(path.with_name(path.name[:-5] + "y.bin"), 1)[:, 0].astype(int) - 1
    return planes.transpose(0, 3, 2, 1), numbers, _names(path.with_name("class_names.txt"))


def _records(path: Path, size: int) -> np.ndarray:
    count, rest = divmod(path.stat().st_size, size)
    if rest or not count:
        raise _cut_off(path)
    return np.memmap(path, np.uint8, "r").reshape(count, size)


def _names(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []


def _cut_off(path: Path) -> DataError:
    return DataError(f"{path} is cut off, or is no array of pictures. Fetch it again.")
