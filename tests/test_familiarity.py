"""How familiar an input is, and what else the truth may be: laws, files, and a model's answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Fitted, write_pictures
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.contracts import Encoding
from headstart.drift import FILE, MOST, Familiarity, Limits, Reference, Sets, chosen
from headstart.drift.conformal import fewest, p_values, threshold
from headstart.errors import HeadstartError, WeightsError
from headstart.loading import record as records


def run(*arguments: str | Path) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


Blobs = tuple[np.ndarray, np.ndarray, np.ndarray]


def blobs(count: int, seed: int, classes: int = 3, width: int = 16) -> Blobs:
    """Features, outputs and targets of classes that overlap a little, drawn alike for all seeds."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width)) * 2
    targets = rng.integers(0, classes, count)
    features = centres[targets] + rng.normal(size=(count, width)) + 5
    outputs = -((features[:, None] - centres - 5) ** 2).sum(axis=2) / 6
    return features.astype(np.float32), outputs.astype(np.float32), targets


def shares(outputs: np.ndarray) -> np.ndarray:
    """The softmax."""
    raised = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@given(st.integers(1, 60), st.integers(0, 1000))
def test_the_mean_over_all_orders_of_a_p_value_is_never_below_its_level(
    count: int, seed: int
) -> None:
    scores = np.random.default_rng(seed).integers(0, 10, count + 1).astype(float)
    values = [p_values(np.delete(scores, n), scores[n : n + 1])[0] for n in range(count + 1)]
    for level in (0.05, 0.1, 0.5):
        assert np.mean(np.array(values) <= level) <= level + 1e-12


@given(st.integers(1, 60), st.integers(0, 1000))
def test_a_threshold_holds_its_share_of_items_left_out_in_turn(count: int, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=count + 1)
    limits = [threshold(np.delete(scores, n)) for n in range(count + 1)]
    if count < fewest():
        assert limits == [None] * (count + 1)
    else:
        entries = [s <= limit for s, limit in zip(scores, limits, strict=True) if limit is not None]
        assert np.mean(entries) >= 0.9 - 1e-12


@pytest.mark.parametrize("labels", [20, 50, 200, 1000])
def test_sets_hold_the_truth_in_nine_of_ten_resamples(labels: int) -> None:
    entries = []
    for seed in range(200 if labels < 100 else 40):
        rng = np.random.default_rng(seed)
        outputs = rng.normal(size=(labels + 300, 3)) * 1.5
        chances = shares(outputs).cumsum(axis=1)
        targets = (chances < rng.random((len(chances), 1))).sum(axis=1)
        sets = Sets.of(shares(outputs[:labels]), targets[:labels])
        assert sets is not None
        result = sets.around(shares(outputs[labels:]), ("a", "b", "c"))
        entries += ["abc"[t] in f["set"] for t, f in zip(targets[labels:], result, strict=True)]
    assert 0.885 < np.mean(entries) < (0.96 if labels < 100 else 0.92)


def test_ranges_hold_numbers_and_too_few_items_promise_nothing() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(3000, 2)) * (1, 100)
    answers = truth + rng.normal(size=truth.shape) * (0.5, 9)
    sets = Sets.of(answers[:500], truth[:500])
    assert sets is not None
    ranges = [row["ranges"] for row in sets.around(answers[500:], ("a", "b"))]
    for place, name in enumerate(("a", "b")):
        inside = [
            r[name][0] <= t[place] <= r[name][1] for r, t in zip(ranges, truth[500:], strict=True)
        ]
        assert 0.86 < np.mean(inside) < 0.94
    assert Sets.of(answers[:8], truth[:8]) is None
    assert Sets.of(answers[:9, :1], truth[:9, :1]) is not None


def test_usual_inputs_are_familiar_and_other_worlds_and_new_classes_are_not() -> None:
    familiarity = Familiarity(Reference.of(*blobs(300, 0)))
    features, outputs, _ = blobs(2000, 1)
    usual = familiarity(features, outputs)
    for level in (0.05, 0.2, 0.5):
        assert abs((usual <= level).mean() - level) < 0.04
    rng = np.random.default_rng(2)
    other = rng.normal(size=(200, 16)).astype(np.float32) * 4 - 8
    assert (familiarity(other, outputs[:200]) <= 0.05).mean() > 0.95
    assert usual.min() >= familiarity.least == 1 / 301


def test_a_reference_comes_back_as_it_was_and_holds_no_more_than_numbers(tmp_path: Path) -> None:
    features, outputs, targets = blobs(30, 0)
    reference = Reference.of(features, outputs, targets)
    again = Reference.read(tmp_path, reference.write(tmp_path))
    for name in ("features", "outputs", "targets"):
        assert np.array_equal(getattr(again, name), getattr(reference, name))
    assert again.features.dtype == np.float16
    assert np.isfinite(Reference.of(features * 1e6, outputs, targets).features).all()
    assert len(chosen(2000)) == MOST and len(set(chosen(2000))) == MOST


@pytest.mark.parametrize("harm", ["changed", "shapes", "infinite", "labels", "gone", "text"])
def test_a_damaged_reference_is_refused(harm: str, tmp_path: Path) -> None:
    features, outputs, targets = blobs(30, 0)
    if harm == "shapes":
        outputs = outputs[:20]
    if harm == "infinite":
        features[0, 0] = np.nan
    if harm == "labels":
        targets = targets + 5
    digest = Reference.of(features, outputs, targets).write(tmp_path)
    if harm == "changed":
        content = bytearray((tmp_path / FILE).read_bytes())
        content[-1] ^= 1
        (tmp_path / FILE).write_bytes(bytes(content))
    if harm == "gone":
        (tmp_path / FILE).unlink()
    if harm == "text":
        import hashlib

        (tmp_path / FILE).write_bytes(b"no tensors")
        digest = hashlib.sha256(b"no tensors").hexdigest()
    with pytest.raises(WeightsError, match="is missing or has changed"):
        Reference.read(tmp_path, digest)


def test_label_sets_have_a_familiarity_and_no_set() -> None:
    features, outputs, targets = blobs(60, 0)
    marks = np.eye(3, dtype=np.float32)[targets]
    chances = 1 / (1 + np.exp(-outputs))
    limits = Limits(Reference.of(features, outputs, marks), chances, "abc", Encoding.MARKS)
    (result,) = limits.of(features[:1], outputs[:1], outputs[:1])
    assert list(result) == ["familiarity"]


def test_a_saved_model_says_how_familiar_its_inputs_are(fitted: Fitted, tmp_path: Path) -> None:
    strange = write_pictures(tmp_path / "strange", {"some": 4}, size=64, seed=3)
    for path in strange.rglob("*.png"):
        from PIL import Image

        Image.new("RGB", (64, 64), (0, 255, 0)).save(path)
    model = hs.load(fitted.folder)
    predictions = model.predict(sorted((fitted.pictures / "ants").iterdir()))
    reference = model.reference
    assert reference is not None and len(reference) > 9
    values = [each.familiarity for each in predictions]
    assert all(value is not None and 0 < value <= 1 for value in values)
    assert {"ants"} <= set(predictions[0].limits["set"]) | {"ants"}
    new = model.predict(strange)
    assert np.median([each.familiarity or 0 for each in new]) < np.median([v or 0 for v in values])
    refused = model.predict(strange, abstain=True)
    for plain, other in zip(new, refused, strict=True):
        unlike = (plain.familiarity or 1) <= 0.05
        assert other.abstained is unlike
        if unlike:
            assert other.label == "unlike anything seen" and other.probability is None
    record = json.loads(run("predict", fitted.folder, strange, "--json", "--abstain").stdout)
    assert [row["abstained"] for row in record["predictions"]] == [
        each.abstained for each in refused
    ]
    shown = run("predict", fitted.folder, strange).stdout
    assert "familiarity" in shown and "truth in 90 %" in shown
    done = run("predict", fitted.folder, strange, "--abstain", "--explain")
    assert done.exit_code == 2 and "Leave one of them out" in done.stderr
    assert "how familiar its input is" in run("report", fitted.folder).stdout


def test_a_model_without_a_reference_goes_on_working(fitted: Fitted, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(fitted.folder, old)
    content = records.read(old)
    del content["reference"]
    records.write(old, content)
    (old / FILE).unlink()
    picture = next((fitted.pictures / "ants").iterdir())
    (answer,) = hs.load(old).predict(picture)
    (new,) = hs.load(fitted.folder).predict(picture)
    assert answer.probabilities == pytest.approx(new.probabilities, abs=1e-5)
    assert answer.familiarity is None and "familiarity" not in answer.to_json()
    with pytest.raises(HeadstartError, match=r"keeps no held-out items.*headstart fit DATA"):
        hs.load(old).predict(picture, abstain=True)
    assert run("predict", old, picture, "--abstain").exit_code == 2


def test_a_changed_reference_is_refused_when_the_model_is_opened(
    fitted: Fitted, tmp_path: Path
) -> None:
    shutil.copytree(fitted.folder, tmp_path / "m")
    (tmp_path / "m" / FILE).write_bytes(b"x")
    done = run("predict", tmp_path / "m", fitted.pictures)
    assert done.exit_code == 2 and FILE in done.stderr and "has changed" in done.stderr


@pytest.mark.slow
def test_photos_of_other_things_are_unlike_ants_and_bees(shared_data: Path, tmp_path: Path) -> None:
    weights = shared_data / "weights" / "mobilenetv2_100.imagenet.safetensors"
    photos = shared_data / "images" / "hymenoptera"
    model = tmp_path / "model"
    options = hs.Settings(scratch=False, evidence="none")
    hs.fit(
        photos, f"timm:mobilenetv2_100@{weights}", model,
        strategy="feature-extraction", settings=options,
    )  # fmt: skip
    predictor = hs.load(model)
    other = sorted((shared_data / "images" / "flowers" / "tulip").iterdir())[:20]
    answers = predictor.predict([*other, shared_data / "images" / "parrot.jpg"], abstain=True)
    assert sum(each.abstained for each in answers) >= 15
    held_out = sorted((photos / "val" / "bees").iterdir())[:20]
    assert sum(each.abstained for each in predictor.predict(held_out, abstain=True)) <= 4
