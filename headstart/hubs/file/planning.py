"""A reference to a file of code, with everything settled before any of it runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.loading import refusals
from headstart.loading.preprocess import PictureInput
from headstart.loading.spec import LoadSpec, resolve
from headstart.loading.weights import SUFFIXES
from headstart.runtime import trust

_PYTHON: Final = ".py"
_KINDS: Final = {".pt": "TorchScript", ".ts": "TorchScript", ".pt2": "exported"}
_FORM: Final = "file:FILE.py:FUNCTION@WEIGHTS"
_WRITTEN: Final = ("ema", "trust", "network", "sha256", "pretrained")  # anew in every architecture


@final
@dataclass(frozen=True)
class FileOptions(PictureInput):
    """The options of a network in a file.

    `network` and `sha256` say what a saved model was made of.
    """

    head: bool = True
    ema: bool = True
    trust: bool = False
    network: str = ""
    sha256: str = ""
    pretrained: bool = True


@final
@dataclass(frozen=True)
class FileSpec(LoadSpec[FileOptions]):
    """What to open, and what to feed it with. `content` is what the user trusts."""

    path: Path
    function: str  # of a Python file, else empty
    content: bytes
    preprocess: dict[str, Any]

    @property
    def file(self) -> str:
        """The file's plain name, as a saved model keeps it."""
        return self.path.name

    @property
    def kind(self) -> str:
        """What the file is, where it is no Python file."""
        return _KINDS[self.path.suffix.lower()]

    @property
    def what(self) -> str:
        """How messages call the network."""
        return f"{self.path}:{self.function}" if self.function else str(self.path)

    @property
    def architecture(self) -> Reference:
        """What rebuilds the same network with random weights, here or in a saved model."""
        origin = {
            "trust": "true",
            "network": f"{self.file}:{self.function}" if self.function else self.file,
            "sha256": hashlib.sha256(self.content).hexdigest(),
        }
        return self.rebuilt({**self.options.changed(_WRITTEN), **origin})


def settle(reference: Reference) -> FileSpec:
    """Read the file and the options, and make sure that the user lets the file run.

    Raises HeadstartError for bad options, a missing, changed or unknown kind of file, and one that
    is not trusted; WeightsError for a file of weights alone.
    """
    options = resolve(FileOptions, reference)
    path, function = _place(reference.name, options)
    _check_kind(path, function)
    preprocess = options.preprocess(reference)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HeadstartError(
            f"{path} can't be read ({error.strerror}). Write {_FORM}, or give another file."
        ) from None
    sha256 = hashlib.sha256(content).hexdigest()
    trust.demand_same(path, sha256, options.sha256)
    trust.demand(reference, path, sha256)
    return FileSpec(reference, options, path, function, content, preprocess)


def _place(name: str, options: FileOptions) -> tuple[Path, str]:
    """The file, and the function in it if it is a Python file, by name or in a saved folder."""
    if not Path(name).is_dir():
        return _split(name)
    path, function = _split(options.network)
    if not options.network or path.name != str(path):
        raise refusals.folder(name, f"Write {_FORM}")
    return Path(name) / path, function


def _split(name: str) -> tuple[Path, str]:
    file, _, function = name.rpartition(":")
    if file.lower().endswith(_PYTHON):
        return Path(file), function
    return Path(name), ""


def _check_kind(path: Path, function: str) -> None:
    suffix = path.suffix.lower()
    if suffix == _PYTHON and not function:
        raise HeadstartError(f"{path} is given without a function. Write {_FORM}.")
    if suffix in SUFFIXES - _KINDS.keys():
        raise WeightsError(f"{path} holds weights without their network. Write {_FORM}.")
    if suffix != _PYTHON and suffix not in _KINDS:
        raise HeadstartError(
            f"{path} is not a network's file. Write {_FORM}, or give TorchScript (.pt, .ts) or an "
            "exported program (.pt2)."
        )
