"""How much memory a process held at most."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def peak() -> int:
    """In KiB, of this process alone: `ru_maxrss` begins at what its parent held."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def output_of(code: str, *arguments: str, folder: Path = HERE) -> str:
    """What code that may call `peak` prints in a process of its own."""
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(HERE), str(HERE.parent), *([before] if before else [])])
    return subprocess.run(
        [sys.executable, "-c", f"from peak_memory import peak\n{code}", *arguments],
        env=os.environ | {"PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
