"""Arrays in an archive that `numpy.savez` wrote, as JAX's networks come: read without pickles."""

from __future__ import annotations

import zipfile
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Final

import numpy as np

from headstart.errors import WeightsError, reason
from headstart.loading.weights.tensors import State
from headstart.runtime.damage import DAMAGE

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor

_END: Final = ".npy"
_MOST_ARRAYS: Final = 1 << 16
_TIMES: Final = 20  # the archive's size that its arrays may have in all: weights hardly shrink
_SLACK: Final = 1 << 24  # bytes beyond that, as small files of zeros shrink to nothing
_BFLOAT16: Final = "V2"  # what NumPy makes of JAX's numbers of that kind
_HEADERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_SAVE: Final = "numpy.savez('weights.npz', **arrays)"


def read(path: Path) -> State:
    """The arrays of numbers by name; texts are passed over.

    Raises WeightsError for what is damaged, holds Python objects, or is far larger than the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(_END)]
            whole = sum(each.file_size for each in members)
            if len(members) > _MOST_ARRAYS or whole > _TIMES * path.stat().st_size + _SLACK:
                raise WeightsError(
                    f"{path} holds {len(members):,} arrays of {whole:,} bytes, far more than such "
                    f"a file of weights has. Save them anew, by {_SAVE}."
                )
            state: State = {}
            for each in members:
                name = each.filename.removesuffix(_END)
                with archive.open(each) as first, archive.open(each) as again:
                    kind = _kind(first, each.file_size)
                    if kind.hasobject:
                        raise WeightsError(
                            f"{path} holds Python objects ({name[:80]}), which only code that runs "
                            f"could open. Save plain arrays, by {_SAVE}."
                        )
                    if kind.kind in "biufc" or kind.str.endswith(_BFLOAT16):
                        array = np.lib.format.read_array(again, allow_pickle=False)
                        state[name] = _tensor(array)
    except (*DAMAGE, OSError, TokenError) as error:
        raise WeightsError(
            f"{path} is not a whole archive of NumPy arrays ({reason(error)}). Copy or download it "
            "again."
        ) from None
    if not state:
        raise WeightsError(f"{path} holds no array of numbers. Save them by {_SAVE}.")
    return state


def _kind(file: IO[bytes], size: int) -> np.dtype:
    """The type of an array's numbers. Raises ValueError where its header promises other bytes."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"an array is of format {version}")
    shape, _, kind = _HEADERS[version](file)
    if (
        not kind.hasobject
        and file.tell() + kind.itemsize * int(np.prod(shape, dtype=object)) != size
    ):
        raise ValueError("an array is not as long as its header says")
    return kind


def _tensor(array: np.ndarray) -> Tensor:
    import torch

    if array.dtype.kind == "V":
        return torch.from_numpy(array.view(np.uint16).copy()).view(torch.bfloat16)
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    return torch.from_numpy(np.asarray(array, array.dtype.newbyteorder("="), order="C"))
