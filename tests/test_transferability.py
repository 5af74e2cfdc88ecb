"""Transferability scores together: their table, their laws, hostile samples, noise, one choice."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headstart.errors import DataError, UnknownNameError
from headstart.transferability import SCORES, Sample, combined, neighbours, ridge, scored

KINDS = ("classes", "numbers", "label sets")
ALL_SAME_MEANS = {"k-nn": 0.0, "ridge": 0.0}
few = settings(max_examples=25, deadline=None)


def drawn(seed: int, kind: str = "classes", count: int = 40, signal: float = 1.0) -> Sample:
    """Items in 12 dimensions whose targets lie in 3 of them."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.arange(count) % 3)
    hidden = np.eye(3)[classes]
    features = rng.normal(size=(count, 12)) + signal * hidden @ rng.normal(size=(3, 12))
    targets = {
        "classes": classes,
        "numbers": (hidden[:, :2] * [3, -1] + 5).astype(np.float32),
        "label sets": hidden[:, :2].astype(np.float32),
    }[kind]
    return Sample(features, targets, kind)


def close(first: dict[str, float | None], second: dict[str, float | None]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        if value is None:
            assert second[name] is None
        else:
            assert second[name] == pytest.approx(value, rel=1e-6, abs=1e-8), name


@pytest.mark.parametrize("kind", KINDS)
def test_each_score_is_a_number_where_it_is_defined(kind: str) -> None:
    scores = scored(drawn(0, kind))
    assert set(scores) == set(SCORES)
    assert all(value is not None and np.isfinite(value) for value in scores.values())


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("classes", np.full(9, 2)),
        ("numbers", np.full((9, 1), 0.1)),
        ("label sets", np.ones((9, 3))),
    ],
)
def test_nothing_is_scored_where_all_items_have_one_target(kind: str, targets: np.ndarray) -> None:
    sample = Sample(np.random.default_rng(0).normal(size=(9, 4)), targets, kind)
    assert set(scored(sample).values()) == {None}


@few
@given(seed=st.integers(0, 999), kind=st.sampled_from(KINDS))
def test_the_order_of_items_says_nothing(seed: int, kind: str) -> None:
    sample = drawn(seed, kind)
    order = np.random.default_rng(seed).permutation(len(sample))
    turned = Sample(sample.features[order], sample.targets[order], kind)
    close(scored(sample), scored(turned))


@few
@given(seed=st.integers(0, 999), kind=st.sampled_from(KINDS), power=st.sampled_from([-300, 0, 306]))
def test_turning_shifting_and_scaling_features_says_nothing(
    seed: int, kind: str, power: int
) -> None:
    sample = drawn(seed, kind)
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    moved = (sample.features @ turn + rng.normal(size=12)) * 10.0**power
    close(scored(sample), scored(replace(sample, features=moved)))


@few
@given(seed=st.integers(0, 999), names=st.permutations(range(5)))
def test_the_names_of_classes_say_nothing(seed: int, names: list[int]) -> None:
    sample = drawn(seed)
    close(scored(sample), scored(replace(sample, targets=np.array(names)[sample.targets])))


@few
@given(seed=st.integers(0, 999), kind=st.sampled_from(KINDS[1:]))
def test_the_order_and_units_of_outputs_say_nothing(seed: int, kind: str) -> None:
    sample = drawn(seed, kind)
    targets = sample.targets.astype(np.float64)[:, ::-1]
    targets = targets * [-1e9, 1e-9] + 4 if kind == "numbers" else 1 - targets
    close(scored(sample), scored(replace(sample, targets=targets)))


@few
@given(seed=st.integers(0, 999), share=st.floats(0.2, 1))
def test_noise_in_labels_raises_no_held_out_score_by_much(seed: int, share: float) -> None:
    sample = drawn(seed, count=60)
    rng = np.random.default_rng(seed + 1)
    wrong = rng.random(len(sample)) < share
    noisy = np.where(wrong, rng.integers(0, 3, len(sample)), sample.targets)
    for name in ("k-nn", "ridge"):
        before = SCORES[name](sample)
        after = SCORES[name](replace(sample, targets=noisy))
        assert after <= before + 0.1


@pytest.mark.parametrize("seed", range(4))
def test_noise_of_many_dimensions_never_outranks_an_informative_source(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = np.arange(100) % 5
    noise = rng.normal(size=(100, 2048))
    means = 0.15 * rng.normal(size=(5, 512))
    informative = rng.normal(size=(100, 512)) + means[classes]
    results = [scored(Sample(part, classes, "classes")) for part in (noise, informative)]
    for name in ("logme", "ridge", "k-nn"):
        first, second = (each[name] for each in results)
        assert first is not None and second is not None
        assert first < second, name
    assert combined(results).argmax() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimensions", [10, 100])
def test_a_clearer_source_has_higher_scores(kind: str, dimensions: int) -> None:
    rng = np.random.default_rng(7)
    results = []
    for noise in (4.0, 2.0, 0.5):
        sample = drawn(3, kind, count=60)
        hidden = sample.codes @ rng.normal(size=(sample.codes.shape[1], dimensions))
        features = hidden + noise * rng.normal(size=hidden.shape)
        results.append(scored(replace(sample, features=features)))
    for name in ("logme", "ridge", "k-nn"):
        values = [each[name] or 0.0 for each in results]
        assert values == sorted(values), name
    assert combined(results).argmax() == 2


@few
@given(
    features=arrays.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(2, 12), st.integers(1, 15)),
        elements=st.sampled_from([0.0, 1.0, -1.0, 0.1, 1e-30, 1e30, -3e38, 7.0]),
    ),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 99),
)
def test_hostile_samples_give_finite_scores(features: np.ndarray, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = len(features)
    targets = {
        "classes": rng.integers(0, 4, count) * 2,
        "numbers": rng.choice([-1e30, 0, 1e-30, 5], size=(count, 2)),
        "label sets": rng.integers(0, 2, (count, 2)),
    }[kind]
    sample = Sample(features, targets, kind)
    for name, value in scored(sample).items():
        assert value is None or np.isfinite(value), name
    for predictions in (neighbours(sample), ridge(sample)):
        assert predictions.shape == sample.codes.shape
        assert np.isfinite(predictions).all()


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300, 1e-310])
def test_features_that_are_all_the_same_score_as_documented(value: float) -> None:
    classes = np.arange(10) % 2
    same = Sample(np.tile([value, value / 3, 0.7 * value], (10, 1)), classes, "classes")
    scores = scored(same)
    assert {name: scores[name] for name in ALL_SAME_MEANS} == pytest.approx(ALL_SAME_MEANS)
    informative = scored(Sample(classes[:, None] + np.eye(10), classes, "classes"))
    for name in SCORES:
        worse, better = scores[name], informative[name]
        assert worse is not None and better is not None
        assert worse < better, name


def test_items_of_one_class_in_one_point_score_best() -> None:
    classes = np.arange(12) % 3
    scores = scored(Sample(np.eye(3)[classes], classes, "classes"))
    assert scores["k-nn"] == scores["ridge"] == 1
    assert scores["logme"] is not None and scores["logme"] > 3


def test_one_item_a_class_is_scored() -> None:
    scores = scored(Sample(np.random.default_rng(0).normal(size=(4, 6)), np.arange(4), "classes"))
    assert scores["k-nn"] == scores["ridge"] == 0
    assert all(value is None or np.isfinite(value) for value in scores.values())


def test_the_combined_choice_averages_ranks() -> None:
    result = combined(
        [
            {"logme": 0.1, "k-nn": 0.9, "ridge": 0.8},
            {"logme": 0.3, "k-nn": 0.9, "ridge": None},
            {"logme": 0.2, "ridge": 0.7},
        ]
    )
    assert result.tolist() == pytest.approx([(1 + 2.5 + 3) / 3, (3 + 2.5 + 1) / 3, (2 + 1 + 2) / 3])
    assert combined([]).shape == (0,)
    assert combined([{}, {"logme": None}]).tolist() == [1.5, 1.5]


def table(values: np.ndarray) -> list[dict[str, float | None]]:
    return [dict(zip(("logme", "k-nn", "ridge"), row, strict=True)) for row in values.tolist()]


@few
@given(
    values=arrays.arrays(
        np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.integers(-5, 5).map(float)
    ),
    seed=st.integers(0, 99),
)
def test_the_combined_choice_knows_order_only(values: np.ndarray, seed: int) -> None:
    plain = combined(table(values))
    assert plain.sum() == pytest.approx(len(values) * (len(values) + 1) / 2)
    assert combined(table(np.exp(values) * [1, 1e6, 1e-6])).tolist() == plain.tolist()
    order = np.random.default_rng(seed).permutation(len(values))
    assert combined(table(values[order])).tolist() == plain[order].tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(bad: float) -> None:
    features = np.ones((4, 2))
    features[1, 1] = bad
    with pytest.raises(DataError, match="are not finite numbers"):
        Sample(features, np.arange(4), "classes")


def test_too_few_items_and_unknown_kinds_are_refused() -> None:
    with pytest.raises(DataError, match="Features of 1 labelled items"):
        Sample(np.ones((1, 2)), np.zeros(1, dtype=np.int64), "classes")
    with pytest.raises(UnknownNameError, match="'classes'"):
        Sample(np.ones((2, 2)), np.arange(2), "class")


def test_a_thousand_items_take_no_time() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1000, 1280)).astype(np.float32)
    sample = Sample(features, np.arange(1000) % 5, "classes")
    begun = time.process_time()
    scored(sample)
    assert time.process_time() - begun < 10  # about 1 on one core; C times D³ would take a minute
