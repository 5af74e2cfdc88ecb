"""Which engine was the fastest for a network on this machine: one small file, shared by runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from headstart.features.engine.candidates import Candidate, Job
from headstart.features.engine.interface import layout
from headstart.features.store import cache_folder
from headstart.runtime import known

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch

_AGREEMENT = "agreement"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # what says how many of them compute


def file() -> Path:
    """Where the winners stand."""
    return cache_folder() / "engines.json"


def machine(device: torch.device | str) -> dict[str, object]:
    """What speed depends on besides the network."""
    return {
        "cpu": known.processor(),
        "cores": os.cpu_count(),
        "threads": [os.environ.get(name) for name in _THREADS],
        "device": _called(str(device)),
        "versions": known.versions(),
    }


def _called(device: str) -> str:
    """What a device is called; several of a kind may differ."""
    if not device.startswith("cuda"):
        return device
    import torch

    return str(torch.cuda.get_device_name(device))


def place(question: Mapping[str, object]) -> str:
    """The entry that answers this question."""
    return known.digest(dict(question))


def recall(entry: str) -> str | None:
    """The name of the engine that won, None where it isn't known."""
    record = _read().get(entry)
    name = record.get("engine") if isinstance(record, dict) else None
    return name if isinstance(name, str) else None


def speed(entry: str, engine: str) -> float:
    """The items a second of an engine when the winner was looked for; 0 where that isn't known."""
    record = _read().get(entry)
    speeds = record.get("items_per_second") if isinstance(record, dict) else None
    value = speeds.get(engine) if isinstance(speeds, dict) else None
    return float(value) if isinstance(value, int | float) else 0.0


def agrees(job: Job, engine: Candidate) -> bool:
    """Whether an engine was seen to agree with plain torch on these stages, and is unchanged."""
    if job.key is None:
        return False
    record = known.recall(_AGREEMENT, _agreement(job, engine))
    form = engine.form()
    return record is not None and form is not None and record.get("form") == form


def agreed(job: Job, engine: Candidate) -> None:
    """Keep that an engine agrees with plain torch on these stages."""
    form = None if job.key is None else engine.form()
    if form is not None:
        known.remember(_AGREEMENT, _agreement(job, engine), {"form": form})


def _agreement(job: Job, engine: Candidate) -> dict[str, object]:
    key = {name: value for name, value in (job.key or {}).items() if name != "precision"}
    return {
        "engine": engine.name,
        "stages": key,
        "inputs": layout(job.sample),
        "machine": machine(job.device),
    }


def remember(entry: str, engine: str, speeds: Mapping[str, float]) -> None:
    """Keep a winner, and the items a second of all that ran; nothing where it can't be written."""
    path = file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            entries = _read() | {entry: {"engine": engine, "items_per_second": dict(speeds)}}
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            beside.write_text(json.dumps(entries, indent=1), encoding="utf-8")
            os.replace(beside, path)
    except OSError:
        return  # the next run measures again


def _read() -> dict[str, Any]:
    try:
        content = json.loads(file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or damaged: start anew
        return {}
    return content if isinstance(content, dict) else {}
