"""LogME, H-score, SFDA, GBC, LEEP and NCE against plain forms of their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from headstart.transferability import SCORES, Sample


def score(name: str, sample: Sample) -> float:
    found = SCORES[name].of(sample)
    assert found is not None
    return found


def drawn(count: int, width: int, signal: float = 0.7, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    classes = np.concatenate([np.arange(3), rng.integers(0, 3, count - 3)])
    means = signal * rng.normal(size=(3, width))
    return Sample(rng.normal(size=(count, width)) + means[classes], classes, "classes")


def softmax(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(values) / np.exp(values).sum(axis=1, keepdims=True))


def whole_evidence(logs: np.ndarray, features: np.ndarray, wanted: np.ndarray) -> float:
    """Log evidence through the D x D posterior precision; one degree went into the mean."""
    alpha, beta = np.exp(logs)
    free, width = len(features) - 1, features.shape[1]
    precision = alpha * np.eye(width) + beta * features.T @ features
    weights = beta * np.linalg.solve(precision, features.T @ wanted)
    rest = wanted - features @ weights
    return float(
        width / 2 * np.log(alpha)
        + free / 2 * np.log(beta)
        - np.linalg.slogdet(precision)[1] / 2
        - beta / 2 * rest @ rest
        - alpha / 2 * weights @ weights
        - free / 2 * np.log(2 * np.pi)
    )


def greatest_evidence(features: np.ndarray, wanted: np.ndarray) -> float:
    """The maximum over alpha / beta by ever finer grids; the best beta for each is known."""
    best, reach, values = -2.0, 17.0, []
    for _ in range(5):
        ratios = np.linspace(best - reach, best + reach, 101)
        for ratio in ratios:
            spread = np.eye(len(features)) + features @ features.T / np.exp(ratio)
            beta = np.log((len(features) - 1) / (wanted @ np.linalg.solve(spread, wanted)))
            values.append(whole_evidence(np.array([ratio + beta, beta]), features, wanted))
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
    assert score("logme", sample) == pytest.approx(np.mean(direct), abs=1e-6)


def test_the_whole_form_is_the_density_of_the_targets() -> None:
    sample = drawn(9, 20)
    basis = np.linalg.qr(np.column_stack([np.ones(9), np.eye(9)[:, 1:]]))[0][:, 1:]  # without 1
    wanted = sample.codes[:, 0] - sample.codes[:, 0].mean()
    alpha, beta = 3.0, 7.0
    spread = np.eye(8) / beta + basis.T @ sample.centred @ sample.centred.T @ basis / alpha
    seen = basis.T @ wanted
    density = -(seen @ np.linalg.solve(spread, seen) + np.linalg.slogdet(2 * np.pi * spread)[1]) / 2
    found = whole_evidence(np.log([alpha, beta]), sample.centred, wanted)
    assert found == pytest.approx(density)


def test_no_other_precisions_have_more_evidence() -> None:
    sample = drawn(30, 5)
    wanted = sample.codes[:, 0] - sample.codes[:, 0].mean()
    greatest = greatest_evidence(sample.centred, wanted)
    logs = np.linspace(-8, 8, 33)
    tried = [whole_evidence(np.array([a, b]), sample.centred, wanted) for a in logs for b in logs]
    assert greatest - 0.2 < max(tried) <= greatest


def test_useless_features_leave_the_evidence_of_the_mean_alone() -> None:
    classes = np.arange(20) % 2
    free, square = 19, 5.0  # of 20 items at a distance of one half from their mean
    alone = -free / 2 * (np.log(2 * np.pi * square / free) + 1) / 20
    assert score("logme", Sample(np.ones((20, 3)), classes, "classes")) == pytest.approx(alone)
    crossed = (np.arange(20) // 2 % 2)[:, None]  # as many of each class on either side
    assert score("logme", Sample(crossed, classes, "classes")) == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize(("count", "width"), [(30, 6), (12, 50), (9, 1)])
def test_the_h_score_is_that_of_the_shrunk_covariance(count: int, width: int) -> None:
    sample = drawn(count, width)
    model = LedoitWolf(assume_centered=True).fit(sample.centred)
    means = np.array([sample.centred[sample.targets == c].mean(axis=0) for c in range(3)])
    between = np.cov(means[sample.targets].T, bias=True).reshape(width, width)
    kept = 1 - model.shrinkage_
    direct = np.trace(np.linalg.solve(model.covariance_, kept * between))
    assert score("h-score", sample) == pytest.approx(direct)


def test_the_h_score_of_noise_stays_below_the_number_of_classes_less_one() -> None:
    classes = np.arange(50) % 5
    noise = np.random.default_rng(0).normal(size=(50, 400))
    plain = np.linalg.pinv(np.cov(noise.T, bias=True))
    means = np.array([noise[classes == c].mean(axis=0) for c in range(5)])
    saturated = np.trace(plain @ np.cov(means[classes].T, bias=True))
    assert saturated == pytest.approx(4)
    assert score("h-score", Sample(noise, classes, "classes")) < 2


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
    assert score("sfda", sample) == pytest.approx(direct)
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
    assert score("gbc", sample) == pytest.approx(direct)


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
    first = score("gbc", Sample(wide[:, :64], classes, "classes"))
    assert -1.9 < first < -0.1
    assert score("gbc", Sample(wide, classes, "classes")) == pytest.approx(first, rel=1e-6)


def test_gbc_of_classes_with_one_and_two_items_is_between_its_limits() -> None:
    rng = np.random.default_rng(0)
    classes = np.array([0, 0, 1, 1, 1, 1, 2])
    near = Sample(rng.normal(size=(7, 100)), classes, "classes")
    far = Sample(rng.normal(size=(7, 100)) + 20 * np.eye(100)[classes], classes, "classes")
    assert -6 < score("gbc", near) < score("gbc", far) <= 0


def headed(answers: np.ndarray, classes: np.ndarray) -> Sample:
    return Sample(np.ones((len(classes), 1)), classes, "classes", source=answers)


def test_leep_and_nce_by_hand() -> None:
    answers = np.array([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3], [0.1, 0.9]])
    classes = np.array([0, 0, 1, 1])
    first = np.array([1.4, 0.6]) / [2.2, 1.8]  # the share of class 0 in each source class
    chances = np.where(classes == 0, answers @ first, answers @ (1 - first))
    assert score("leep", headed(answers, classes)) == pytest.approx(np.log(chances).mean())
    # source class 0 is answered thrice, for classes 0, 0 and 1; source class 1 once
    expected = (2 * np.log(2 / 3) + np.log(1 / 3) + np.log(1)) / 4
    assert score("nce", headed(answers, classes)) == pytest.approx(expected)


def test_a_head_that_tells_classes_apart_scores_0_and_one_that_does_not_their_entropy() -> None:
    classes = np.arange(12) % 3
    sure = headed(np.eye(5)[classes + 1], classes)
    blind = headed(np.full((12, 5), 0.2, dtype=np.float32), classes)
    for name in ("leep", "nce"):
        assert score(name, sure) == pytest.approx(0, abs=1e-12)
        assert score(name, blind) == pytest.approx(-np.log(3))


def test_source_classes_of_vanishing_probability_do_no_harm() -> None:
    classes = np.arange(6) % 2
    answers = np.tile(np.array([1.0, 1e-320, 0.0]), (6, 1))
    assert score("leep", headed(answers, classes)) == pytest.approx(-np.log(2))


def test_probabilities_that_were_rounded_count_as_shares() -> None:
    rng = np.random.default_rng(0)
    answers, classes = rng.dirichlet(np.ones(4), size=20), np.arange(20) % 3
    rounded = answers * rng.uniform(0.98, 1.02, (20, 1))
    for name in ("leep", "nce"):
        exact = score(name, headed(answers, classes))
        assert score(name, headed(rounded, classes)) == pytest.approx(exact)
