"""The files by which sentence-transformers knows how a model pools (Reimers and Gurevych 2019)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, final

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.pooling import POOLS
from headstart.hubs.huggingface.reading import read_json

MODULES: Final = "modules.json"
_KEPT: Final = ("sentence_*_config.json", "config_sentence_transformers.json")
_PACKAGE: Final = "sentence_transformers.models"
_POOLING: Final = "1_Pooling"
_FLAGS: Final = {  # how older versions write the ways, in the order they are put side by side
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@final
@dataclass(frozen=True)
class Sentences:
    """How a sentence encoder pools, and whether its features have length one."""

    ways: tuple[str, ...]
    unit: bool
    files: Mapping[str, bytes]


def sentences(folder: Path, what: str) -> Sentences | None:
    """What the folder's modules.json says, None where there is none.

    Raises HeadstartError for modules after the network that can't be kept.
    """
    path = folder / MODULES
    if not path.is_file():
        return None
    found = _modules(path)
    kinds = [kind for kind, _ in found]
    odd = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if odd or kinds[:2] != ["Transformer", "Pooling"] or found[0][1]:
        reason = f"a {odd[0]} module" if odd else "its modules in an order or place"
        raise HeadstartError(
            f"{what} has {reason} that can't be kept. Choose how to pool with ?pooling=mean."
        )
    ways = _ways(folder / found[1][1] / "config.json", what)
    names = [MODULES, *(f"{place}/config.json" for _, place in found if place)]
    names += [file.name for pattern in _KEPT for file in sorted(folder.glob(pattern))]
    files = {name: folder / name for name in names}
    kept = {name: file.read_bytes() for name, file in files.items() if file.is_file()}
    return Sentences(ways, "Normalize" in kinds, kept)


def written(ways: Sequence[str], width: int, length: int) -> dict[str, bytes]:
    """The same files for a model that came without: tokens of `width` numbers, `length` at most."""
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for number, (path, kind) in enumerate([("", "Transformer"), (_POOLING, "Pooling")])
    ]
    pooling = {flag: way in ways for flag, way in _FLAGS.items()}
    return {
        MODULES: _dumped(modules),
        f"{_POOLING}/config.json": _dumped({"word_embedding_dimension": width, **pooling}),
        "sentence_bert_config.json": _dumped({"max_seq_length": length, "do_lower_case": False}),
    }


def _modules(path: Path) -> list[tuple[str, str]]:
    """Kind and folder of each module, in their order."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        found = [(str(m["type"]).rpartition(".")[2], str(m.get("path") or "")) for m in listed]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise HeadstartError(
            f"{path} can't be read ({error}). Copy or download it again."
        ) from error
    for _, place in found:
        if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
            raise HeadstartError(f"{path} points out of its folder to {place}. Don't use it.")
    return found


def _ways(path: Path, what: str) -> tuple[str, ...]:
    config = read_json(path)
    named: Any = config.get("pooling_mode")
    if named is None:
        named = [way for flag, way in _FLAGS.items() if config.get(flag)] or ["mean"]
    ways = (named,) if isinstance(named, str) else tuple(named)
    for way in ways:
        if way not in POOLS:
            raise HeadstartError(
                f"{what} pools by {way!r}, which can't be kept. Choose one with ?pooling=mean."
            )
    return ways


def _dumped(content: Any) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
