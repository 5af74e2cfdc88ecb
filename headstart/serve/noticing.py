"""A line on whether what a model is asked about is like what it was held to."""

from __future__ import annotations

import numpy as np

from headstart.drift import Reference
from headstart.drift.shift import FEWEST, Answered, Shift, compared
from headstart.drift.words import in_one_line
from headstart.errors import DataError
from headstart.serve.predictor import Predictor

WORTH_A_LINE = 50  # answers, from which on `predict` says whether inputs moved


def shift_between(
    predictor: Predictor, reference: Reference, new: Answered, seed: int = 0
) -> Shift:
    """A model's held-out items against new ones that were answered before.

    Raises DataError where either are too few.
    """
    for count, whose in ((len(reference), "held-out items"), (len(new.names), "new items")):
        if count < FEWEST:
            raise DataError(
                f"{count} {whose} are too few to see a shift. Give {FEWEST} or more of both."
            )
    predictions = predictor.task.predictions(reference.outputs)
    return compared(reference, predictions, new, predictor.labels, seed)


def noticed(predictor: Predictor) -> str:
    """A line on the inputs that a model answered last, empty where they are few or as usual."""
    reference, recent = predictor.reference, list(predictor.recent)
    if reference is None or len(reference) < FEWEST or len(recent) < WORTH_A_LINE:
        return ""
    features, outputs = (np.stack(part) for part in zip(*recent, strict=True))
    shift = _plainly(predictor, reference, features, outputs)
    return in_one_line(shift) if shift.moved else ""


def between(predictor: Predictor, features: np.ndarray, outputs: np.ndarray) -> str:
    """A line on items whose features (N, D) and outputs are known, empty where nothing can be."""
    reference = predictor.reference
    if reference is None or min(len(reference), len(features)) < FEWEST:
        return ""
    return in_one_line(_plainly(predictor, reference, features, outputs))


def _plainly(
    predictor: Predictor, reference: Reference, features: np.ndarray, outputs: np.ndarray
) -> Shift:
    names = [str(number) for number in range(len(features))]
    new = Answered(names, features, outputs, predictor.task.predictions(outputs))
    return shift_between(predictor, reference, new)
