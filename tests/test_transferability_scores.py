"""LogME against the plain form of its definition."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.transferability import Sample, logme


def drawn(count: int, width: int, signal: float = 0.7, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    classes = np.concatenate([np.arange(3), rng.integers(0, 3, count - 3)])
    means = signal * rng.normal(size=(3, width))
    return Sample(rng.normal(size=(count, width)) + means[classes], classes, "classes")


def whole_evidence(logs: np.ndarray, features: np.ndarray, targets: np.ndarray) -> float:
    """Log evidence through the D x D posterior precision; one degree went into the mean."""
    alpha, beta = np.exp(logs)
    free, width = len(features) - 1, features.shape[1]
    precision = alpha * np.eye(width) + beta * features.T @ features
    weights = beta * np.linalg.solve(precision, features.T @ targets)
    rest = targets - features @ weights
    return float(
        width / 2 * np.log(alpha)
        + free / 2 * np.log(beta)
        - np.linalg.slogdet(precision)[1] / 2
        - beta / 2 * rest @ rest
        - alpha / 2 * weights @ weights
        - free / 2 * np.log(2 * np.pi)
    )


def greatest_evidence(features: np.ndarray, targets: np.ndarray) -> float:
    """The maximum over alpha / beta by ever finer grids; the best beta for each is known."""
    best, reach, values = -2.0, 17.0, []
    for _ in range(5):
        ratios = np.linspace(best - reach, best + reach, 101)
        for ratio in ratios:
            spread = np.eye(len(features)) + features @ features.T / np.exp(ratio)
            beta = np.log((len(features) - 1) / (targets @ np.linalg.solve(spread, targets)))
            values.append(whole_evidence(np.array([ratio + beta, beta]), features, targets))
        best, reach = ratios[np.argmax(values[-101:])], reach / 25
    return max(values)


@pytest.mark.parametrize(("count", "width"), [(15, 40), (40, 8), (20, 20)])
@pytest.mark.parametrize("kind", ["classes", "numbers", "label sets"])
def test_logme_is_the_greatest_evidence_of_the_whole_form(
    count: int, width: int, kind: str
) -> None:
    sample = drawn(count, width)
    if kind == "numbers":
        noise = np.random.default_rng(1).normal(size=(count, 2))
        sample = Sample(sample.features, sample.targets[:, None] * 9 + 3 * noise, kind)
    elif kind == "label sets":
        sample = Sample(sample.features, np.eye(3)[sample.targets][:, :2], kind)
    codes = sample.codes - sample.codes.mean(axis=0)
    direct = [greatest_evidence(sample.centred, column) / count for column in codes.T]
    assert logme(sample) == pytest.approx(np.mean(direct), abs=1e-6)


def test_the_whole_form_is_the_density_of_the_targets() -> None:
    sample = drawn(9, 20)
    basis = np.linalg.qr(np.column_stack([np.ones(9), np.eye(9)[:, 1:]]))[0][:, 1:]  # without 1
    targets = sample.codes[:, 0] - sample.codes[:, 0].mean()
    alpha, beta = 3.0, 7.0
    spread = np.eye(8) / beta + basis.T @ sample.centred @ sample.centred.T @ basis / alpha
    projected = basis.T @ targets
    density = (
        -(projected @ np.linalg.solve(spread, projected) + np.linalg.slogdet(2 * np.pi * spread)[1])
        / 2
    )
    result = whole_evidence(np.log([alpha, beta]), sample.centred, targets)
    assert result == pytest.approx(density)


def test_no_other_precisions_have_more_evidence() -> None:
    sample = drawn(30, 5)
    targets = sample.codes[:, 0] - sample.codes[:, 0].mean()
    greatest = greatest_evidence(sample.centred, targets)
    logs = np.linspace(-8, 8, 33)
    attempts = [
        whole_evidence(np.array([a, b]), sample.centred, targets) for a in logs for b in logs
    ]
    assert greatest - 0.2 < max(attempts) <= greatest


def test_useless_features_leave_the_evidence_of_the_mean_alone() -> None:
    classes = np.arange(20) % 2
    free, square = 19, 5.0  # of 20 items at a distance of one half from their mean
    alone = -free / 2 * (np.log(2 * np.pi * square / free) + 1) / 20
    assert logme(Sample(np.ones((20, 3)), classes, "classes")) == pytest.approx(alone)
    crossed = (np.arange(20) // 2 % 2)[:, None]  # as many of each class on either side
    assert logme(Sample(crossed, classes, "classes")) == pytest.approx(alone, abs=1e-4)
