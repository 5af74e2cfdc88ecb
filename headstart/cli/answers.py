"""How a command ends: its result on standard output, all else on standard error, one exit code.

Exit codes: 0 done; 1 a defect of ours; 2 the user's mistake; 130 interrupted; 141 nobody reads.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Protocol

import typer

from headstart.errors import HeadstartError
from headstart.runtime.installed import ANSWERING, WHOLE, answers_alone, installation
from headstart.runtime.progress import Progress, Terminal

DONE, OURS, USERS, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG}
_ANSWERING = {"tokenizers", "soundfile", "soxr"}  # which answering alone may need, too
EXTRAS = {"soundfile": "audio", "soxr": "audio"}
EXTRAS |= {"transformers": "text", "tokenizers": "text", "peft": "lora", "captum": "explain"}
EXTRAS |= dict.fromkeys(("jiwer", "sacrebleu", "sentencepiece"), "translation")
EXTRAS |= {name: name for name in ("mlflow", "tensorboard", "wandb")}  # package -> its extra
EXTRAS |= dict.fromkeys(("starlette", "uvicorn", "prometheus_client", "python_multipart"), "serve")
EXTRAS |= {"markdown_it": "serve"}
EXTRAS |= dict.fromkeys(("nncf", "onnx", "onnxruntime", "onnxscript"), "export")


class Answer(Protocol):
    """What a command may answer with: an object that prints as text and as JSON."""

    def to_json(self) -> Mapping[str, Any]:
        """The answer as one JSON object."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Incomplete:
    """An answer in which something is missing: it is printed, and the exit code then says so."""

    answer: Answer
    missing: str  # such as `3 could not be fetched`


def answer(as_json: bool, work: Callable[[Progress], Answer | Incomplete]) -> None:
    """Do the work and print its answer; on failure print one sentence and raise typer.Exit.

    Work that was interrupted may answer all the same, with `stopped` in it; its exit code says so.
    """
    try:
        with redirect_stdout(sys.stderr):  # what a library prints must not mix with the answer
            outcome = work(Terminal())
            result = outcome.answer if isinstance(outcome, Incomplete) else outcome
            content = result.to_json()
            text = json.dumps(content, allow_nan=False) if as_json else str(result)
        print(text, flush=True)
        if isinstance(outcome, Incomplete):
            print(f"error: {outcome.missing}; see the answer.", file=sys.stderr)
            raise typer.Exit(USERS)
        if content.get("stopped"):
            raise typer.Exit(INTERRUPTED)
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        code, message = failure(error)
        _report(error, code, message, as_json)
        raise typer.Exit(code) from None


def failure(error: BaseException) -> tuple[int, str]:
    """The exit code and the sentence for an exception."""
    if isinstance(error, HeadstartError):
        return USERS, str(error)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "Stopped."
    if isinstance(error, BrokenPipeError):
        return PIPE_CLOSED, ""
    if isinstance(error, ModuleNotFoundError) and (advice := _lacking(error.name or "")):
        return USERS, advice
    number = error.errno if isinstance(error, OSError) else None
    # safetensors, Arrow and torch raise kinds of their own, with the system's words in them.
    if number in _FULL or "No space left on device" in str(error):
        return USERS, f"The disk is full{_place(error)}. Free some space and run the command again."
    if number in _FORBIDDEN:
        return USERS, (
            f"The system forbids this{_place(error)}: {os.strerror(number or 0)}. "
            "Change the permissions or name another path."
        )
    return OURS, (
        f"{type(error).__name__}: {error}. This is a defect of Headstart: please report it with "
        "the command you ran. HEADSTART_TRACEBACK=1 shows where it happened."
    )


def _lacking(package: str) -> str:
    """What to install for a package that is not there; empty where nothing says so."""
    package = package.partition(".")[0]
    extra = EXTRAS.get(package)
    if answers_alone() and package not in _ANSWERING:
        return (
            f"This needs {package}, which {ANSWERING} leaves out, as it only answers. "
            f"Run: pip uninstall {ANSWERING}, and then pip install "
            + (f"'{WHOLE}[{extra}]'" if extra else WHOLE)
        )
    if extra is None:
        return ""
    return f"This needs the package {package}, which is not installed. Run: {installation(extra)}"


def _place(error: BaseException) -> str:
    name = error.filename if isinstance(error, OSError) else None
    return f" at {os.fsdecode(name)}" if isinstance(name, str | bytes) else ""


def _report(error: BaseException, code: int, message: str, as_json: bool) -> None:
    if code == OURS and os.environ.get("HEADSTART_TRACEBACK") == "1":
        traceback.print_exception(error)
    if message:
        print(f"error: {message}", file=sys.stderr)
    try:
        if as_json and message:
            print(json.dumps({"error": message}))
        sys.stdout.flush()
    except OSError:  # nobody can read it; Python would complain once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
