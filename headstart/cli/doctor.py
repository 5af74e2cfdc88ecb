"""What this machine offers a run."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Machine:
    """The machine as a run would find it; sizes are in bytes."""

    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The facts by name."""
        return dict(self.facts)

    def __str__(self) -> str:
        from headstart.report import as_columns

        return as_columns(
            ("", ""),
            [(name.replace("_", " "), _show(name, value)) for name, value in self.facts.items()],
        )


def examine() -> Machine:
    """Look at this machine. Opens no connection and changes nothing."""
    import psutil
    import torch

    from headstart import listing
    from headstart.features.store import cache_folder
    from headstart.runtime import machine

    cache = cache_folder()
    place = next(folder for folder in (cache, *cache.parents) if folder.exists())
    cards = listing.backbones("*")
    device = machine.device()
    return Machine(
        {
            "headstart": _version("headstart"),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "torchvision": _version("torchvision"),
            "timm": _version("timm"),
            "openvino": _version("openvino"),
            "cores": len(os.sched_getaffinity(0))
            if platform.system() == "Linux"
            else os.cpu_count(),
            "threads": torch.get_num_threads(),
            "memory": psutil.virtual_memory().total,
            "memory_free": psutil.virtual_memory().available,
            "device": str(device),
            "bf16": machine.has_bf16(device),
            "cache": str(cache),
            "cache_size": sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()),
            "disk_free": shutil.disk_usage(place).free,
            "backbones": len(cards),
            "weights_at_hand": sum(card.at_hand for card in cards),
        }
    )


def _show(name: str, value: Any) -> str:
    if name in {"memory", "memory_free", "cache_size", "disk_free"}:
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not installed" if value is None else str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
