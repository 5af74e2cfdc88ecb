"""Whether an exported form answers raw items as the saved model does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import load_file

from headstart import evidence
from headstart.contracts import Encoding, Task
from headstart.data import Data, Item, data_of, load_labelled
from headstart.data.targets import kind_named
from headstart.drift import FILE as REFERENCE
from headstart.errors import DataError, HeadstartError, reason
from headstart.evidence import Interval
from headstart.forms.description import Described
from headstart.forms.form import BOXES, FEATURES, OUTPUTS, Form
from headstart.forms.running import SECONDS, median_seconds
from headstart.pipeline.exporting.boxes import CLOSE, moved, rows_of
from headstart.pipeline.opening import DataOptions, schema_for
from headstart.plan import FitPlan, overlap
from headstart.plan import read as read_plan
from headstart.results.exported import Row
from headstart.runtime.progress import Progress
from headstart.serve import Predictor

MOST: Final = 1000  # items that both are asked about
TOLERANCE: Final = 1e-4  # of a probability, or of a number in its own size
SPREAD: Final = 0.1  # of the deviation of the numbers answered, by which whole numbers may move one
ALLOWED: Final = 0.01  # of the answers with whole numbers; fewer than this share


@dataclass(frozen=True)
class HeldOut:
    """Labelled items that both forms answer, and how many of them the model was made from."""

    items: tuple[Item, ...]
    targets: np.ndarray
    seen: int | None

    def part(self, places: np.ndarray, folder: Path) -> HeldOut:
        """Some of them."""
        items = tuple(self.items[place] for place in places)
        return HeldOut(items, self.targets[places], overlap(folder, items))


@dataclass(frozen=True)
class Before:
    """What the saved model itself answers: outputs, what the task says by them, seconds an item."""

    outputs: np.ndarray
    predictions: np.ndarray
    features: np.ndarray
    seconds: float


def held_out(
    folder: Path, predictor: Predictor, check: Any, columns: DataOptions, progress: Progress
) -> HeldOut:
    """Items to compare on: of the data that are named, or those that the model was tested on.

    Of a model that was judged by folds there are none of the latter, and all its items are taken.
    At most 1,000. Raises HeadstartError where the data can't be read.
    """
    plan, data = (None, data_of(check)) if check is not None else own_data(folder, "--check")
    schema = schema_for(folder, columns)
    modality, labels = predictor.reader.modality, predictor.labels
    try:
        dataset = load_labelled(data, modality, labels, schema, progress=progress)
    except DataError as error:
        if plan is None:
            raise
        raise HeadstartError(
            f"The data that {folder} was fitted to can't be used ({reason(error)}). "
            "Name labelled data to compare on with --check."
        ) from error
    items, targets = dataset.split("test"), dataset.targets("test")
    tested = frozenset(plan.splits["test"]) if plan else frozenset()
    places = [n for n, item in enumerate(items) if not tested or item.identity in tested]
    if not places:
        raise HeadstartError(
            f"Of the items that {folder} was tested on none is in {data} any more. "
            "Name labelled data to compare on with --check."
        )
    positions = np.array(places)
    if len(positions) > MOST:
        positions = np.sort(np.random.default_rng(0).choice(positions, MOST, replace=False))
    return HeldOut(tuple(items), targets, None).part(positions, folder)


def own_data(folder: Path, flag: str) -> tuple[FitPlan, Data]:
    """A saved model's plan, and the data that it was fitted to.

    Raises HeadstartError, which names the flag that does without, where it doesn't say.
    """
    try:
        plan = read_plan(folder)
        return plan, plan.data_from(None)
    except HeadstartError as error:
        raise HeadstartError(
            f"{folder} doesn't say which data it was fitted to ({reason(error).split('. ')[0]}). "
            f"Name some with {flag}."
        ) from error


def answered(predictor: Predictor, items: HeldOut) -> Before:
    """What the saved model answers, from the same raw items."""
    reader, running = predictor.reader, predictor.running
    maps = predictor.task.reads_maps
    features = np.empty((0, 0), np.float32) if maps else predictor.features(items.items)
    outputs = predictor.outputs(items.items, None if maps else features)

    def answer(raw: bytes) -> np.ndarray:
        value = reader.modality.decode(raw, reader.preprocess)
        return running.outputs(running.reader.collated([value]))

    seconds = median_seconds(answer, [item.read() for item in items.items[:50]])
    return Before(outputs, predictor.task.predictions(outputs), features, seconds)


def compared(
    folder: Path, draft: Path, form: Form, predictor: Predictor, items: HeldOut, before: Before
) -> dict[str, Any]:
    """Both beside one another, as `ExportedModel` has them.

    Raises HeadstartError where the form can't be run, or says by its own outputs what the task
    doesn't.
    """
    after = _run(draft, form, items, before)
    predictions, outputs = _answers_of(after, predictor, draft)
    name, whole = _name_and_precision(draft)
    number, largest = _changes(predictions, before.predictions, predictor.task, whole)
    own = (form.file, *form.more)
    size = sum((draft / name).stat().st_size for name in own if (draft / name).exists())
    return {
        "metric": predictor.task.metric,
        "items": len(items.items),
        "seen": items.seen,
        "form": f"{name} int8" if whole else name,
        "original": Row(
            str(folder),
            _score(predictor, before.predictions, before.outputs, items.targets),
            _size(folder),
            before.seconds,
        ),
        "exported": Row(
            name,
            _score(predictor, predictions, outputs, items.targets),
            size,
            float(after[SECONDS][0]),
        ),
        "changed": number,
        "largest": largest,
    }


def _answers_of(
    after: Mapping[str, np.ndarray], predictor: Predictor, draft: Path
) -> tuple[np.ndarray, np.ndarray | None]:
    """What a form says as metrics judge it, and its head's outputs, where it has such."""
    if BOXES in after:
        return rows_of(after), None
    answers = {name: after[name] for name in after if name not in (FEATURES, SECONDS)}
    outputs = answers.pop(OUTPUTS, None)
    predictions = next(iter(answers.values()), outputs)
    if predictions is None:
        raise HeadstartError(f"{draft.name} answers nothing. Please report this.")
    if not answers:  # of a task whose answers no layer makes
        predictions = predictor.task.predictions(predictions)
    return predictions, outputs


def _changes(
    answers: np.ndarray, expected: np.ndarray, task: Task, whole: bool
) -> tuple[int, float]:
    """How many answers are others than expected, and the largest change of a number in them."""
    if task.reads_maps:
        gaps = moved(answers, expected)
        finite = gaps[np.isfinite(gaps)]
        return int((gaps > CLOSE).sum()), float(finite.max(initial=0.0))
    encoding = kind_named(task.kind).encoding
    largest = float(np.abs(answers - expected).max(initial=0.0))
    return changed(answers, expected, encoding, whole), largest


def changed(
    answers: np.ndarray, expected: np.ndarray, encoding: Encoding, whole: bool = False
) -> int:
    """How many answers (N, labels) are others than expected, by what a user is told.

    A class or a set counts where it is another one and a probability moved by more than 1e-4; a
    number where it moved by more than 1e-4 of its size, with `whole` numbers inside by more than a
    tenth of what the expected ones vary by.
    """
    gap = np.abs(answers - expected)
    finite = np.isfinite(answers).all(axis=1)
    if encoding is Encoding.INDEX:
        other = answers.argmax(axis=1) != expected.argmax(axis=1)
        moved = other & (gap > TOLERANCE).any(axis=1)
    elif encoding is Encoding.MARKS:
        moved = (((answers > 0.5) != (expected > 0.5)) & (gap > TOLERANCE)).any(axis=1)
    else:
        allowed = TOLERANCE * np.maximum(1.0, np.abs(expected))
        if whole:
            allowed = np.maximum(allowed, SPREAD * expected.std(axis=0))
        moved = (gap > allowed).any(axis=1)
    return int((moved | ~finite).sum())


def demand_same(compared: Mapping[str, Any], folder: Path, to: str, int8: bool) -> None:
    """Raise HeadstartError where too many answers have changed."""
    number, items = int(compared["changed"]), int(compared["items"])
    if number == 0 or (int8 and number < ALLOWED * items):
        return
    share = f"{number} of {items} held-out items are answered otherwise ({number / items:.1%})"
    if int8:
        raise HeadstartError(
            f"{folder} in whole numbers as {to}: {share}, and less than 1 % may be. "
            "Name more items with --calibration, or leave out --int8. Nothing was written."
        )
    raise HeadstartError(
        f"{folder} as {to}: {share}, and none may be. "
        "Please report this, and use another form. Nothing was written."
    )


def _name_and_precision(draft: Path) -> tuple[str, bool]:
    """Which form a folder holds, and whether it computes in whole numbers."""
    facts = Described.of(draft).facts
    return str(facts["form"]), facts["precision"] == "int8"


def _run(draft: Path, form: Form, items: HeldOut, before: Before) -> dict[str, np.ndarray]:
    """What the form answers in a fresh process that knows its folder and raw items alone."""
    with tempfile.TemporaryDirectory() as scratch:
        place, out = Path(scratch) / "items", Path(scratch) / "answers.safetensors"
        place.mkdir()
        if form.takes_features:
            np.save(place / f"{FEATURES}.npy", before.features)
        else:
            for number, item in enumerate(items.items):
                (place / f"{number:06}").write_bytes(item.read())
        command = [sys.executable, "-m", "headstart.forms.running", *map(str, (draft, place, out))]
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False
        )
        if ended.returncode != 0:
            last = ended.stderr.strip().rpartition("\n")[2]
            raise HeadstartError(
                f"{draft.name} can't be run in a fresh process: {last}. "
                "Please report this, and use another form."
            )
        return dict(load_file(out))


def _score(
    predictor: Predictor, predictions: np.ndarray, outputs: np.ndarray | None, targets: np.ndarray
) -> Interval:
    metric = predictor.task.judged_by()
    if metric is not None:
        return evidence.metric_interval(metric, predictions, targets)
    if outputs is None:
        raise HeadstartError(
            f"{predictor.task.kind} are judged by more than this form answers. Use --to onnx."
        )
    return evidence.average(predictor.task.scores(outputs, targets))


def _size(folder: Path) -> int:
    files = folder.glob("*.safetensors")
    return sum(file.stat().st_size for file in files if file.name != REFERENCE)
