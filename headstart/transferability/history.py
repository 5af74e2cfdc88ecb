"""What past runs on this machine found: one small file in the cache folder, shared by all runs.

`history.jsonl` has a line for each backbone that was scored on a data set. The file is written
whole, under the cache's lock, so that readers see the old one or the new one. A line that is
damaged is passed over, and gone with the next write. Where the folder can't be written, nothing is
kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from headstart.features.cache import write_whole
from headstart.runtime.places import cache_folder

MOST = 4000  # records that are kept, the newest; about a megabyte
_PATIENCE = 10.0  # seconds to wait for others who write, before doing without
_TEXTS, _NUMBERS = ("data", "task", "metric", "backbone", "weights"), ("score", "when")


@dataclass(frozen=True)
class Past:
    """How one backbone did in one run.

    `data` is the data set's fingerprint, `backbone` a reference, `weights` the hash of its weights,
    `score` the metric on validation items (higher is better), `when` in seconds since 1970. The
    test split has no part in it: what is chosen by this must not have seen it.
    """

    data: str
    task: str
    metric: str
    backbone: str
    weights: str
    score: float
    when: float


def remember(records: Iterable[Past]) -> None:
    """Add records; each replaces what the same backbone had on the same data, task and metric.

    Scores that are no numbers are left out. Never raises because the folder can't be written.
    """
    new = [record for record in records if _is_finite(record.score) and _is_finite(record.when)]
    if not new:
        return
    with suppress(OSError):
        file().parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file().with_name("lock"), timeout=_PATIENCE):
            latest: dict[tuple[str, ...], Past] = {}
            for record in (*_read(), *new):
                question = (record.data, record.task, record.metric, record.backbone)
                latest.pop(question, None)  # so that it stands last, among the newest
                latest[question] = record
            lines = [json.dumps(asdict(record)) + "\n" for record in list(latest.values())[-MOST:]]
            write_whole(file(), "".join(lines))


def recall() -> Sequence[Past]:
    """All that is remembered, oldest first; nothing where there is no file that can be read."""
    return _read()


def forget() -> None:
    """Remove it all. Never raises because the folder can't be written."""
    if file().exists():
        with suppress(OSError), FileLock(file().with_name("lock"), timeout=_PATIENCE):
            file().unlink(missing_ok=True)


def file() -> Path:
    """Where it stands; `headstart cache` knows it by this name."""
    return cache_folder() / "history.jsonl"


def _read() -> list[Past]:
    try:
        lines = file().read_bytes().splitlines()
    except OSError:
        return []
    return [record for line in lines if (record := _record(line)) is not None]


def _record(line: bytes) -> Past | None:
    """What a line says, or None where it is damaged."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    fields: dict[str, Any] = {name: content.get(name) for name in (*_TEXTS, *_NUMBERS)}
    right = all(isinstance(fields[name], str) for name in _TEXTS)
    if not right or not all(_is_finite(fields[name]) for name in _NUMBERS):
        return None
    return Past(**fields | {name: float(fields[name]) for name in _NUMBERS})


def _is_finite(value: object) -> bool:
    """Whether it is a number that a float holds; whole numbers in JSON may be of any length."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )
