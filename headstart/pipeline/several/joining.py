"""Saved models of several tasks made one: their folder, equal files once, all answers looked at."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.evidence import Experiment
from headstart.loading import members, record
from headstart.pipeline.checking import verify
from headstart.pipeline.several.opening import load, results
from headstart.results.several import Results
from headstart.runtime.progress import Progress

_LOOKED_AT: Final = 2  # items of each task that the saved model is compared on
_LEAST: Final = 2**12  # bytes of a file that is worth keeping once


def demand_free(out: Path) -> None:
    """Raise HeadstartError where a folder for a model holds anything."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    holds = (out / record.FILE).exists() or members.are_in(out)
    what = "already holds a model" if holds else "is not empty"
    raise HeadstartError(f"{out} {what}. Name a new folder, or remove this one first.")


def keep_once(folders: Sequence[Path]) -> None:
    """Let equal files of several tasks, such as the network's, take their place only once.

    Where the disk has no links they stay copies, which are as right.
    """
    first, *others = folders
    files = (path for path in sorted(first.rglob("*")) if path.is_file())
    large = [path.relative_to(first) for path in files if path.stat().st_size >= _LEAST]
    for folder in others:
        for name in large:
            one, other = first / name, folder / name
            if other.is_file() and filecmp.cmp(one, other, shallow=False):
                with suppress(OSError):
                    draft = other.with_name(f"{other.name}.linking")
                    os.link(one, draft)
                    os.replace(draft, other)


def check_all(out: Path, items: Sequence[Item], progress: Progress) -> None:
    """Open the whole in a fresh process: it must answer raw items as it does here.

    Raises HeadstartError where it does not.
    """
    if not items:
        return
    predictor = load(out)
    answers = predictor.task.decode(predictor.outputs(items), predictor.labels)
    progress.say("Opening the saved model in a fresh process to compare its answers.")
    verify(out, items, answers, min(predictor.reader.modality.suffixes))


def put_together(
    out: Path,
    names: Mapping[str, str],
    record: Mapping[str, Any],
    each: Mapping[str, Experiment],
    progress: Progress,
) -> Results:
    """Make one model of those saved in folders of these names, which were trained together."""
    members.write(out, names, record)
    keep_once([out / name for name in names.values()])
    datasets = [own.dataset for own in each.values()]
    check_all(out, [i for own in datasets for i in own.split("test")[:_LOOKED_AT]], progress)
    return results(out, fresh=True)
