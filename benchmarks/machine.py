"""What the numbers were measured on."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.peers.contract import versions

_FLAGS: Final = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")


def facts() -> dict[str, Any]:
    """Processor, cores, memory, system, and the versions in this environment."""
    fields = _cpuinfo()
    flags = set(fields.get("flags", "").split())
    return {
        "cpu": fields.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "versions": versions(),
    }


def load() -> float:
    """The machine's load a core before a measurement: above 0 others compute too."""
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)


def written(
    measured: Iterable[dict[str, Any]],
    as_markdown: Callable[[Sequence[dict[str, Any]]], str],
    out: Path,
) -> list[dict[str, Any]]:
    """Rows, each printed as it is there, and written as JSON with the machine."""
    rows: list[dict[str, Any]] = []
    content: dict[str, Any] = {"machine": facts(), "load": load(), "rows": rows}
    for row in measured:
        rows.append(row)
        print(as_markdown(rows).splitlines()[-1], flush=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return rows


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs if value}
