"""Which engine was the fastest for a network on this machine: one small file, shared by runs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from headstart.features.engine import openvino
from headstart.features.store import cache_folder


def file() -> Path:
    """Where the winners stand."""
    return cache_folder() / "engines.json"


def machine(device: torch.device) -> dict[str, object]:
    """What speed depends on besides the network."""
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "openvino": openvino.version(),
    }


def place(question: Mapping[str, object]) -> str:
    """The entry that answers this question."""
    text = json.dumps(dict(question), sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def recall(entry: str) -> str | None:
    """The name of the engine that won, None where it isn't known."""
    found = _read().get(entry)
    name = found.get("engine") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


def remember(entry: str, engine: str, speeds: Mapping[str, float]) -> None:
    """Keep a winner, and the items a second of all that ran; nothing where it can't be written."""
    path = file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            known = _read() | {entry: {"engine": engine, "items_per_second": dict(speeds)}}
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            beside.write_text(json.dumps(known, indent=1), encoding="utf-8")
            os.replace(beside, path)
    except OSError:
        return  # the next run measures again


def _read() -> dict[str, Any]:
    try:
        found = json.loads(file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or damaged: start anew
        return {}
    return found if isinstance(found, dict) else {}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
