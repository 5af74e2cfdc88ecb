"""Scores that only the benchmarks know: H-score, SFDA, GBC, LEEP, NCE by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from benchmarks.choosing.separation import gbc, h_score, sfda
from benchmarks.choosing.source_head import leep, nce
from headstart.transferability import Sample


def drawn(count: int, width: int, signal: float = 0.7, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    classes = np.concatenate([np.arange(3), rng.integers(0, 3, count - 3)])
    means = signal * rng.normal(size=(3, width))
    return Sample(rng.normal(size=(count, width)) + means[classes], classes, "classes")


def softmax(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(values) / np.exp(values).sum(axis=1, keepdims=True))


def of(classes: np.ndarray) -> Sample:
    return Sample(np.ones((len(classes), 1)), classes, "classes")


@pytest.mark.parametrize(("count", "width"), [(30, 6), (12, 50), (9, 1)])
def test_the_h_score_is_that_of_the_shrunk_covariance(count: int, width: int) -> None:
    sample = drawn(count, width)
    model = LedoitWolf(assume_centered=True).fit(sample.centred)
    means = np.array([sample.centred[sample.targets == c].mean(axis=0) for c in range(3)])
    between = np.cov(means[sample.targets].T, bias=True).reshape(width, width)
    share = 1 - model.shrinkage_
    direct = np.trace(np.linalg.solve(model.covariance_, share * between))
    assert h_score(sample) == pytest.approx(direct)


def test_the_h_score_of_noise_stays_below_the_number_of_classes_less_one() -> None:
    classes = np.arange(50) % 5
    noise = np.random.default_rng(0).normal(size=(50, 400))
    plain = np.linalg.pinv(np.cov(noise.T, bias=True))
    means = np.array([noise[classes == c].mean(axis=0) for c in range(5)])
    saturated = np.trace(plain @ np.cov(means[classes].T, bias=True))
    assert saturated == pytest.approx(4)
    assert h_score(Sample(noise, classes, "classes")) < 2


@pytest.mark.parametrize(("count", "width"), [(40, 5), (20, 30)])
def test_sfda_is_two_discriminant_analyses_with_harder_items_between(
    count: int, width: int
) -> None:
    sample = drawn(count, width)
    items, classes = sample.centred, sample.targets
    means = np.array([items[classes == c].mean(axis=0) for c in range(3)])
    rest = items - means[classes]
    shrinkage = float(np.exp(-5 * np.linalg.eigvalsh(rest.T @ rest / count).max()))

    def chances(given: np.ndarray) -> np.ndarray:
        own = np.array([given[classes == c].mean(axis=0) for c in range(3)])
        within = (given - own[classes]).T @ (given - own[classes]) / count
        middle = np.trace(within) / width
        shrunk = (1 - shrinkage) * within + shrinkage * middle * np.eye(width)
        inverse = np.linalg.inv(shrunk)
        shares = np.bincount(classes) / count
        distances = [np.einsum("nd,de,ne->n", given - m, inverse, given - m) for m in own]
        return softmax(np.log(shares) - np.array(distances).T / 2)

    own = softmax(chances(items))[np.arange(count), classes][:, None]
    others = np.array([np.delete(means, c, axis=0).mean(axis=0) for c in range(3)])
    harder = own * items + (1 - own) * others[classes]
    direct = chances(harder)[np.arange(count), classes].mean()
    assert sfda(sample) == pytest.approx(direct)
    plain = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(items, classes)
    assert plain.predict_proba(items) == pytest.approx(chances(items), abs=0.05)


def test_gbc_is_minus_the_overlap_of_round_gaussians() -> None:
    sample = drawn(40, 5)
    pooled = np.mean((sample.centred - _class_means(sample)[sample.targets]) ** 2)
    direct = 0.0
    for first in range(3):
        for second in set(range(3)) - {first}:
            (m1, v1), (m2, v2) = (_round(sample, each, pooled) for each in (first, second))
            middle = (v1 + v2) / 2
            distance = ((m1 - m2) ** 2).sum() / (8 * middle)
            distance += 5 / 2 * np.log(middle / np.sqrt(v1 * v2))
            direct -= np.exp(-distance)
    assert gbc(sample) == pytest.approx(direct)


def _class_means(sample: Sample) -> np.ndarray:
    items, classes = sample.centred, sample.targets
    return np.array([items[classes == c].mean(axis=0) for c in range(3)])


def _round(sample: Sample, number: int, pooled: float) -> tuple[np.ndarray, float]:
    own = sample.centred[sample.targets == number]
    mean = own.mean(axis=0)
    return mean, (len(own) * np.mean((own - mean) ** 2) + pooled) / (len(own) + 1)


def test_gbc_looks_at_64_components() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 200)
    wide = rng.normal(size=(200, 70)) * np.where(np.arange(70) < 64, 1, 1e-5)
    first = gbc(Sample(wide[:, :64], classes, "classes"))
    assert -1.9 < first < -0.1
    assert gbc(Sample(wide, classes, "classes")) == pytest.approx(first, rel=1e-6)


def test_gbc_of_classes_with_one_and_two_items_is_between_its_limits() -> None:
    rng = np.random.default_rng(0)
    classes = np.array([0, 0, 1, 1, 1, 1, 2])
    near = Sample(rng.normal(size=(7, 100)), classes, "classes")
    far = Sample(rng.normal(size=(7, 100)) + 20 * np.eye(100)[classes], classes, "classes")
    assert -6 < gbc(near) < gbc(far) <= 0


def test_leep_and_nce_by_hand() -> None:
    answers = np.array([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3], [0.1, 0.9]])
    classes = np.array([0, 0, 1, 1])
    first = np.array([1.4, 0.6]) / [2.2, 1.8]  # the share of class 0 in each source class
    chances = np.where(classes == 0, answers @ first, answers @ (1 - first))
    assert leep(of(classes), answers) == pytest.approx(np.log(chances).mean())
    # source class 0 is answered thrice, for classes 0, 0 and 1; source class 1 once
    expected = (2 * np.log(2 / 3) + np.log(1 / 3) + np.log(1)) / 4
    assert nce(of(classes), answers) == pytest.approx(expected)


def test_a_head_that_tells_classes_apart_scores_0_and_one_that_does_not_their_entropy() -> None:
    classes = np.arange(12) % 3
    sure = np.eye(5)[classes + 1]
    blind = np.full((12, 5), 0.2, dtype=np.float32)
    for score in (leep, nce):
        assert score(of(classes), sure) == pytest.approx(0, abs=1e-12)
        assert score(of(classes), blind) == pytest.approx(-np.log(3))


def test_source_classes_of_vanishing_probability_do_no_harm() -> None:
    classes = np.arange(6) % 2
    answers = np.tile(np.array([1.0, 1e-320, 0.0]), (6, 1))
    assert leep(of(classes), answers) == pytest.approx(-np.log(2))


def test_probabilities_that_were_rounded_count_as_shares() -> None:
    rng = np.random.default_rng(0)
    answers, classes = rng.dirichlet(np.ones(4), size=20), np.arange(20) % 3
    rounded = answers * rng.uniform(0.98, 1.02, (20, 1))
    for score in (leep, nce):
        exact = score(of(classes), answers)
        assert score(of(classes), rounded) == pytest.approx(exact)
