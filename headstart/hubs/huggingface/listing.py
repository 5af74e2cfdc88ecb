"""What is on this machine: the Hub's cache, and folders beside us. Opens no connection."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Final

from huggingface_hub import constants, scan_cache_dir
from huggingface_hub.errors import CacheNotFound
from safetensors import SafetensorError, safe_open

from headstart.contracts import Card
from headstart.errors import HeadstartError
from headstart.hubs.huggingface.families import FAMILIES
from headstart.hubs.huggingface.fetching import INDEX, weight_files
from headstart.hubs.huggingface.reading import CONFIG, WEIGHTS, card, read_json

_RECORD: Final = "headstart.json"  # of our own artifacts, which another hub lists


def cards(pattern: str) -> Iterator[Card]:
    """Describe the encoders whose name, or folder, matches the shell pattern."""
    for folder in sorted(path.parent for path in Path().glob(f"*/{CONFIG}")):
        if fnmatchcase(folder.name, pattern) and not (folder / _RECORD).exists():
            yield from _described(folder.name, folder)
    for name, folder in _cached():
        if fnmatchcase(name.partition("@")[0], pattern):
            yield from _described(name, folder)


def looked_at() -> tuple[str, ...]:
    """What decides what `cards` finds."""
    kinds = [f"{name}{end}" for name in WEIGHTS for end in ("", INDEX)]
    beside = [f"./*/{name}" for name in (CONFIG, _RECORD, "README.md", *kinds)]
    cached = f"{escape(constants.HF_HUB_CACHE)}/models--*"
    variables = ("$HF_HUB_CACHE", "$HUGGINGFACE_HUB_CACHE", "$HF_HOME", "$XDG_CACHE_HOME", "$HOME")
    return (*beside, f"{cached}/refs/*", f"{cached}/snapshots/*/*", *variables)


def _cached() -> list[tuple[str, Path]]:
    """Names in the Hub's cache with their folders, and a commit where that isn't the main one."""
    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    found = []
    for repository in repositories:
        if repository.repo_type != "model":
            continue
        newest = sorted(repository.revisions, key=lambda kept: kept.last_modified, reverse=True)
        for kept in sorted(newest, key=lambda kept: "main" not in kept.refs)[:1]:
            commit = "" if "main" in kept.refs else f"@{kept.commit_hash}"
            found.append((f"{repository.repo_id}{commit}", kept.snapshot_path))
    return sorted(found)


def _described(name: str, folder: Path) -> Iterator[Card]:
    try:
        config = read_json(folder / CONFIG)
    except HeadstartError:
        return
    if config.get("model_type") not in FAMILIES:
        return
    try:
        files = weight_files(folder, name)
    except HeadstartError:
        files = []
    longest, (licence, trained_on) = config.get("max_position_embeddings"), card(folder)
    yield Card(
        reference=f"hf:{name}",
        modality="text",
        parameters=_parameters(files),
        input=f"{longest} tokens" if isinstance(longest, int) else "",
        licence=licence,
        trained_on=trained_on,
        at_hand=bool(files),
        path=_pattern(files),
    )


def _pattern(files: list[Path]) -> str | None:
    """What matches these files alone, of one folder."""
    if len(files) < 2:
        return escape(str(files[0])) if files else None
    return f"{escape(str(files[0].parent))}/*{files[0].suffix}"


def _parameters(files: list[Path]) -> int | None:
    """How many numbers safetensors files hold, by their headers."""
    total = 0
    try:
        for file in files:
            with safe_open(file, framework="pt") as opened:
                total += sum(math.prod(opened.get_slice(n).get_shape()) for n in opened.keys())
    except (SafetensorError, OSError, ValueError):  # a .bin, or a damaged file
        return None
    return total or None
