"""A saved model that learns new items: what it gains and forgets, and which model is in place."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import headstart as hs
from headstart import defaults, plan
from headstart.cli import app
from headstart.errors import DataError, HeadstartError
from headstart.report.refit import _why

WORDS = {"yes": "good fine nice warm kind", "no": "bad poor cold grim dull"}
LATER = {"yes": "sunny bright lush merry calm", "no": "stormy dark bleak bitter harsh"}
SWAPPED = {"yes": WORDS["no"], "no": WORDS["yes"]}


def run(*arguments: str | Path) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(
    path: Path, words: Mapping[str, str], count: int, seed: int = 0, header: str = "text,label"
) -> Path:
    """A table of so many texts, each of three words of its class and a number of its own."""
    rng = np.random.default_rng(seed)
    names = list(words)
    rows = [
        f"{' '.join(rng.choice(words[name].split(), 3))} n{seed}x{number},{name}"
        for number in range(count)
        for name in [names[number % len(names)]]
    ]
    path.write_text("\n".join([header, *rows]))
    return path


def fit(data: Path, out: Path, **settings: Any) -> Path:
    """A probe on frozen features, and nothing beside."""
    own = hs.Settings(scratch=False, evidence="none", **settings)
    return hs.fit(data, "seeded:bag", out, strategy="feature-extraction", settings=own).folder


@pytest.fixture(scope="module")
def good_and_bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of good and bad words, and a model that tells them apart."""
    root = tmp_path_factory.mktemp("refit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        fit(write(root / "old.csv", WORDS, 160), root / "model")
    return root


@pytest.fixture
def model(good_and_bad: Path, tmp_path: Path) -> Path:
    """A copy of that model, whose data lie where they did."""
    shutil.copytree(good_and_bad / "model", tmp_path / "model")
    return tmp_path / "model"


def files(folder: Path) -> dict[str, str]:
    """The hashes of all files below a folder."""
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in every
    }


def test_new_items_are_learned_in_place_and_judged_apart(model: Path, tmp_path: Path) -> None:
    (model / "notes.txt").write_text("mine")
    new = write(tmp_path / "new.csv", LATER, 200, seed=1)
    done = run("refit", model, new, "--json")
    assert done.exit_code == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["handed_over"] and content["verdict"] == "helps" and content["out"] == str(model)
    assert content["new"]["after"]["value"] > 0.8 > content["new"]["before"]["value"]
    change = content["new"]["change"]
    assert change["low"] > 0 and change["value"] == pytest.approx(
        content["new"]["after"]["value"] - content["new"]["before"]["value"], abs=1e-4
    )
    assert content["old"]["items"] == 24 and content["old"]["change"]["high"] >= 0
    later = hs.load(model)
    answers = later.predict(["sunny bright merry", "stormy dark harsh", "good fine nice"])
    assert [each.label for each in answers] == ["yes", "no", "yes"]
    assert (
        later.reference is not None
        and len(later.reference) == 24 + 24 + content["new"]["items"] * 2
    )
    assert (model / "notes.txt").read_text() == "mine" and (model / "report.html").exists()
    record = plan.read(model)
    assert Path(record.data).name == "old.csv" and record.added == [str(new)]
    assert not list(tmp_path.glob("*.unfinished"))
    shown = run("report", model).stdout
    assert "Refitted: +" in shown and "On 24 old items that were held out" in shown
    assert "Before and after new items" in (model / "report.html").read_text()


def test_the_old_model_stays_where_nothing_is_gained(model: Path, tmp_path: Path) -> None:
    before = files(model)
    refitted = hs.refit(model, write(tmp_path / "new.csv", WORDS, 40, seed=2))
    assert not refitted.handed_over and refitted.record["new"]["before"]["value"] == 1.0
    assert "Nothing is gained." in str(refitted) and "stays as it was" in str(refitted)
    assert files(model) == before and refitted.verdict == "no evidence"
    forced = hs.refit(model, tmp_path / "new.csv", anyway=True)
    assert forced.handed_over and files(model) != before


def test_the_old_model_stays_where_old_items_are_forgotten(model: Path, tmp_path: Path) -> None:
    before = files(model)
    other = tmp_path / "other"
    done = hs.refit(model, write(tmp_path / "new.csv", SWAPPED, 600, seed=3), other)
    assert done.verdict == "hurts" and not done.handed_over and not other.exists()
    assert done.record["old"]["change"]["high"] < 0 and done.record["old"]["lost"]["items"] > 10
    assert "worse on old items by more than the interval" in str(done)
    assert files(model) == before


def test_a_new_class_is_learned_and_said(model: Path, tmp_path: Path) -> None:
    more = {"maybe": "perhaps possibly unsure vague fuzzy"}
    done = hs.refit(model, write(tmp_path / "new.csv", more, 30, seed=4), tmp_path / "other")
    assert done.handed_over and done.record["new_classes"] == ["maybe"]
    assert done.record["new"]["before"]["value"] == 0
    assert hs.load(tmp_path / "other").labels == ("no", "yes", "maybe")
    assert hs.load(model).labels == ("no", "yes")
    again = hs.refit(tmp_path / "other", write(tmp_path / "later.csv", LATER, 60, seed=5))
    assert again.handed_over and again.record["new_classes"] == []
    assert len(plan.read(tmp_path / "other").added) == 2


@pytest.mark.parametrize("judge", ["holdout", pytest.param("cv", marks=pytest.mark.slow)])
def test_few_new_items_are_judged_each_by_a_head_that_did_not_see_it(
    judge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "FOLDED", 300)
    old = write(tmp_path / "old.csv", WORDS, 60)
    model = fit(old, tmp_path / "model", judge=judge)
    done = hs.refit(model, write(tmp_path / "new.csv", LATER, 20, seed=1))
    assert done.handed_over and done.record["new"]["items"] == 20
    assert done.record["old"]["items"] == (60 if judge == "cv" else 9)
    assert done.record["new"]["after"]["value"] > 0.7
    learned = {each for part in plan.read(model).splits.values() for each in part}
    assert len(learned) == 80
    assert len(plan.read(model).splits["test"]) == (0 if judge == "cv" else 9)


def test_items_that_were_known_are_no_news_and_corrected_labels_count(
    model: Path, good_and_bad: Path, tmp_path: Path
) -> None:
    grown = write(tmp_path / "new.csv", LATER, 40, seed=1)
    rows = (good_and_bad / "old.csv").read_text().splitlines()[1:]
    flipped = [row.replace(",yes", ",no") for row in rows[:3] if row.endswith(",yes")]
    grown.write_text("\n".join([grown.read_text(), *rows[10:40], *flipped]))
    done = hs.refit(model, grown, tmp_path / "other")
    assert done.record["known"] == 30 + len(flipped) and done.record["new_items"] == 40
    assert done.record["relabelled"] == len(flipped) > 0


def test_numbers_are_refitted_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def table(path: Path, words: Sequence[str], count: int) -> Path:
        rows = []
        for number in range(count):
            high = int(rng.integers(0, 4))
            text = " ".join([words[0]] * high + [words[1]] * (3 - high))
            rows.append(f"{text} {path.stem}{number},{high + rng.normal() / 10:.3f}")
        path.write_text("\n".join(["text,label", *rows]))
        return path

    old = table(tmp_path / "old.csv", ("good", "bad"), 120)
    model = fit(old, tmp_path / "model", targets="numbers")
    done = hs.refit(model, table(tmp_path / "new.csv", ("sunny", "stormy"), 80))
    assert done.handed_over and done.record["metric"] == "r2"
    assert done.record["new"]["after"]["value"] > done.record["new"]["before"]["value"]
    assert done.record["new"]["change"]["value"] > 0


def test_mistakes_are_answered_in_a_sentence(tmp_path: Path) -> None:
    model = fit(write(tmp_path / "old.csv", WORDS, 160), tmp_path / "model")
    before = files(model)
    few = write(tmp_path / "few.csv", LATER, 3, seed=6)
    with pytest.raises(DataError, match=r"has 3 new items, too few.*Label 5 or more"):
        hs.refit(model, few)
    same = run("refit", model, tmp_path / "old.csv")
    assert same.exit_code == 2 and "0 new items beside 160 that the model was made" in same.stderr
    nowhere = run("refit", tmp_path / "none", few)
    assert nowhere.exit_code == 2 and "is not a saved model" in nowhere.stderr
    gone = run("refit", model, tmp_path / "gone.csv")
    assert gone.exit_code == 2 and "gone.csv does not exist" in gone.stderr
    new = write(tmp_path / "new.csv", LATER, 200, seed=1)
    done = run("refit", model, new, "-o", tmp_path)
    assert done.exit_code == 2 and "is not empty" in done.stderr
    shutil.move(tmp_path / "old.csv", tmp_path / "moved.csv")
    lost = run("refit", model, new)
    assert lost.exit_code == 2 and "which is not there now" in lost.stderr
    assert "--old" in lost.stderr
    assert files(model) == before and not list(tmp_path.glob("*.unfinished"))
    other = write(tmp_path / "other.csv", LATER, 40, seed=9)
    with pytest.raises(DataError, match="holds none of the"):
        hs.refit(model, new, old=[other])
    assert hs.refit(model, new, old=[tmp_path / "moved.csv"]).handed_over
    with pytest.raises(HeadstartError, match="was refitted with"):
        hs.prove(model)


@pytest.mark.parametrize(
    ("new", "old", "low", "message"),
    [
        (0.1, 0.0, -0.1, "It is better on new items, but by no more"),
        (0.0, 0.1, -0.1, "It is as good on new items and better on old ones, but by no more"),
        (0.0, 0.1, 0.05, "and better on old ones by more than the interval."),
    ],
)
def test_what_is_better_is_named(new: float, old: float, low: float, message: str) -> None:
    record = {
        "verdict": "no evidence",
        "gained": True,
        "new": {"change": {"value": new, "low": -0.2, "high": 0.2}},
        "old": {"change": {"value": old, "low": low, "high": 0.2}},
    }
    assert message in _why(record)
