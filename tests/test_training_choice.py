"""Which epoch's weights are kept: the best on validation, or the latest that is as good."""

from __future__ import annotations

import numpy as np
import pytest

import headstart as hs
from headstart.defaults import Recipe
from headstart.runtime.budget import Budget
from headstart.runtime.machine import Compute
from headstart.runtime.progress import Silent
from headstart.training import Session, Training


def _kept(rows: list[np.ndarray], latest: bool) -> int:
    """The row whose weights are kept after scores (N,) of items, a row an epoch."""
    training = Training()
    for number, scores in enumerate(rows):
        score = float(scores.mean())
        training.history.append({"score": score, "validation_loss": 1.0, "steps": float(number)})
        assert training.keeps(number, scores, latest) == (training.best == number)
    return training.best


@pytest.mark.parametrize(("latest", "remaining"), [(False, 2), (True, 5)])
def test_of_few_items_the_latest_epoch_counts_where_a_task_says_so(
    latest: bool, remaining: int
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, (6, 9))
    means = np.array([0.2, 0.5, 0.66, 0.6, 0.58, 0.6])
    rows = list(means[:, None] + noise - noise.mean(axis=1, keepdims=True))
    assert _kept(rows, latest) == remaining


def test_of_many_items_an_epoch_that_is_clearly_better_counts() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, (4, 900))
    means = np.array([0.2, 0.66, 0.56, 0.58])
    assert _kept(list(means[:, None] + noise), latest=True) == 1


def test_what_never_gained_keeps_its_start() -> None:
    rows = [np.full(9, score) for score in (0.4, 0.39, 0.38)]
    assert _kept(rows, latest=True) == 0
    assert _kept([np.full(9, score) for score in (0.4, 0.41, 0.4)], latest=True) == 2


def _ends_after(scores: list[float], latest: bool) -> int:
    """Epochs after which a training with a patience of six ends, of at most so many scores."""
    recipe = Recipe("", epochs=99, batch_size=8, learning_rate=1e-3, patience=6)
    session = Session(Compute.of(hs.Settings(), 1).accelerator, 0, Budget(None), Silent())
    training = Training()
    for number, score in enumerate(scores):
        training.history.append({"score": score, "validation_loss": 1.0, "steps": float(number)})
        training.keeps(number, np.full(50, score), latest)
        training.conclude(recipe, session, np.zeros(0), latest=latest)
        if training.finished:
            return number
    return len(scores)


def test_what_fell_and_rises_again_is_waited_for() -> None:
    risen = [0.2, 0.19, 0.12, 0.1, *(0.1 + 0.01 * epoch for epoch in range(12)), *[0.22] * 9]
    assert _ends_after(risen, latest=False) == 6
    assert _ends_after(risen, latest=True) == len(risen)
    assert _ends_after([0.2, *(0.19 - 0.001 * epoch for epoch in range(20))], latest=True) == 6
    assert _ends_after([0.2, 0.3, *(0.1 + 0.01 * epoch for epoch in range(9))], latest=True) == 7
