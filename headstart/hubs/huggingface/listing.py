"""What is on this machine: the Hub's cache, and folders beside us. Opens no connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Any, Final

from huggingface_hub import constants, scan_cache_dir
from huggingface_hub.errors import CacheNotFound

from headstart.contracts import Card
from headstart.errors import HeadstartError
from headstart.hubs.huggingface.detectors.families import FAMILIES as DETECTORS
from headstart.hubs.huggingface.families import FAMILIES as TEXTS
from headstart.hubs.huggingface.families import SOUNDS
from headstart.hubs.huggingface.fetching import ADAPTED, INDEX, MARKS, is_adapter, weight_files
from headstart.hubs.huggingface.pictures.families import FAMILIES as PICTURES
from headstart.hubs.huggingface.pictures.families import WHOLE
from headstart.hubs.huggingface.reading import (
    ADAPTER,
    CONFIG,
    PROCESSORS,
    WEIGHTS,
    card,
    read_json,
)
from headstart.hubs.huggingface.sentences import STATIC, first_module
from headstart.hubs.huggingface.sequences import KINDS as WRITERS
from headstart.hubs.huggingface.speech import WRITERS as SPEAKING
from headstart.loading.weights.sizes import numbers_in_header

_RECORD: Final = "headstart.json"  # of our own artifacts, which another hub lists


def cards(pattern: str) -> Iterator[Card]:
    """Describe the encoders and detectors whose name, or folder, matches the shell pattern."""
    marked = {path.parent for mark in MARKS for path in Path().glob(f"*/{mark}")}
    for folder in sorted(marked):
        if fnmatchcase(folder.name, pattern) and not (folder / _RECORD).exists():
            yield from _described(folder.name, folder)
    for name, folder in _cached():
        if fnmatchcase(name.partition("@")[0], pattern):
            yield from _described(name, folder)


def looked_at() -> tuple[str, ...]:
    """What decides what `cards` finds."""
    kinds = [f"{name}{end}" for name in WEIGHTS for end in ("", INDEX)]
    described = (*MARKS, *PROCESSORS, _RECORD, "README.md")
    beside = [f"./*/{name}" for name in (*described, *kinds, ADAPTED)]
    beside += [f"./*/0_*/{name}" for name in (CONFIG, *kinds)]
    cached = f"{escape(constants.HF_HUB_CACHE)}/models--*"
    variables = ("$HF_HUB_CACHE", "$HUGGINGFACE_HUB_CACHE", "$HF_HOME", "$XDG_CACHE_HOME", "$HOME")
    return (*beside, f"{cached}/refs/*", f"{cached}/snapshots/*/*", *variables)


def _cached() -> list[tuple[str, Path]]:
    """Names in the Hub's cache with their folders, and a commit where that isn't the main one."""
    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    names = []
    for repository in repositories:
        if repository.repo_type != "model":
            continue
        newest = sorted(repository.revisions, key=lambda each: each.last_modified, reverse=True)
        for revision in sorted(newest, key=lambda each: "main" not in each.refs)[:1]:
            commit = "" if "main" in revision.refs else f"@{revision.commit_hash}"
            names.append((f"{repository.repo_id}{commit}", revision.snapshot_path))
    return sorted(names)


def _described(name: str, folder: Path) -> Iterator[Card]:
    try:
        encoder, config, files = _contents(folder, name)
    except HeadstartError:
        return
    kind = config.get("model_type")
    heard = (*SOUNDS, *SPEAKING)
    kinds = (*TEXTS, *WRITERS, *PICTURES, *WHOLE, *heard, *DETECTORS)
    if kind is not None and kind not in kinds:
        return
    reads_text = kind is None or kind in (*TEXTS, *WRITERS)
    licence, trained_on = card(folder)
    counts = [numbers_in_header(file) for file in files]
    yield Card(
        reference=f"hf:{name}",
        modality="text" if reads_text else "audio" if kind in heard else "image",
        parameters=None if None in counts else sum(filter(None, counts)) or None,
        input=_tokens(config) if reads_text else _pixels(config, encoder),
        licence=licence,
        trained_on=trained_on,
        at_hand=bool(files),
        path=_pattern(files),
    )


def _contents(folder: Path, name: str) -> tuple[Path, dict[str, Any], list[Path]]:
    """Where the network is described, its config.json, and the files of weights that are there.

    Of an adapter, that of the model it is for. Raises HeadstartError where nothing can be said.
    """
    first = first_module(folder)
    encoder = folder / (first.place if first else "")
    own: list[Path] = []
    if is_adapter(encoder):
        own = [encoder / ADAPTED] if (encoder / ADAPTED).is_file() else []
        base = read_json(encoder / ADAPTER).get("base_model_name_or_path")
        encoder = Path(str(base)) if isinstance(base, str) else encoder
    static = first is not None and first.kind == STATIC
    config = {} if static else read_json(encoder / CONFIG)
    if not static and config.get("model_type") is None:
        raise HeadstartError(f"{encoder} describes no network. Give another folder.")
    try:
        return encoder, config, own or weight_files(encoder, name)
    except HeadstartError:
        return encoder, config, []


def _tokens(config: Mapping[str, Any]) -> str:
    longest = config.get("max_position_embeddings")
    return f"{longest} tokens" if isinstance(longest, int) else ""


def _pixels(config: Mapping[str, Any], encoder: Path) -> str:
    """Channels, height and width of pictures, where they are plain to see."""
    tower = config.get("vision_config", config)
    channels = tower.get("num_channels", 3) if isinstance(tower, Mapping) else 3
    for name in PROCESSORS:
        try:
            settings = read_json(encoder / name)
        except HeadstartError:
            continue
        for key in ("crop_size", "size"):
            side = settings.get(key)
            side = side.get("height") if isinstance(side, Mapping) else side
            if isinstance(side, int):
                return f"{channels}x{side}x{side}"
    return ""


def _pattern(files: list[Path]) -> str | None:
    """What matches these files alone, of one folder."""
    if len(files) < 2:
        return escape(str(files[0])) if files else None
    return f"{escape(str(files[0].parent))}/*{files[0].suffix}"
