"""A line on whether what a model is asked about is like what it was held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from headstart.data import Item
from headstart.drift import Reference, chosen
from headstart.drift.measures import measures_of
from headstart.drift.shift import FEWEST, Answered, Shift, compared
from headstart.drift.two_sample import repeated
from headstart.drift.words import in_one_line
from headstart.errors import DataError
from headstart.serve.predictor import Predictor

_HELD_OUT = 0.3  # of labelled items, where no splits are named
WORTH_A_LINE = 50  # answers, from which on `predict` says whether inputs moved


def shift_between(
    predictor: Predictor, reference: Reference, new: Answered, seed: int = 0
) -> Shift:
    """A model's held-out items against new ones that were answered before.

    Those that are held-out items themselves are left out. Raises DataError where either are too
    few.
    """
    if len(reference) < FEWEST:
        raise DataError(
            f"{len(reference)} held-out items are too few to see a shift, which takes {FEWEST}. "
            f"Give {ceil(FEWEST / _HELD_OUT)} or more labelled items, of which 30 % are held out "
            "where no splits are named."
        )
    same = repeated(reference.features, new.features)
    if len(same) - same.sum() < FEWEST:
        also = f", beside {same.sum()} that are held-out items themselves," if same.any() else ""
        raise DataError(
            f"{len(same) - same.sum()} new items{also} are too few to see a shift. "
            f"Give {FEWEST} or more."
        )
    predictions = predictor.task.predictions(reference.outputs)
    rest = new.part(np.flatnonzero(~same))
    shift = compared(reference, predictions, rest, predictor.labels, seed)
    return replace(shift, repeated=int(same.sum()))


def noticed(predictor: Predictor) -> str:
    """A line on the inputs that a model answered last, empty where they are few or as usual."""
    reference, recent = predictor.reference, list(predictor.recent)
    if reference is None or len(reference) < FEWEST or len(recent) < WORTH_A_LINE:
        return ""
    features, outputs = (np.stack(part) for part in zip(*recent, strict=True))
    shift = _plainly(predictor, reference, list(predictor.texts), (features, outputs))
    return in_one_line(shift) if shift and shift.moved else ""


def between(
    predictor: Predictor, items: Sequence[Item], features: np.ndarray, outputs: np.ndarray
) -> str:
    """A line on items whose features (N, D) and outputs are known, empty where nothing can be."""
    reference = predictor.reference
    if reference is None or min(len(reference), len(features)) < FEWEST:
        return ""
    part = [items[place] for place in chosen(len(items))]
    shift = _plainly(predictor, reference, part, (features, outputs))
    return in_one_line(shift) if shift else "They are those items themselves."


def _plainly(
    predictor: Predictor,
    reference: Reference,
    items: Sequence[Item],
    answers: tuple[np.ndarray, np.ndarray],
) -> Shift | None:
    """The shift; None where all but a few are held-out items themselves."""
    features, outputs = answers
    names = [str(number) for number in range(len(features))]
    measures = measures_of(items, predictor.reader.modality)
    new = Answered(names, features, outputs, predictor.task.predictions(outputs), measures)
    try:
        return shift_between(predictor, reference, new)
    except DataError:
        return None
