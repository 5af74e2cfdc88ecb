"""The arm that texts must beat: how often words occur, and a linear model on that."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from headstart.evidence.record import Arm
from headstart.evidence.target import Target

NAME = "tf-idf"
_STRENGTHS = (1.0, 3.0, 10.0, 30.0)  # inverse regularisation, until validation gets worse
_SURE = 30.0  # log odds of what training never contradicts


def words_arm(target: Target) -> Arm | None:
    """TF-IDF weights of words and pairs of words under a linear model; None where there is no text.

    Logistic regression for classes and label sets, ridge regression for numbers (after Wang and
    Manning 2012, who find such baselines hard to beat). It is only compared with, as it has no
    network to hand over.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    started = time.monotonic()
    texts = {name: _texts(target, name) for name in ("train", "validation", "test")}
    if any(text is None for split in texts.values() for text in split):
        return None
    vectorizer = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b"
    )
    try:
        train = vectorizer.fit_transform(texts["train"])
    except ValueError:  # not one word
        return None
    truth = {name: target.dataset.targets(name) for name in texts}
    inputs = {name: vectorizer.transform(texts[name]) for name in ("validation", "test")}
    best: tuple[tuple[float, float], np.ndarray, dict[str, np.ndarray]] | None = None
    for model in _models(target, train, truth["train"]):
        checked = model(inputs["validation"])
        scores = target.task.scores(checked, truth["validation"])
        losses = target.task.losses(checked, truth["validation"])
        merit = float(scores.mean()), -float(losses.mean())
        if best is not None and merit <= best[0]:
            break
        best = merit, scores, {"validation": checked, "test": model(inputs["test"])}
    if best is None:
        return None
    merit, checked, outputs = best
    held = target.task.scores(outputs["test"], truth["test"])
    spent = time.monotonic() - started
    return Arm(NAME, held, merit, spent, checked=checked, outputs=outputs)


def _texts(target: Target, split: str) -> list[str | None]:
    modality = target.reader.modality
    return [modality.text(item.read()) for item in target.dataset.split(split)]


def _models(target: Target, inputs: Any, targets: np.ndarray) -> Iterator[Any]:
    """For each strength a function from TF-IDF weights to the task's outputs (N, outputs)."""
    count = len(target.labels)
    for strength in _STRENGTHS:
        if target.task.kind == "numbers":
            yield _numbers(inputs, targets, strength)
        elif target.task.kind == "classes":
            weights = target.task_settings.get("weights")
            given = dict(enumerate(weights)) if weights else None
            yield _classes(inputs, targets, strength, range(count), given)
        else:
            parts = [_classes(inputs, column, strength, (0, 1)) for column in targets.T]
            yield lambda given, parts=parts: _log_odds(parts, given)


def _classes(
    inputs: Any,
    targets: np.ndarray,
    strength: float,
    labels: Sequence[int],
    weights: Mapping[int, float] | None = None,
) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(targets).astype(int)
    if len(seen) == 1:
        solver = None
    else:
        known = {label: weights[label] for label in seen.tolist()} if weights else None
        solver = LogisticRegression(C=strength, max_iter=100, tol=1e-3, class_weight=known)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # validation judges the result
            solver.fit(inputs, targets)

    def outputs(given: Any) -> np.ndarray:
        found = np.full((given.shape[0], len(labels)), -_SURE)
        found[:, seen] = 0.0 if solver is None else solver.predict_log_proba(given)
        return found

    return outputs


def _log_odds(parts: Sequence[Any], given: Any) -> np.ndarray:
    """One output a label of a set, above 0 where the label is likelier than not."""
    both = (part(given) for part in parts)
    return np.stack([found[:, 1] - found[:, 0] for found in both], axis=1)


def _numbers(inputs: Any, targets: np.ndarray, strength: float) -> Any:
    from sklearn.linear_model import Ridge

    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    solver = Ridge(alpha=1 / strength).fit(inputs, (targets - mean) / scale)
    return lambda given: solver.predict(given).reshape(given.shape[0], -1)
