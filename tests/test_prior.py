"""The prior: what counts before the data is looked at, and the laws it keeps."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.hubs.timm import listing
from headstart.transferability import prior as module
from headstart.transferability.history import Past
from headstart.transferability.prior import Facts, Prior, prior

MOBILENET = Facts(
    reference="timm:mobilenetv2_100",
    weights="m",
    pretrained=True,
    parameters=2_223_872,
    accuracy=72.9,
    year=2018,
    trained_on="ImageNet-1k",
    stages=19,
)
MINILM = Facts("hf:MiniLM", "l", True, 22_713_216, None, None, None, stages=8)


def run(data: str, weights: str, score: float, metric: str = "accuracy") -> Past:
    return Past(data, "classification", metric, f"of {weights}", weights, score, 0.0)


def only(facts: Facts, past: list[Past]) -> Prior:
    (result,) = prior([facts], past)
    return result


def test_the_published_accuracy_is_the_value() -> None:
    assert only(MOBILENET, []) == Prior(
        "timm:mobilenetv2_100",
        72.9,
        (
            "72.9 % top-1 on ImageNet-1k (published)",
            "trained on ImageNet-1k",
            "2.2M parameters",
            "2018",
        ),
    )


def test_best_comes_first() -> None:
    better = replace(MOBILENET, reference="timm:b", weights="b", accuracy=80.0)
    random = replace(better, reference="timm:c", pretrained=False, parameters=10**9)
    estimate = prior([random, MOBILENET, better], [])
    assert [each.reference for each in estimate] == ["timm:b", "timm:mobilenetv2_100", "timm:c"]
    assert estimate[-1].value == 0
    assert estimate[-1].reasons == ("random weights", "1000.0M parameters", "2018")


def test_without_an_accuracy_size_and_year_decide() -> None:
    bare = replace(MOBILENET, accuracy=None)
    estimate = only(bare, [])
    assert 65 < estimate.value < 75
    assert estimate.reasons[0] == "no published accuracy; estimated from its size and year"
    assert only(replace(bare, parameters=10**8), []).value > estimate.value
    assert only(replace(bare, year=2022), []).value > estimate.value
    assert only(replace(bare, accuracy=math.nan), []) == estimate
    assert only(replace(bare, parameters=1), []).value == module.LEAST


def test_texts_are_judged_by_size_without_a_word_of_top_1() -> None:
    small, large = only(MINILM, []), only(replace(MINILM, parameters=109_000_000), [])
    assert small.reasons == ("no published accuracy; judged by its size", "22.7M parameters")
    assert large.value > small.value
    nothing = only(replace(MINILM, parameters=None), [])
    assert nothing.reasons == ("no published accuracy; nothing to judge it by",)
    newer = only(replace(MINILM, parameters=None, year=2024), [])
    assert newer.reasons == ("no published accuracy; judged by its year", "2024")
    for each in (small, large, nothing, newer):
        assert "top-1" not in " ".join(each.reasons)


@pytest.mark.parametrize("parameters", [1_000, 4_400_000, 22_713_216, 600_000_000])
def test_word_vectors_never_precede_an_encoder_for_their_size(parameters: int) -> None:
    vectors = Facts("glove:840B", "g", True, 660_000_000, None, None, None, stages=2)
    encoder = replace(MINILM, parameters=parameters)
    assert only(vectors, []).value <= only(encoder, []).value
    assert only(vectors, []).reasons[0] == "a table of vectors, whose size says little"


def test_past_runs_shift_the_value_by_the_mean_lead() -> None:
    past = [run("1", "m", 0.90), run("1", "x", 0.80), run("1", "y", 0.86)]
    past += [run("2", "m", 0.70), run("2", "x", 0.69)]
    past += [run("3", "m", 0.99), run("4", "x", 0.10), run("4", "y", 0.20)]  # of one alone; others
    estimate = only(MOBILENET, past)
    assert estimate.value == pytest.approx(72.9 + (7 + 1) / 2 * 2 / (2 + 2))
    assert estimate.reasons[-1] == "led others by 4.0 points on 2 data sets here"
    worse = only(replace(MOBILENET, weights="x"), past)
    assert worse.reasons[-1].startswith("trailed others by ")
    assert only(replace(MOBILENET, weights="other"), past).value == 72.9


def test_several_metrics_of_a_data_set_count_once() -> None:
    past = [
        run("1", "m", 0.9),
        run("1", "x", 0.8),
        run("1", "m", 0.5, "f1"),
        run("1", "x", 0.5, "f1"),
    ]
    estimate = only(MOBILENET, past)
    assert estimate.value == pytest.approx(72.9 + 5 / 3)
    assert estimate.reasons[-1] == "led others by 5.0 points on 1 data set here"
    level = only(MOBILENET, past[2:])
    assert level.reasons[-1] == "level with others on 1 data set here"


def test_scores_worse_than_nothing_count_as_nothing() -> None:
    past = [run("1", "m", 0.5, "r2"), run("1", "x", -1e300, "r2"), run("1", "y", math.nan)]
    assert only(MOBILENET, past).value == pytest.approx(72.9 + 50 / 3)


WEIGHTS = st.sampled_from(["a", "b", "c", "d"])
SCORES = st.floats(0, 1) | st.floats()
PASTS = st.lists(
    st.builds(
        run, st.sampled_from(["1", "2", "3"]), WEIGHTS, SCORES, st.sampled_from(["f1", "r2"])
    ),
    max_size=12,
)
KNOWN = st.builds(
    Facts,
    reference=st.sampled_from(["timm:a", "timm:b", "hf:c", "glove:d"]),
    weights=WEIGHTS,
    pretrained=st.booleans(),
    parameters=st.none() | st.integers(0, 10**11),
    accuracy=st.none() | st.floats(0, 100) | st.just(math.nan),
    year=st.none() | st.integers(1980, 2100),
    trained_on=st.none() | st.just("COCO"),
    stages=st.integers(0, 30),
)


@given(facts=st.lists(KNOWN, max_size=5), past=PASTS, data=st.data())
def test_the_order_of_what_is_given_does_not_matter(
    facts: list[Facts], past: list[Past], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(facts)), data.draw(st.permutations(past))
    assert prior(*shuffled) == prior(facts, past)


@given(facts=st.lists(KNOWN, max_size=6), past=PASTS)
def test_random_weights_come_below_all_trained_ones(facts: list[Facts], past: list[Past]) -> None:
    facts_of = [replace(each, reference=str(number)) for number, each in enumerate(facts)]
    estimate = prior(facts_of, past)
    assert all(math.isfinite(each.value) and all(each.reasons) for each in estimate)
    trained = [facts_of[int(each.reference)].pretrained for each in estimate]
    assert trained == sorted(trained, reverse=True)
    assert all(
        (each.value > 0) == is_trained for each, is_trained in zip(estimate, trained, strict=True)
    )


@given(facts=KNOWN, past=PASTS.filter(bool), data=st.data(), gain=st.floats(0, 1))
def test_a_better_past_never_lowers_the_value(
    facts: Facts, past: list[Past], data: st.DataObject, gain: float
) -> None:
    place = data.draw(st.integers(0, len(past) - 1))
    worse = replace(past[place], weights=facts.weights, score=data.draw(st.floats(-1, 1)))
    better = replace(worse, score=worse.score + gain)
    before, after = ([*past[:place], each, *past[place + 1 :]] for each in (worse, better))
    assert only(facts, after).value >= only(facts, before).value - 1e-9


@pytest.mark.slow
def test_the_line_is_the_one_through_the_published_table() -> None:
    timm, torch = pytest.importorskip("timm"), pytest.importorskip("torch")
    rows = []
    for name, accuracy in listing.ACCURACY.items():
        with torch.device("meta"):
            network = timm.create_model(name.partition(".")[0])
        count, year = sum(each.numel() for each in network.parameters()), listing.year(name)
        assert year is not None
        if count >= 1e6:
            rows.append((1.0, math.log10(count / 2e7), year - 2020, accuracy))
    table = np.array(rows)
    inputs, accuracies = table[:, :3], table[:, 3]
    result = np.linalg.lstsq(inputs, accuracies, rcond=None)[0]
    assert result == pytest.approx([module.CENTRE, module.SIZE, module.YEAR], abs=0.06)
    hat = np.einsum("ij,jk,ik->i", inputs, np.linalg.inv(inputs.T @ inputs), inputs)
    assert median(np.abs((accuracies - inputs @ result) / (1 - hat))) < 2
    assert len(rows) == 182
