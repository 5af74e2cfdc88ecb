"""What was found out once and holds as long as nothing changes that it depends on.

Small JSON files in the cache, named by a hash of all that. One that is damaged, or can't be
written, is as one that isn't there; each appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from uuid import uuid4

from headstart.runtime.places import cache_folder

FOLDER = "known"
LIBRARIES = ("headstart", "torch", "torchvision", "timm", "transformers", "openvino", "numpy")


def recall(kind: str, key: Mapping[str, object]) -> dict[str, Any] | None:
    """What is known under this kind and key, on this machine with these libraries."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(_place(kind, key).read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else None
    return None


def remember(kind: str, key: Mapping[str, object], content: Mapping[str, object]) -> None:
    """Keep what holds for this kind and key; nothing where it can't be written."""
    path = _place(kind, key)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps(dict(content)), encoding="utf-8")
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def make_room(newest: Path, most: int) -> None:
    """Remove folders beside the newest, the longest unused first, until all are `most` bytes."""
    sizes: dict[Path, int] = {}
    for folder in newest.parent.iterdir():
        if folder.is_dir():
            sizes[folder] = sum(file.stat().st_size for file in folder.iterdir())
    total = sum(sizes.values())
    for folder in sorted(sizes, key=lambda folder: folder.stat().st_mtime):
        if total <= most or folder == newest:
            break
        shutil.rmtree(folder, ignore_errors=True)
        total -= sizes[folder]


def digest(value: object) -> str:
    """A short hash of what JSON can hold."""
    text = json.dumps(value, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()


@cache
def processor() -> str:
    """What this machine's processor is called, and a hash of what it can do, where that is told."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    facts = dict(
        (name.strip(), value.strip())
        for name, _, value in (line.partition(":") for line in text.splitlines())
    )
    abilities = facts.get("flags") or facts.get("Features")
    name = facts.get("model name") or platform.processor()
    return f"{name} {digest(sorted(abilities.split()))}" if abilities else name


@cache
def versions() -> dict[str, str]:
    """The installed versions of what computes."""
    versions_by_name = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            versions_by_name[name] = version(name)
    return versions_by_name


def _place(kind: str, key: Mapping[str, object]) -> Path:
    whole = [dict(key), {"cpu": processor(), "versions": versions()}]
    return cache_folder() / FOLDER / f"{kind}-{digest(whole)}.json"
