"""An exported folder on raw items, in a process of its own: `python -m headstart.forms.running`.

It knows nothing but the folder: the model that it came from stays closed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import save_file

from headstart import forms
from headstart.features.reading import alike, in_order
from headstart.forms.description import Described
from headstart.forms.form import FEATURES, Run
from headstart.forms.inputs import fed

BATCH: Final = 32
_TIMED, _WARMED = 50, 3  # items that the clock runs for, one at a time, and those before
_WINDOW: Final = 8 * BATCH  # items decoded at a time
SECONDS: Final = "seconds"


def median_seconds(answer: Callable[[bytes], object], items: Sequence[bytes]) -> float:
    """The median time from one item's bytes to its answer, once all is warm."""
    for raw in items[:_WARMED]:
        answer(raw)
    times = []
    for raw in items[:_TIMED]:
        began = time.perf_counter()
        answer(raw)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def answers(run: Run, described: Described, items: Sequence[Path]) -> dict[str, np.ndarray]:
    """What a form answers to items in files, in their order, and the seconds for one."""
    modality, preprocess = described.modality, described.facts["preprocess"]

    def decoded(raw: bytes) -> Any:
        return modality.decode(raw, preprocess)

    windows, size = [], 1 if _is_single(described) else BATCH
    for start in range(0, len(items), _WINDOW):
        values = [decoded(path.read_bytes()) for path in items[start : start + _WINDOW]]
        sizes = np.array([modality.size(v) for v in values]) if modality.ragged else None
        groups = alike(np.arange(len(values)), size, sizes)
        batches = [run(fed([values[i] for i in g], modality, preprocess)) for g in groups]
        windows.append({n: in_order(groups, [each[n] for each in batches]) for n in batches[0]})
    whole = {name: np.concatenate([each[name] for each in windows]) for name in windows[0]}
    first = [path.read_bytes() for path in items[:_TIMED]]
    seconds = median_seconds(lambda raw: run(fed([decoded(raw)], modality, preprocess)), first)
    return {**whole, SECONDS: np.array([seconds])}


def _is_single(described: Described) -> bool:
    """Whether a form takes one item at a time."""
    return any(each["shape"][0] == 1 for each in described.facts["inputs"].values())


def _of_features(run: Run, features: np.ndarray) -> Mapping[str, np.ndarray]:
    began = time.perf_counter()
    for row in features[:_TIMED]:
        run({FEATURES: row[None]})
    seconds = (time.perf_counter() - began) / len(features[:_TIMED])
    return {**run({FEATURES: features}), SECONDS: np.array([seconds])}


def main(folder: Path, items: Path, out: Path) -> None:
    """Answer the items that a folder holds, in the order of their names, or its features."""
    described = Described.of(folder)
    run = forms.form(described.facts["form"]).opened(folder)
    rows = items / f"{FEATURES}.npy"
    if rows.exists():
        values = _of_features(run, np.load(rows))
    else:
        values = answers(run, described, sorted(items.iterdir()))
    save_file({name: np.ascontiguousarray(each) for name, each in values.items()}, out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
