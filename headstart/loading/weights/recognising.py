"""What a file is, by what is in it: its name says nothing of what may be done with it."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Final

from headstart.errors import WeightsError

SAFETENSORS: Final = "safetensors"
TORCH: Final = "torch"
INDEX: Final = "index"
NUMPY: Final = "numpy"
_LONGEST_HEADER: Final = 100_000_000  # bytes, as the library of safetensors has it
_OLD_TORCH: Final = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # before torch 1.6, a pickled number
_SAVE: Final = "torch.save(model.state_dict(), 'weights.pth')"
_AGAIN: Final = f"Save the weights again where they were made, with {_SAVE}"
_UNPACK: Final = "Unpack it, and give the file of weights that is in it"
_BEGINNINGS: Final = (  # how a file begins, what it then is, and what to do
    (b"\x80", "a plain pickle, which wants to run code when opened", _AGAIN),
    (b"\x89HDF", "an HDF5 file", "Weights of Keras belong behind a network of Keras, keras:NAME"),
    (
        b"\x93NUMPY",
        "a single array of NumPy",
        "Save all by their names, with numpy.savez('weights.npz', **arrays)",
    ),
    (b"\x1f\x8b", "compressed by gzip", _UNPACK),
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ", "compressed by xz", _UNPACK),
    (b"7z\xbc\xaf", "an archive of 7-Zip", _UNPACK),
    (b"GGUF", "a GGUF file", "Give the weights that it was converted from"),
    (b"version https://git-lfs", "a pointer of Git LFS", "Fetch the file itself with git lfs pull"),
    (b"<", "a web page", "Download the file itself"),
)
_MEMBERS: Final = (  # the end of a member's name in a zip archive, what it then is, and what to do
    (
        "/code/.data/",
        "a TorchScript program",
        "Write file:NETWORK.pt where it is a whole network, or save the weights of the network "
        f"that it was made from, with {_SAVE}",
    ),
    (
        "/archive_format",
        "a program of torch.export",
        "Write file:NETWORK.pt2 where it is a whole network, or save the weights of the network "
        f"that it was made from, with {_SAVE}",
    ),
    (".weights.h5", "a network of Keras", "Write keras:FILE.keras"),
)


def kind(path: Path) -> str:
    """Which reader a file of weights is for: SAFETENSORS, TORCH, INDEX or NUMPY.

    Raises WeightsError saying what the file is instead, and what to do with it.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(512)
    except OSError as error:
        raise WeightsError(f"{path} can't be read ({error.strerror}). Check it.") from None
    length = int.from_bytes(begin[:8], "little")
    if begin[8:9] == b"{" and length <= _LONGEST_HEADER:
        return SAFETENSORS
    if begin[:2] == b"PK":
        return _in_zip(path)
    if begin[:1] == b"\x80" and _OLD_TORCH in begin[:32]:
        return TORCH
    if begin.lstrip()[:1] == b"{":
        return INDEX
    if begin[257:262] == b"ustar":
        raise _tar(path)
    raise _no_weights(path, begin)


def _no_weights(path: Path, begin: bytes) -> WeightsError:
    """What to say of a file that begins as no file of weights does."""
    for beginning, what, advice in _BEGINNINGS:
        if begin.lstrip().startswith(beginning):
            return WeightsError(f"{path} is {what}, not a file of weights. {advice}.")
    if path.suffix.lower() == ".safetensors":
        return WeightsError(f"{path} is not a whole safetensors file. Copy or download it again.")
    if path.suffix.lower() in (".onnx", ".tflite") or begin[4:8] == b"TFL3":
        return WeightsError(f"{path} is a graph, not a file of weights. Write graph:{path}.")
    return WeightsError(
        f"{path} is not a file of weights, or not a whole one. Give what torch.save or safetensors "
        "wrote, or copy it again."
    )


def _in_zip(path: Path) -> str:
    """TORCH or NUMPY where torch.save or numpy.savez wrote it; raises WeightsError otherwise."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise damaged(path) from None
    script = any("/code/" in name for name in names)
    for end, what, advice in _MEMBERS:
        if any(name.endswith(end) for name in names) or (script and end.startswith("/code/")):
            raise WeightsError(f"{path} is {what}, not a file of weights. {advice}.")
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return TORCH
    if any(name.endswith(".npy") for name in names):
        return NUMPY
    raise WeightsError(f"{path} is a zip archive, not a file of weights. {_UNPACK}.")


def _tar(path: Path) -> WeightsError:
    """What to say of a tar archive: torch wrote such until 2017, and trainers pack folders so."""
    try:
        with tarfile.open(path, "r:") as archive:
            first = [member.name for member in (archive.next(), archive.next()) if member]
    except (tarfile.TarError, OSError, ValueError):
        return damaged(path)
    if {"sys_info", "pickle", "storages", "tensors"} & set(first):
        return WeightsError(
            f"{path} is in the tar format that torch wrote before 2018, which it can open only by "
            f"running it. {_AGAIN}."
        )
    return WeightsError(f"{path} is a tar archive, not a file of weights. {_UNPACK}.")


def damaged(path: Path) -> WeightsError:
    """What to say of a file that begins well and can't be read."""
    return WeightsError(f"{path} can't be read as a state dict. Copy or download it again.")
