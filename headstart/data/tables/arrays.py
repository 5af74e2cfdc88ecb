"""Pictures as arrays of bytes: files of MNIST, CIFAR, STL-10, SVHN, MedMNIST and Keras."""

from __future__ import annotations

import gzip
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.data.names import split_in
from headstart.data.tables.interface import TableInMemory
from headstart.data.tables.pixels import Pixels
from headstart.errors import DataError, reason
from headstart.runtime.damage import DAMAGE

_IDX = re.compile(r"(.*?)[-._]?images[-.]idx3-ubyte(\.gz)?")
_HEADERS = {b"\0\0\x08\x03": 3, b"\0\0\x08\x01": 1}  # of idx files, and their axes
_LARGEST = 1 << 31  # bytes of an array
_SIDE, _STL_SIDE = 32, 96
_RECORD = 3 * _SIDE**2
_TEST = "t10k"  # as MNIST calls it
_SVHN = re.compile(r"(train|test|extra)_32x32\.mat")
_KEYS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"))  # of MedMNIST, and Keras
_WORDS = ("train", "val", "test")
_TURNED = "pictures are mirrored along their diagonal, as EMNIST holds them column by column"
_EXTRA = "`extra_32x32.mat`, the easier pictures of SVHN, is learned from"
_BROKEN = (*DAMAGE, OSError, TypeError, KeyError, MemoryError)


@dataclass(frozen=True)
class _Arrays:
    """Pictures (N, H, W) or (N, H, W, 3), their classes' numbers (N,), names, and their split."""

    pictures: np.ndarray
    numbers: np.ndarray
    names: Sequence[str] = ()
    word: str = ""
    remark: str = ""

    def rows(self, path: Path) -> Iterator[tuple[Pixels, str, str]]:
        """Each with its label and split. Raises DataError for what is no such array."""
        shape, count = self.pictures.shape, self.numbers.size
        flat = len(shape) == 3 or shape[3:] == (3,)
        if not flat or self.pictures.dtype != np.uint8 or self.numbers.dtype.kind not in "iu":
            raise DataError(
                f"{path} holds {self.pictures.dtype} {shape}, which are no pictures of bytes. Save "
                "them as PNG files, in a folder of each class."
            )
        if self.numbers.ndim > 1:
            raise DataError(
                f"{path} has {self.numbers.shape[1]} labels a picture. Save pictures as PNG files, "
                "and labels as a table of the files with a column of 0 and 1 for each."
            )
        if shape[0] != count:
            raise DataError(f"{path} holds {shape[0]} pictures and {count} labels. Fetch it again.")
        if self.names and count and self.numbers.max() >= len(self.names):
            raise DataError(
                f"{path} has a class of number {self.numbers.max()} (from 0), and only "
                f"{len(self.names)} have names. Fetch it again."
            )
        for picture, number in zip(self.pictures, self.numbers.tolist(), strict=True):
            yield Pixels(picture), self.names[number] if self.names else str(number), self.word


def read(path: Path) -> list[TableInMemory]:
    """The table of a file of pictures, with the classes that it or a file beside it says.

    Raises DataError for a file that is cut off, and for classes of others than these pictures.
    """
    form = _form(path)
    if form is None:
        raise DataError(f"{path} holds no pictures with labels. Give a folder that has both.")
    every = form(path)
    rows = list(enumerate(row for arrays in every for row in arrays.rows(path)))
    names = ["image", "label", "split"] if every[0].word else ["image", "label"]
    return [TableInMemory(path, names, rows, "picture", every[0].remark)]


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
        return "test", _TEST, re.sub(r"[-_.]+", "_", stem.removesuffix(_TEST)).strip("_")
    split, word, before = split_in(stem) or ("train", "train", "")
    return split, word, before


def _form(path: Path) -> Callable[[Path], Sequence[_Arrays]] | None:
    """What reads a file, by its name and the files beside it."""
    if path.suffix == ".npz":
        return _npz if _splits_in(path) else None
    if _SVHN.fullmatch(path.name):
        return _svhn
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


def _labels_of(path: Path) -> Path | None:
    """The file of labels beside one of pictures in MNIST's form, packed or not."""
    plain = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    return next((p for n in (plain, f"{plain}.gz") if (p := path.with_name(n)).is_file()), None)


def _idx(path: Path) -> Sequence[_Arrays]:
    """Pictures row by row; those of EMNIST column by column (Cohen et al., 2017)."""
    pictures, numbers = _idx_array(path), _idx_array(_labels_of(path) or path)
    if "emnist" not in path.name.lower():
        return [_Arrays(pictures, numbers)]
    return [_Arrays(pictures.transpose(0, 2, 1), numbers, remark=_TURNED)]


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
            content += file.read(1)  # none, behind what a packed file checks itself by
    except _BROKEN as error:
        raise _unreadable(path, error) from error
    if size != len(content):
        raise _cut_off(path)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _cifar(path: Path, labels: int, names: str) -> Sequence[_Arrays]:
    """Records of a byte for each label, the finest last, and three planes (Krizhevsky, 2009)."""
    records = _records(path, labels + _RECORD)
    pictures = records[:, labels:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    remark = "the finer of two classes is the label" if labels > 1 else ""
    classes = _names(path.with_name(names))
    return [_Arrays(pictures, records[:, labels - 1], classes, remark=remark)]


def _stl(path: Path) -> Sequence[_Arrays]:
    """Three planes a picture, column by column, and classes from 1 (Coates et al., 2011)."""
    planes = _records(path, 3 * _STL_SIDE**2).reshape(-1, 3, _STL_SIDE, _STL_SIDE)
    numbers = _records(path.with_name(path.name[:-5] + "y.bin"), 1)[:, 0].astype(int) - 1
    names = _names(path.with_name("class_names.txt"))
    return [_Arrays(planes.transpose(0, 3, 2, 1), numbers, names)]


def _svhn(path: Path) -> Sequence[_Arrays]:
    """Pictures (H, W, 3, N), and digits of which 10 stands for 0 (Netzer et al., 2011)."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path, variable_names=["X", "y"])
        pictures, numbers = content["X"].transpose(3, 0, 1, 2), content["y"][:, 0] % 10
        return [_Arrays(pictures, numbers, remark=_EXTRA if path.stem[:5] == "extra" else "")]
    except (*_BROKEN, IndexError, MatReadError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _npz(path: Path) -> Sequence[_Arrays]:
    """An archive of an array of pictures and one of labels for each split."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return [
                _Arrays(
                    content[pictures],
                    _single(content[labels]),
                    word=word,
                    remark=f"`{pictures}` holds pictures and `{labels}` their classes",
                )
                for word, (pictures, labels) in _splits_in(path).items()
            ]
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def _single(labels: np.ndarray) -> np.ndarray:
    return labels[:, 0] if labels.shape[1:] == (1,) else labels


def _splits_in(path: Path) -> dict[str, tuple[str, str]]:
    """The names of the arrays of each split in an archive; none where these are rows of numbers."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {each.filename: each.file_size for each in archive.infolist()}
            if sum(sizes.values()) > _LARGEST:
                return {}
            pairs = [(w, (p.format(w), n.format(w))) for w in _WORDS for p, n in _KEYS]
            return {
                word: (pictures, labels)
                for word, (pictures, labels) in pairs
                if {f"{pictures}.npy", f"{labels}.npy"} <= sizes.keys()
                and _axes(archive, f"{pictures}.npy") != 2
            }
    except _BROKEN:
        return {}


def _axes(archive: zipfile.ZipFile, name: str) -> int:
    with archive.open(name) as file:
        forms = np.lib.format
        first = forms.read_magic(file) == (1, 0)
        header_of = forms.read_array_header_1_0 if first else forms.read_array_header_2_0
        return len(header_of(file)[0])


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


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} can't be read ({reason(error)}). Fetch it again.")


def _cut_off(path: Path) -> DataError:
    return DataError(f"{path} is cut off, or is no array of pictures. Fetch it again.")
