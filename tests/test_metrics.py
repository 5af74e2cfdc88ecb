"""A metric that is named decides choice, evidence, verdict and report, in the data's units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

import headstart as hs
from headstart import catalog
from headstart.evidence import metric_interval
from headstart.evidence.by_class import by_group, of_class, within
from headstart.evidence.intervals import Interval, gained
from headstart.loading import record
from headstart.metrics.right import BalancedAccuracy
from headstart.pipeline.metrics import fitting, weighed
from headstart.report.page import FILE

QUICK = {"device": "cpu", "epochs": 2, "seeds": 1}


def texts(folder: Path, rare: int = 60, usual: int = 60) -> Path:
    """Texts of two classes that share most of their words."""
    rng = np.random.default_rng(0)
    rows = ["text,label"]
    for number in range(rare + usual):
        words = rng.choice(["sun", "rain"], 3, p=(0.8, 0.2) if number < rare else (0.2, 0.8))
        label = "rare" if number < rare else "usual"
        rows.append(f"{' '.join(words)} n{number},{label}")
    path = folder / "texts.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def numbers(folder: Path) -> Path:
    """Texts with a number that some of their words say."""
    rng = np.random.default_rng(1)
    rows = ["text,price"]
    for number in range(100):
        much = int(rng.integers(0, 5))
        words = ["gold"] * much + ["tin"] * (5 - much)
        rows.append(f"{' '.join(words)} n{number},{100 * much + rng.normal(0, 5):.2f}")
    path = folder / "prices.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def fitted(data: Path, out: Path, strategy: str = "feature-extraction", **more: Any) -> Any:
    settings = hs.Settings(**{**QUICK, "evidence": "quick", **more})
    return hs.fit(data, "seeded:bag", out, strategy=strategy, settings=settings)


@pytest.mark.parametrize("name", ["macro-f1", "auroc"])
def test_a_metric_goes_through_a_fit(name: str, tmp_path: Path) -> None:
    data, shown = texts(tmp_path), catalog.metric_named(name).name
    result = fitted(data, tmp_path / "model", metric=name, scratch=False, judge="holdout")
    entry = result.to_json()
    assert entry["metric"] == shown
    assert f"chosen and judged by {shown}" in entry["protocol"]
    predictor = hs.load(tmp_path / "model")
    arm = result.evidence.arms["chosen"]
    metric = catalog.metric_named(name)
    chosen = entry["arms"]["chosen"]
    assert chosen["low"] <= chosen["value"] <= chosen["high"]
    assert arm.scores.mean() == pytest.approx(chosen["value"], abs=1e-5)
    assert entry["classes"]["metric"] == "accuracy"
    others = {row["metric"]: row for row in entry["metrics"]}
    assert shown not in others and {"accuracy", "log loss"} <= others.keys()
    assert all(row["low"] <= row["value"] <= row["high"] for row in others.values())
    assert "By other metrics: " in str(result)
    page = (tmp_path / "model" / FILE).read_text()
    assert shown in page and "Other metrics" in page

    scored = hs.evaluate(tmp_path / "model", data)
    assert scored.metric == shown
    rows = [row.answer for row in predictor.predict([line for line in lines(data)])]
    shares = np.array([list(row["probabilities"].values()) for row in rows])
    targets = np.array([predictor.labels.index(label) for label in labels(data)])
    assert scored.score.value == pytest.approx(metric.of(shares, targets), abs=1e-6)
    expected = (
        sk.roc_auc_score(targets, shares[:, 1])
        if name == "auroc"
        else sk.f1_score(targets, shares.argmax(axis=1), average="macro")
    )
    assert scored.score.value == pytest.approx(expected, abs=1e-6)
    assert {row["metric"] for row in scored.to_json()["metrics"]} == others.keys()

    compared = hs.compare(tmp_path / "model", tmp_path / "model", data)
    assert compared.metric == shown
    assert (compared.first.score.value, compared.difference.value) == (scored.score.value, 0.0)
    report = hs.report_on(tmp_path / "model", data, tmp_path / "page")
    assert report.evidence["metric"] == shown
    assert report.evidence["arms"]["chosen"]["value"] == pytest.approx(scored.score.value, abs=1e-5)


def lines(table: Path) -> list[str]:
    return [row.rpartition(",")[0] for row in table.read_text().splitlines()[1:]]


def labels(table: Path) -> list[str]:
    return [row.rpartition(",")[2] for row in table.read_text().splitlines()[1:]]


def test_less_is_better_is_shown_as_the_field_does(tmp_path: Path) -> None:
    data = numbers(tmp_path)
    result = fitted(data, tmp_path / "model", "lp-ft", metric="mae", judge="holdout")
    entry = result.to_json()
    assert (entry["metric"], entry["less_is_better"]) == ("MAE", True)
    chosen, naive = entry["arms"]["chosen"], entry["arms"]["naive"]
    assert 0 <= chosen["low"] <= chosen["value"] <= chosen["high"]
    assert 0 < chosen["value"] < naive["value"] > 50  # in the prices' units
    assert chosen["validation"] > 0
    assert entry["over_naive"]["value"] == pytest.approx(naive["value"] - chosen["value"], abs=1e-4)
    assert entry["over_naive"]["low"] > 0  # plus is better
    assert "of MAE (plus is better)" in str(result)
    assert "points" not in str(result)
    assert all(row["score"] > 0 for row in entry["convergence"]["chosen"])
    scored = hs.evaluate(tmp_path / "model", data)
    predictor = hs.load(tmp_path / "model")
    answers = [[row.answer["value"]] for row in predictor.predict(lines(data))]
    truth = [[float(label)] for label in labels(data)]
    expected = sk.mean_absolute_error(truth, answers)
    assert scored.score.value == pytest.approx(expected, rel=1e-4)
    worse = fitted(data, tmp_path / "worse", metric="rmse", scratch=False)
    comparison = hs.compare(worse.folder, tmp_path / "model", data)
    assert comparison.metric == "RMSE" and comparison.to_json()["less_is_better"]
    gap = comparison.first.score.value - comparison.second.score.value
    assert comparison.difference.value == pytest.approx(gap)


def test_folds_judge_by_a_metric_too(tmp_path: Path) -> None:
    entry = fitted(texts(tmp_path), tmp_path / "model", metric="auroc", judge="cv").to_json()
    assert entry["judge"]["by"] == "folds"
    for arm in entry["arms"].values():
        assert 0 <= arm["low"] <= arm["value"] <= arm["high"] <= 1.1
    assert entry["arms"]["naive"]["value"] < 0.6 < entry["arms"]["chosen"]["value"]
    assert entry["gain"]["low"] <= entry["gain"]["value"] <= entry["gain"]["high"]


def test_a_model_of_before_opens_as_before(tmp_path: Path) -> None:
    fitted(texts(tmp_path, rare=20, usual=100), tmp_path / "model", scratch=False)
    entries = record.read(tmp_path / "model")
    assert "metric" not in entries["task_settings"] and entries["settings"].pop("metric") is None
    record.write(tmp_path / "model", entries)
    assert hs.evaluate(tmp_path / "model", tmp_path / "texts.csv").metric == "balanced accuracy"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mae", "Metric 'mae' does not judge classes. Give one of accuracy, auroc, "),
        ("maccro-f1", "Metric 'maccro-f1' is not known. "),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(
    name: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(hs.HeadstartError, match=words):
        fitted(texts(tmp_path), tmp_path / "model", metric=name)
    assert not (tmp_path / "model").exists()


def test_which_metric_counts_classes_alike_says_how_they_are_fitted() -> None:
    def weighs(metric: str | None, weights: str = "auto") -> bool:
        return weighed(hs.Settings(class_weights=weights), metric)

    assert weighs(None) and weighs("macro-f1") and weighs("auroc") and weighs("balanced-accuracy")
    assert not (weighs("accuracy") or weighs("log-loss") or weighs("micro-f1"))
    assert not weighs("macro-f1", "none")
    assert fitting(hs.Settings(metric="f1"), "classes") == "macro-f1"
    assert fitting(hs.Settings(metric="f1"), "label sets") == "f1"
    assert fitting(hs.Settings(), "numbers") is None
    with pytest.raises(hs.HeadstartError, match="Leave out --metric"):
        fitting(hs.Settings(metric="f1"), "counts")


def test_a_task_says_what_it_is_judged_by() -> None:
    task = catalog.task("image-classification", metric="log-loss", balanced=True)
    assert (task.metric, task.sign) == ("log loss", -1)
    assert catalog.task("image-regression").metric == "r2"
    assert catalog.task_settings("image-regression", {"metric": "mae", "smoothing": 0.1}) == {
        "metric": "mae"
    }


def test_groups_and_classes_have_values_only_where_they_can_tell() -> None:
    task = catalog.task("image-classification", metric="auroc")
    outputs, targets = np.eye(2)[[0, 0, 1, 1, 1]], np.array([0, 1, 1, 1, 1])
    names = ["a", "a", "a", "b", "b"]
    scores = within(task, outputs, targets, names)
    assert scores[:3].mean() == 0.75 and np.isnan(scores[3:]).all()
    assert [row["group"] for row in by_group(scores, names)] == ["a"]
    assert of_class(task, outputs, targets).tolist() == [1, 0, 1, 1, 1]
    losses = np.array([-1.0, -3.0, -9.0])
    rows = by_group(losses, ["good", "good", "bad"], sign=-1)
    assert [(row["group"], row["value"]) for row in rows] == [("bad", 9.0), ("good", 2.0)]


def test_a_gain_is_in_points_or_in_units() -> None:
    gain = Interval(0.125, -0.5, 0.25)
    assert gained(gain, "accuracy") == ("+12.5 points of accuracy", "-50.0", "+25.0")
    assert gained(gain, "MAE", True) == ("+0.125 of MAE (plus is better)", "-0.5", "+0.25")


@pytest.mark.parametrize("kind", ["classes", "numbers", "label sets"])
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 30), resamples=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_metrics_of_arrays_are_those_of_tensors(
    kind: str, seed: int, count: int, resamples: int
) -> None:
    rng = np.random.default_rng(seed)
    predictions = np.round(rng.random((count, 3)), 1)  # with values that are equal
    shape = (count,) if kind == "classes" else (count, 3)
    targets = rng.integers(0, 2 if kind == "label sets" else 3, shape)
    weights = rng.integers(0, 4, (resamples, count)).astype(np.float64)
    weights[:, 0] += 1
    names = [n for n, own in catalog.metrics_for(kind).items() if own.in_arrays]
    assert names
    for name in names:
        metric = catalog.metric_named(name)
        statistics = metric.statistics(predictions, targets).astype(np.float64)
        ours = metric.values(statistics, weights)
        theirs = metric.value(torch.from_numpy(statistics), torch.from_numpy(weights))
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_balanced_accuracy_scores_items_by_their_influence(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    predictions, targets = rng.random((count, 4)), rng.integers(0, 4, count)
    metric = catalog.metric_named("balanced-accuracy")
    scores = metric.scores(predictions, targets)
    by_slope = hs.contracts.Metric.scores(metric, predictions, targets)
    value, items = metric.of(predictions, targets), np.bincount(targets)[targets]
    several = items > 1  # of one item there is no slope
    more = np.sqrt(items / np.maximum(items - 1, 1))
    expected = value + (by_slope - value) * more
    np.testing.assert_allclose(scores[several], expected[several], atol=1e-9)
    assert scores.mean() == pytest.approx(metric.of(predictions, targets))


def test_balanced_accuracy_of_one_item_a_class_has_an_interval_that_holds() -> None:
    rng, classes = np.random.default_rng(0), 60
    holds, widths = 0, []
    for _ in range(100):
        shares = rng.beta(6, 2, classes)  # of each class, what is answered
        right = rng.random(classes) < shares
        answers = np.where(right, np.arange(classes), (np.arange(classes) + 1) % classes)
        interval = metric_interval(BalancedAccuracy(), np.eye(classes)[answers], np.arange(classes))
        assert interval.value == pytest.approx(right.mean())
        holds += interval.low <= shares.mean() <= interval.high
        widths.append(interval.high - interval.low)
    assert holds >= 92 and 0.1 < np.mean(widths) < 0.3


@pytest.mark.parametrize("items", [2, 3, 10])
def test_influences_vary_as_other_items_of_few_would(items: int) -> None:
    rng, classes = np.random.default_rng(1), 40
    values, errors = [], []
    targets = np.repeat(np.arange(classes), items)
    for _ in range(300):
        right = rng.random(len(targets)) < 0.7
        answers = np.where(right, targets, (targets + 1) % classes)
        scores = BalancedAccuracy().scores(np.eye(classes)[answers], targets)
        values.append(right.mean())
        errors.append(scores.var() / len(scores))
    assert np.mean(errors) == pytest.approx(np.var(values), rel=0.25)
