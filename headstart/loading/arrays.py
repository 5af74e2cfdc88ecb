"""Tensors of a safetensors file as bytes: hashed and checked without torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from headstart.errors import WeightsError

_MOST_TENSORS: Final = 1 << 16  # those of the largest mixtures of experts are fewer
_NAMES: Final = {  # torch's of each kind, which hashes are made with
    "BF16": "bfloat16",
    "BOOL": "bool",
    "C64": "complex64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "I8": "int8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "U8": "uint8",
}
_REAL: Final = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
_EXPONENT: Final = 0x7F80  # of a number in bf16: all ones in one that is not finite


@final
@dataclass(frozen=True)
class Stored:
    """One tensor: its kind as the file calls it, its shape, and where its bytes lie in the file."""

    kind: str
    shape: tuple[int, ...]
    start: int
    stop: int


@final
@dataclass(frozen=True)
class Tensors:
    """A file's bytes, (B,) uint8, and the tensors in it by name."""

    content: np.ndarray
    stored: dict[str, Stored]

    def bytes_of(self, name: str) -> np.ndarray:
        """A tensor's bytes, (B,) uint8."""
        return self.content[self.stored[name].start : self.stored[name].stop]

    def digest(self) -> str:
        """What `headstart.loading.weights.digest` says of the same tensors."""
        total = hashlib.sha256()
        for name in sorted(self.stored):
            own = self.stored[name]
            total.update(_titled(name, _NAMES[own.kind], own.shape))
            total.update(self.bytes_of(name).data)
        return f"sha256:{total.hexdigest()}"

    def arrays(self) -> dict[str, np.ndarray]:
        """The tensors as arrays. Raises TypeError where NumPy has no such numbers."""
        return {
            name: self.bytes_of(name).view(np.dtype(_NAMES[own.kind])).reshape(own.shape)
            for name, own in self.stored.items()
        }

    def not_finite(self) -> str | None:
        """The first tensor that holds a number which isn't finite."""
        return next((name for name in self.stored if not self._finite(name)), None)

    def _finite(self, name: str) -> bool:
        kind, raw = self.stored[name].kind, self.bytes_of(name)
        if kind == "BF16":
            return bool(((raw.view(np.uint16) & _EXPONENT) != _EXPONENT).all())
        return kind not in _REAL or bool(np.isfinite(raw.view(_REAL[kind])).all())


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """The same hash of arrays by name."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        own = np.asarray(arrays[name], order="C")
        total.update(_titled(name, own.dtype.name, arrays[name].shape))
        total.update(own.reshape(-1).view(np.uint8).data)
    return f"sha256:{total.hexdigest()}"


def _titled(name: str, kind: str, shape: tuple[int, ...]) -> bytes:
    return f"{name} torch.{kind} {list(shape)}\n".encode()


def save(arrays: Mapping[str, np.ndarray], path: Path, metadata: Mapping[str, str]) -> None:
    """Write arrays as safetensors, as `whole` does."""
    whole_arrays = {name: np.asarray(own, order="C") for name, own in arrays.items()}
    with whole(path) as beside:
        save_file(whole_arrays, beside, metadata=dict(metadata))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where a file is to be written that then appears whole, or the old one stays.

    Raises WeightsError where the disk is full or the folder can't be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        os.chmod(beside, 0o666 & ~_umask())  # the library writes for the owner's eyes alone
        _flush(beside)
        os.replace(beside, path)
        _flush(path.parent)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} can't be written: {error}. Check the folder and its disk."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> Tensors:
    """The tensors of a file. Raises WeightsError where it is no whole safetensors file."""
    if not path.is_file():
        raise WeightsError(f"{path} is not a file. Give a .safetensors or .pth file of weights.")
    try:
        with safe_open(path, framework="np") as file:  # which checks all that the header says
            count = len(file.keys())
        if count > _MOST_TENSORS:
            raise WeightsError(
                f"{path} holds {count:,} tensors, more than any network has. Give another file."
            )
        content = np.fromfile(path, np.uint8)
        tensors = dict(_entries(content))
    except (SafetensorError, OSError, ValueError, LookupError) as error:
        raise WeightsError(
            f"{path} is not a whole safetensors file ({error}). Copy or download it again."
        ) from error
    unknown = next((each.kind for each in tensors.values() if each.kind not in _NAMES), None)
    if unknown is not None:
        raise WeightsError(f"{path} holds numbers of the kind {unknown}. Make the model again.")
    return Tensors(content, tensors)


def _entries(content: np.ndarray) -> list[tuple[str, Stored]]:
    """Names and places, as the header has them: a length, then JSON."""
    length = int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8 : 8 + length].tobytes())
    header.pop("__metadata__", None)
    return [
        (name, Stored(each["dtype"], tuple(each["shape"]), *_moved(each["data_offsets"], length)))
        for name, each in header.items()
    ]


def _moved(offsets: list[int], length: int) -> tuple[int, int]:
    start, stop = offsets
    return 8 + length + start, 8 + length + stop
