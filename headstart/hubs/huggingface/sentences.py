"""The files by which sentence-transformers knows how a model pools (Reimers and Gurevych 2019)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.after import KINDS, After, after
from headstart.hubs.huggingface.pooling import POOLS
from headstart.hubs.huggingface.reading import CONFIG, dumped, read_json, text_of
from headstart.loading.refusals import unreadable

MODULES: Final = "modules.json"
STATIC: Final = "StaticEmbedding"
_TRANSFORMER: Final = "Transformer"
_SETTINGS: Final = "config_sentence_transformers.json"
_OWN: Final = "sentence_*_config.json"  # of its Transformer, beside config.json
_LIBRARY: Final = "sentence_transformers."
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
# What its Transformer may be told that changes nothing here, or is read elsewhere.
_IDLE: Final = frozenset(
    """max_seq_length do_lower_case modality_config module_output_name transformer_task
    unpad_inputs query_length document_length query_expansion""".split()
)
_READS: Final = {"method": "forward", "method_output_name": "last_hidden_state"}
_ADVICE: Final = "Choose how to pool with ?pooling=mean."


@final
@dataclass(frozen=True)
class Entry:
    """An entry of modules.json: what kind it is, and in which folder it lies."""

    kind: str
    place: str


@final
@dataclass(frozen=True)
class Sentences:
    """How a sentence encoder reads and pools texts, in the order of its modules.

    `prompt` stands before every text, `without_prompt` says that it is left out of pooling,
    `lower` that texts are put in lower case first; `width` cuts features, where it is given.
    """

    static: bool  # a vector for each token, without a network
    ways: tuple[str, ...]
    after: tuple[After, ...]
    prompt: str
    without_prompt: bool
    lower: bool
    width: int | None
    files: Mapping[str, bytes]


def first_module(folder: Path) -> Entry | None:
    """Where the network lies that modules.json puts first, None where nothing says so.

    Raises HeadstartError where the file can't be used, and nothing else says what is there.
    """
    path = folder / MODULES
    if not path.is_file():
        return None
    try:
        return _modules(path)[0]
    except HeadstartError:
        if not (folder / CONFIG).is_file():
            raise
        return None  # `sentences` says so, where it is not overruled


def own_settings(encoder: Path) -> dict[str, Any]:
    """What sentence-transformers keeps of its Transformer beside config.json."""
    return next((read_json(path) for path in sorted(encoder.glob(_OWN))), {})


def sentences(folder: Path, what: str) -> Sentences | None:
    """What the folder's modules.json says, None where there is none.

    Raises HeadstartError, naming the module, for what can't be kept.
    """
    path = folder / MODULES
    if not path.is_file():
        return None
    modules = _modules(path)
    first, rest = modules[0], modules[1:]
    static = first.kind == STATIC
    if first.kind not in (_TRANSFORMER, STATIC):
        raise HeadstartError(
            f"{what} begins with the module {first.kind}, which can't be kept. {_ADVICE}"
        )
    pooling: dict[str, Any] = {}
    if not static:
        if not rest or rest[0].kind != "Pooling":
            kind = f"the module {rest[0].kind}" if rest else "no module"
            raise HeadstartError(f"{what} has {kind} where its Pooling is expected. {_ADVICE}")
        pooling = read_json(folder / rest[0].place / "config.json")
        rest = rest[1:]
        _check_own(own_settings(folder / first.place), what)
    odd = [module.kind for module in rest if module.kind not in KINDS]
    if odd:
        raise HeadstartError(f"{what} has the module {odd[0]}, which can't be kept. {_ADVICE}")
    path = folder / _SETTINGS
    settings = read_json(path) if path.is_file() else {}
    return Sentences(
        static=static,
        ways=("mean",) if static else _ways(pooling, what),
        after=tuple(after(m.kind, m.place, folder, what) for m in rest),
        prompt=_prompt(settings, what),
        without_prompt=pooling.get("include_prompt") is False,
        lower=bool(own_settings(folder / first.place).get("do_lower_case")) and not static,
        width=_width(settings, what),
        files=_files(folder, modules),
    )


def written(ways: Sequence[str], width: int, length: int) -> dict[str, bytes]:
    """The same files for a model that came without: tokens of `width` numbers, `length` at most."""
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for number, (path, kind) in enumerate([("", _TRANSFORMER), (_POOLING, "Pooling")])
    ]
    pooling = {flag: way in ways for flag, way in _FLAGS.items()}
    return {
        MODULES: dumped(modules),
        f"{_POOLING}/config.json": dumped({"word_embedding_dimension": width, **pooling}),
        "sentence_bert_config.json": dumped({"max_seq_length": length, "do_lower_case": False}),
    }


def _modules(path: Path) -> list[Entry]:
    """The modules in their order, each in a folder of its own, or the first in this one."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(str(entry["type"]), str(entry.get("path") or "")) for entry in listed]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise unreadable(path, error) from error
    for kind, place in pairs:
        if place and (not place.replace("_", "").replace("-", "").isalnum()):
            raise HeadstartError(f"{path} points out of its folder to {place}. Don't use it.")
        if not kind.startswith(_LIBRARY):
            raise HeadstartError(
                f"{path} names the module {kind}, which is code that comes with the model and is "
                f"never run. {_ADVICE}"
            )
    if not pairs or len({place for _, place in pairs}) < len(pairs):
        raise HeadstartError(f"{path} names no modules, or two in one folder. Download it again.")
    return [Entry(kind.rpartition(".")[2], place) for kind, place in pairs]


def _check_own(settings: Mapping[str, Any], what: str) -> None:
    """Refuse settings of the Transformer module that would change what it answers."""
    odd = [name for name, value in settings.items() if value and name not in _IDLE]
    task = settings.get("transformer_task", "feature-extraction")
    modalities = settings.get("modality_config")
    reads = modalities.get("text") if isinstance(modalities, Mapping) else _READS
    fits = isinstance(reads, Mapping) and all(reads.get(n) == v for n, v in _READS.items())
    if odd or task != "feature-extraction" or not fits:
        name = odd[0] if odd else "modality_config" if not fits else "transformer_task"
        raise HeadstartError(
            f"{what} has a Transformer module with {name!r}, which can't be kept. {_ADVICE}"
        )


def _ways(config: Mapping[str, Any], what: str) -> tuple[str, ...]:
    modes: Any = config.get("pooling_mode")
    if modes is None:
        modes = [way for flag, way in _FLAGS.items() if config.get(flag)] or ["mean"]
    ways = (modes,) if isinstance(modes, str) else tuple(modes) if isinstance(modes, list) else ()
    odd = [way for way in ways if way not in POOLS]
    if odd or not ways:
        raise HeadstartError(
            f"{what} has a Pooling module that pools by {odd[0] if odd else modes!r}, "
            f"which is not known. {_ADVICE}"
        )
    return ways


def _prompt(settings: Mapping[str, Any], what: str) -> str:
    """The text that the model puts before each of its texts when nobody names another."""
    name, prompts = settings.get("default_prompt_name"), settings.get("prompts") or {}
    if name is None:
        return ""
    prompt = prompts.get(name, 0) if isinstance(prompts, Mapping) else 0
    if prompt is not None and not isinstance(prompt, str):
        raise HeadstartError(
            f"{what} has a default prompt {name!r} that is not among its prompts. "
            f"Mend its {_SETTINGS}."
        )
    return prompt or ""


def _width(settings: Mapping[str, Any], what: str) -> int | None:
    width = settings.get("truncate_dim")
    if width is not None and (not isinstance(width, int) or width < 1):
        raise HeadstartError(
            f"{what} has truncate_dim={width!r}, which is no number of features. "
            f"Mend its {_SETTINGS}."
        )
    return width


def _files(folder: Path, modules: Sequence[Entry]) -> dict[str, bytes]:
    """All files that say how to pool, as they are when the network itself lies in the root."""
    first, rest = modules[0], modules[1:]
    content = (folder / MODULES).read_bytes()
    if first.place:
        listed = json.loads(content)
        listed[0]["path"] = ""
        content = dumped(listed)
    files = {MODULES: content}
    for name in (_SETTINGS, *(f"{module.place}/config.json" for module in rest)):
        if (folder / name).is_file():
            files[name] = text_of(folder / name).encode()
    for path in sorted((folder / first.place).glob(_OWN)):
        files[path.name] = text_of(path).encode()
    return files
