"""Two data sets compared: the tests behind it, what is said, and the command."""

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
from PIL import Image, ImageFilter
from scipy.stats import rankdata
from test_familiarity import blobs, shares
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.drift import Reference, two_sample
from headstart.drift.accuracy import expected
from headstart.drift.shift import Answered, compared, shares_of, with_interval
from headstart.drift.words import in_one_line
from headstart.errors import DataError, HeadstartError
from headstart.results.shift import Shifted


def run(*arguments: str | Path) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sample(
    count: int, seed: int, move: float = 0.0, keep: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blobs that are moved, and of the first `keep` classes mostly where these are fewer."""
    features, outputs, targets = blobs(3 * count, seed)
    rare = (targets >= keep) & (np.arange(len(targets)) % 6 > 0)
    places = np.flatnonzero(~rare)[:count]
    features, outputs, targets = features[places], outputs[places], targets[places]
    return features + move, outputs, targets


def shift_of(new: tuple[np.ndarray, ...], seed: int = 0) -> Any:
    """The shift from 200 blobs to others."""
    reference = Reference.of(*sample(200, seed))
    features, outputs, _ = new
    names = [f"item {n}" for n in range(len(features))]
    other = Answered(names, features, outputs, shares(outputs))
    return compared(reference, shares(reference.outputs), other, ("a", "b", "c"), seed)


@given(st.integers(0, 100), st.integers(4, 20))
def test_assignments_keep_the_sizes_within_each_stratum(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    second, strata = rng.random(count) < 0.5, rng.integers(0, 3, count)
    draws = two_sample.assignments(second, 30, rng, strata)
    for group in range(3):
        assert (draws[:, strata == group].sum(axis=1) == second[strata == group].sum()).all()


def test_the_discrepancy_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    rows, second = rng.normal(size=(12, 3)).astype(np.float32), np.arange(12) >= 7
    alike = two_sample.kernel(rows)

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(alike[np.ix_(a, b)].mean())

    exact = mean(~second, ~second) + mean(second, second) - 2 * mean(~second, second)
    assert two_sample.discrepancy(alike, second[None])[0] == pytest.approx(exact, abs=1e-6)


def test_scores_of_the_classifier_are_those_of_a_ridge_without_the_item() -> None:
    rng = np.random.default_rng(0)
    rows, second = rng.normal(size=(15, 4)), np.arange(15) >= 7
    _, scores = two_sample.told_apart(rows, second, rng, 9)
    centred, target = rows - rows.mean(axis=0), second - second.mean()
    strength = np.trace(centred @ centred.T) / 15
    for column in (0, 9):
        others = np.delete(centred, column, axis=0)
        weights = np.linalg.solve(
            others.T @ others + strength * np.eye(4), others.T @ np.delete(target, column)
        )
        assert scores[column] == pytest.approx(float(centred[column] @ weights), rel=1e-6)


def test_the_auc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    scores, second = rng.integers(0, 5, (3, 30)).astype(float), rng.random((3, 30)) < 0.4
    exact = [roc_auc_score(s, v) for s, v in zip(second, scores, strict=True)]
    assert two_sample.auc(scores, second) == pytest.approx(exact)


def test_no_shift_is_an_alarm_in_one_of_twenty_and_no_more() -> None:
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(80, 10)).astype(np.float32)
        second = np.arange(80) >= 40
        apart = two_sample.told_apart(rows, second, rng, 99)[0]
        whole = two_sample.mmd(two_sample.kernel(rows), second, rng, 99)
        alarms += min(apart.p, whole.p) <= 0.025
    assert alarms <= 8  # binomial(60, .05) is above with probability .004


def test_moved_inputs_are_told_from_a_moved_class_mix() -> None:
    still = shift_of(sample(200, 1))
    assert "No evidence" in in_one_line(still)
    inputs = shift_of(sample(200, 1, move=0.6))
    assert inputs.moved and inputs.inputs_moved and "The inputs moved" in in_one_line(inputs)
    mix = shift_of(sample(200, 1, keep=2))
    assert mix.moved and mix.mix_moved and not mix.inputs_moved
    assert "class mix moved" in in_one_line(mix)
    (row,) = [row for row in mix.shares if row["label"] == "c"]
    assert row["changed"] and row["low"] < 0.1 < row["before"]
    assert row["low"] <= row["now"] <= row["high"]
    assert inputs.apart.effect > 0.9 > still.apart.effect


def test_shares_of_classes_are_found_again() -> None:
    covered = 0
    for seed in range(20):
        _, outputs, _ = sample(300, seed)
        _, now, targets = sample(400, seed + 50, keep=2)
        value, low, high = with_interval(shares(now), shares(outputs), np.random.default_rng(0))
        truth = np.bincount(targets, minlength=3) / len(targets)
        covered += bool(((low - 0.02 <= truth) & (truth <= high + 0.02)).all())
        assert value.sum() == pytest.approx(1.0)
    assert covered >= 16
    assert shares_of(shares(outputs), shares(outputs).mean(axis=0)) == pytest.approx(
        shares(outputs).mean(axis=0), abs=1e-3
    )


def test_the_range_of_accuracy_holds_it_where_nothing_moved_and_warns_where_all_did() -> None:
    covered = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        outputs = rng.normal(size=(500, 3)) * 1.5
        chances = shares(outputs)
        targets = (chances.cumsum(axis=1) < rng.random((500, 1))).sum(axis=1)
        reference, new = (chances[:200], targets[:200]), chances[200:]
        result = expected(reference, new, rng.random(300))
        covered += result.low <= (new.argmax(axis=1) == targets[200:]).mean() <= result.high
        assert not result.outside
    assert covered >= 27
    strange = expected(reference, new, np.full(300, 0.001))
    assert strange.outside and strange.low < 0.36 and strange.unfamiliar == 1.0


def test_a_saved_model_and_other_pictures_are_compared(fitted: Fitted, tmp_path: Path) -> None:
    same = hs.shift(fitted.folder, fitted.pictures)
    assert isinstance(same, Shifted) and same.shift.repeated == 24  # as many were held out
    assert same.shift.items[1] == 56 and "24 of the items are held-out ones" in str(same)
    other = tmp_path / "blurred"
    shutil.copytree(fitted.pictures, other)
    for path in other.rglob("*.png"):
        with Image.open(path) as picture:
            grey = picture.convert("L").filter(ImageFilter.GaussianBlur(4)).convert("RGB")
        grey.save(path)
    done = run("shift", fitted.folder, other, "--json")
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["moved"] and record["inputs_moved"] and record["apart"]["effect"] > 0.9
    assert record["expected"]["low"] <= record["expected"]["high"] <= 1
    assert len(record["furthest"]) == 10 and Path(record["furthest"][0]["item"]).exists()
    text = run("shift", fitted.folder, other).stdout
    assert "The inputs moved" in text and "furthest items" in text and "Accuracy to expect" in text


def test_labelled_data_are_compared_in_the_features_of_a_backbone(tmp_path: Path) -> None:
    rows = [f"{'good fine' if n % 2 else 'bad dull'} film number {n},{n % 2}" for n in range(160)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "b.csv").write_text("\n".join(["text", *(f"xq{n} zvw{n}k qq" for n in range(60))]))
    (tmp_path / "few.csv").write_text("text\nsome words\nmore words\n")
    shift = hs.shift(tmp_path / "a.csv", tmp_path / "b.csv", backbone="seeded:bag")
    assert shift.shift.moved and shift.to_json()["before"].endswith("a.csv")
    (row,) = [row for row in shift.shift.measures if row["name"] == "tokens a word"]
    assert row["before"] >= 1
    with pytest.raises(DataError, match="2 new items are too few"):
        hs.shift(tmp_path / "a.csv", tmp_path / "few.csv", backbone="seeded:bag")


def test_mistakes_are_answered_in_a_sentence(fitted: Fitted, tmp_path: Path) -> None:
    done = run("shift", fitted.pictures, fitted.pictures)
    assert done.exit_code == 2 and "is no saved model" in done.stderr and "-b" in done.stderr
    gone = run("shift", fitted.folder, tmp_path / "gone")
    assert gone.exit_code == 2 and "Traceback" not in gone.stderr
    few = write_pictures(tmp_path / "few", {"some": 3})
    with pytest.raises(HeadstartError, match="3 new items are too few"):
        hs.shift(fitted.folder, few)


@pytest.mark.slow
def test_a_language_that_the_encoder_does_not_know_is_named(shared_data: Path) -> None:
    from headstart.demo.docstrings import encoder

    reviews = shared_data / "text" / "sst2" / "val.csv"
    help_texts = next((shared_data / "parallel" / "help").rglob("*.csv"), None)
    if help_texts is None:
        pytest.skip("needs the help texts")
    import csv

    with open(help_texts, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts = [row["ru"] for row in rows if row.get("ru")][:100]
    shift = hs.shift(reviews, texts, backbone=f"hf:{encoder()}")
    assert shift.shift.moved
    assert "tokens a word" in str(shift) and "hardly knows this language" in str(shift)


def test_a_table_of_texts_is_compared_from_the_command_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = (("good fine nice warm", "yes"), ("bad poor cold grim", "no"))
    for name, rows in (("before.csv", 80), ("other.csv", 40)):
        lines = [
            f"{' '.join(rng.permutation(words[n % 2][0].split())[:3])} {n},{words[n % 2][1]}"
            for n in range(rows)
        ]
        (tmp_path / name).write_text("\n".join(["text,label", *lines]))
    before, other = tmp_path / "before.csv", tmp_path / "other.csv"
    done = run("shift", before, other, "-b", "seeded:bag")
    assert done.exit_code == 0, done.stderr
    assert f"40 items of {other} against" in done.stdout


def test_none_of_few_items_is_no_share_of_nothing() -> None:
    probabilities = np.full((40, 2), 0.5)
    chances = np.tile([1.0, 0.0], (20, 1))
    value, low, high = with_interval(chances, probabilities, np.random.default_rng(0))
    assert value[1] == pytest.approx(0, abs=1e-3)
    assert low[1] <= value[1] and high[1] > 0.1 and low[0] < 0.9


def test_a_place_that_is_not_there_is_named(fitted: Fitted, tmp_path: Path) -> None:
    done = run("shift", fitted.folder, tmp_path / "nowhere")
    assert done.exit_code == 2 and "nowhere can't be used: it does not exist" in done.stderr


def test_items_on_both_sides_are_left_out_unless_items_repeat_one_another_anyway() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 8)).astype(np.float32)
    new = np.concatenate([values[:20], rng.normal(size=(40, 8))]).astype(np.float32)
    same = two_sample.repeated(values.astype(np.float16), new)
    assert same[:20].all() and not same[20:].any()
    words = values[rng.integers(0, 5, 60)]  # five texts, again and again
    assert not two_sample.repeated(words, words[:30]).any()


def test_advice_names_what_was_given(fitted: Fitted, tmp_path: Path) -> None:
    other = tmp_path / "noise of the sea"
    other.mkdir()
    for number in range(30):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3))
        Image.fromarray(pixels.astype("uint8")).save(other / f"{number}.png")
    done = run("shift", fitted.folder, other)
    assert done.exit_code == 0, done.stderr
    assert f"headstart suggest {fitted.folder} '{other}'" in done.stdout
    watched = run("watch", fitted.folder, other)
    assert "MODEL DATA" not in done.stdout + watched.stdout
    same = run("shift", fitted.folder, fitted.pictures / "ants")
    assert same.exit_code == 0, same.stderr


def test_few_labelled_items_are_told_by_how_many_are_held_out(tmp_path: Path) -> None:
    rows = [f"{'good fine' if n % 2 else 'bad dull'} film number {n},{n % 2}" for n in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows]))
    with pytest.raises(DataError, match=r"12 held-out items are too few.*Give 67 or more labelled"):
        hs.shift(tmp_path / "a.csv", tmp_path / "a.csv", backbone="seeded:bag")


@given(values=st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=4))
def test_ranks_are_those_of_scipy(values: list[list[int]]) -> None:
    scores = np.array(values, np.float64)
    second = np.tile([True, False, False, True, False, True], (len(scores), 1))
    ranks = rankdata(scores, axis=1)
    wins = (ranks * second).sum(axis=1) - 6
    np.testing.assert_allclose(two_sample.auc(scores, second), wins / 9)
