"""Finding a model's files: a folder, the Hub's cache on this machine, or the Hub itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path
from typing import Final, final

from huggingface_hub import constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from headstart.errors import HeadstartError, WeightsError, named_reason
from headstart.hubs.huggingface.reading import (
    ADAPTER,
    BESIDE,
    CONFIG,
    PROCESSORS,
    TOKENIZER,
    VOCABULARIES,
    WEIGHTS,
    read_json,
)
from headstart.loading.downloads import cut_off, file_sha256
from headstart.loading.refusals import without_download

INDEX: Final = ".index.json"
ADAPTED: Final = "adapter_model.safetensors"
MARKS: Final = (CONFIG, "modules.json", ADAPTER)  # of a model's folder, one at least
_DESCRIPTION: Final = (
    *(CONFIG, ADAPTER, "README.md", "modules.json", "*/config.json", "sentence_*_config.json"),
    *("config_sentence_transformers.json", TOKENIZER, *BESIDE, *VOCABULARIES, *PROCESSORS),
    *(f"0_*/{name}" for name in (TOKENIZER, *BESIDE, *VOCABULARIES, "sentence_*_config.json")),
    "[1-9]_*/pytorch_model.bin",
)
_PATTERNS: Final[Mapping[str, tuple[str, ...]]] = {
    "model.safetensors": (
        *("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.*", ADAPTED),
        "[0-9]_*/model.safetensors",
    ),
    "pytorch_model.bin": (
        *("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.*"),
        "0_*/pytorch_model.bin",
    ),
}
_SHA256: Final = re.compile("[0-9a-f]{64}")
_QUIET: Final = 2.0  # seconds before a download shows its progress; what is at hand takes less


@final
@dataclass(frozen=True)
class Place:
    """Where a model's files lie, and of which commit they are where they came from the Hub."""

    folder: Path
    commit: str | None = None


@final
class _Bar(tqdm):
    """A progress bar that only a download of some length shows."""

    __init__ = partialmethod(tqdm.__init__, delay=_QUIET)


def locate(name: str, revision: str | None, weights: bool) -> Place:
    """The folder of a model by its path or its name on the Hub, downloaded where it must be.

    With `weights` its weights are there too. Raises HeadstartError for a folder or a name that
    can't be one, WeightsError where the Hub doesn't give the files.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not _is_model(folder):
            inner = [each for each in folder.iterdir() if each.is_dir() and _is_model(each)]
            newest = max(inner, key=lambda each: each.stat().st_mtime, default=None)
            instance = f", such as {newest}" if newest else ""
            raise HeadstartError(
                f"{folder} has no {CONFIG}. Give a folder saved by transformers, "
                f"sentence-transformers or peft{instance}."
            )
        return Place(folder)
    if name.startswith((".", "/", "~", "\\")) or name.count("/") > 1:
        raise HeadstartError(f"{name} is not a folder. Give one with a {CONFIG}.")
    return _from_hub(name, revision, weights)


def weight_files(folder: Path, what: str) -> list[Path]:
    """The files that hold the folder's weights: safetensors if there are any, or else .bin.

    Raises WeightsError where there are none, or some of them are missing.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}{INDEX}"
        if index.is_file():
            return _shards(index)
    raise WeightsError(f"{what} has no {' or '.join(WEIGHTS)}. {without_download(what)}")


def _is_model(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in MARKS)


def is_adapter(folder: Path) -> bool:
    """Whether peft saved here what is added to another model, and not the whole of it."""
    return (folder / ADAPTER).is_file() and not any((folder / name).is_file() for name in WEIGHTS)


def _shards(index: Path) -> list[Path]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or any("/" in str(name) for name in names.values()):
        raise WeightsError(f"{index} names no files of weights. Copy or download it again.")
    files = [index.parent / str(name) for name in sorted(set(names.values()))]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise WeightsError(f"{index} names {missing[0]}, which is missing. Download it again.")
    return files


def _from_hub(name: str, revision: str | None, weights: bool) -> Place:
    what = f"hf:{name}" + (f"@{revision}" if revision else "")
    place = _at_hand(name, revision)
    if not cut_off(constants.ENDPOINT):
        place = _download(name, revision, weights, what)
    if place is None:
        raise WeightsError(
            f"{what} is not on this machine, and there is no network. "
            "Give a local folder, or a model that `headstart backbones 'hf:*'` lists."
        )
    if not _is_model(place.folder):
        raise HeadstartError(f"{what} has no {CONFIG}. Give a model of transformers.")
    if weights:
        if not _has_weights(place.folder):
            weight_files(place.folder, what)
        kinds = [pattern for patterns in _PATTERNS.values() for pattern in patterns]
        for file in sorted({path for kind in kinds for path in place.folder.glob(kind)}):
            _verify(file, what)
    return place


def _has_weights(folder: Path, kinds: Sequence[str] = WEIGHTS) -> bool:
    """Whether the network's weights are there, in the folder or in that of its first module."""
    names = [
        f"{place}{kind}{end}" for kind in kinds for end in ("", INDEX) for place in ("", "0_*/")
    ]
    return any(any(folder.glob(name)) for name in (*names, ADAPTED))


def _at_hand(name: str, revision: str | None) -> Place | None:
    try:
        paths = [try_to_load_from_cache(name, mark, revision=revision) for mark in MARKS]
    except HFValidationError as error:
        raise HeadstartError(
            f"hf:{name} is neither a folder nor a name on the Hub. "
            "Give one such as hf:distilbert-base-multilingual-cased."
        ) from error
    folders = [Path(path).parent for path in paths if isinstance(path, str)]
    return Place(folders[0], folders[0].name) if folders else None


def _download(name: str, revision: str | None, weights: bool, what: str) -> Place:
    patterns = list(_DESCRIPTION)
    try:
        for kind in WEIGHTS if weights else ("",):
            patterns += _PATTERNS.get(kind, ())
            path = snapshot_download(
                name, revision=revision, allow_patterns=patterns, tqdm_class=_Bar
            )
            folder = Path(path)
            if not weights or _has_weights(folder, (kind,)):
                break
    except Exception as error:  # the network, the disk and the Hub raise nearly anything
        raise WeightsError(_refusal(error, what)) from error
    return Place(folder, folder.name)


def _refusal(error: Exception, what: str) -> str:
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # what kept it from looking further than this machine
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError):
        return f"{what} asks for its terms to be accepted. Do so on its page, then log in."
    if isinstance(error, RevisionNotFoundError):
        return f"{what} names a revision that is not on the Hub. Leave it out, or give another."
    if status in (401, 403):
        return (
            f"{what} is not on the Hub, or not for everyone to read ({status}). "
            "Check the name, or log in with `hf auth login`."
        )
    if status == 404:
        return f"{what} is not on the Hub ({status}). Check the name."
    return (
        f"The files of {what} could not be fetched ({named_reason(error)}). "
        "Try again; what arrived whole is kept."
    )


def _verify(file: Path, what: str) -> None:
    """Compare a cached file with its sha256 on the Hub, which names what the cache links to."""
    expected = Path(os.readlink(file)).name if file.is_symlink() else ""
    if not _SHA256.fullmatch(expected):
        return  # copied, as on file systems without links, or kept in git and without a sha256
    if file_sha256(file) != expected:
        blob = file.parent / os.readlink(file)
        for damaged in (file, blob):
            damaged.unlink(missing_ok=True)
        raise WeightsError(
            f"{file.name} of {what} arrived damaged: its sha256 is not what the Hub says. "
            "It was removed; try again."
        )
