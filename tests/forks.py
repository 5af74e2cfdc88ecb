"""Processes that know nothing of the tests', forked from one in which libraries are imported.

Hundreds of tests have a saved model opened in a process of its own, of which starting Python and
importing libraries is nearly all the time.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, final

MODULES = ("headstart.pipeline.reopening",)
LIBRARIES = (
    *("numpy", "PIL.Image", "safetensors.numpy", "openvino", "torch", "torch.fx"),
    *("headstart.catalog", "headstart.pipeline.opening", "headstart.serve.predictor"),
    *("headstart.modalities.image", "headstart.modalities.text", "headstart.modalities.table"),
)
_OPTIONS = {"capture_output", "text", "env", "check"}
# What begins so is read when Python starts or a library is imported; all else each time.
_EARLY = (
    *("PYTHON", "LD_", "OMP_", "MKL_", "KMP_", "OPENBLAS_", "ONEDNN_", "ATEN_", "TORCH_"),
    *("OPENVINO_", "CUDA_"),
)


@final
@dataclass
class Forks:
    """Takes the place of `subprocess.run` for commands `python -m` of MODULES, and only for them.

    Where the environment that counts is another than it was started in, they begin anew as well.
    """

    run_anew: Any
    _server: subprocess.Popen[str] | None = None
    _lock: Lock = field(default_factory=Lock)
    _environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: Any, **options: Any) -> Any:
        """What the command prints, and how it ends, as text."""
        command = arguments[0] if arguments and options.keys() == _OPTIONS else None
        ours = isinstance(command, list) and command[:2] == [sys.executable, "-m"]
        if not isinstance(command, list) or not ours or command[2] not in MODULES:
            return self.run_anew(*arguments, **options)
        environment = dict(options["env"])
        with self._lock:
            if self._server is None:
                self._begin(environment)
            if _shared(environment) != self._environment:
                return self.run_anew(*arguments, **options)
            return self._forked(command, environment)

    def end(self) -> None:
        """End the process that is forked."""
        if self._server is not None:
            with self._server:  # closes what it listens to, on which it ends
                self._server = None

    def _begin(self, environment: Mapping[str, str]) -> None:
        self._environment = _shared(environment)
        code = f"import runpy; runpy.run_path({__file__!r}, run_name='__main__')"
        self._server = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _forked(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        assert self._server is not None and self._server.stdin and self._server.stdout
        with tempfile.TemporaryDirectory() as folder:
            streams = [f"{folder}/{name}" for name in ("stdout", "stderr")]
            task = {"command": command[2:], "environment": dict(environment)}
            task |= {"streams": streams, "folder": os.getcwd()}
            self._server.stdin.write(json.dumps(task) + "\n")
            self._server.stdin.flush()
            code = int(self._server.stdout.readline())
            said = [Path(stream).read_text(encoding="utf-8") for stream in streams]
        return subprocess.CompletedProcess(list(command), code, *said)


def _shared(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_EARLY)}


def _serve() -> None:
    with redirect_stdout(sys.stderr):
        for name in (*LIBRARIES, *MODULES):
            with suppress(ImportError):  # of an extra that is not here
                import_module(name)
    for name in MODULES:  # each runs as a program of its own
        sys.modules.pop(name, None)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(task)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(task: Mapping[str, Any]) -> None:
    """Be the command, and end with its exit code."""
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    for number, stream in enumerate(task["streams"], start=1):
        opened = os.open(stream, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.argv = list(task["command"])
    code: Any = 0
    try:
        runpy.run_module(task["command"][0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    _serve()
