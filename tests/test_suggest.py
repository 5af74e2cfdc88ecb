"""`suggest`: what is left out and why, what is named, and what the labels that came changed."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Fitted, write_pictures
from typer.testing import CliRunner

import headstart as hs
from headstart import artifact, plan
from headstart.cli import app
from headstart.labelling.history import (
    SUFFIX,
    ModelScore,
    SuggestionRecord,
    ahead,
    changed,
    place_of,
)

QUICK = hs.Settings(scratch=False, evidence="none")


@pytest.fixture
def model(fitted: Fitted, tmp_path: Path) -> Path:
    """A copy of a saved model in a folder of its own, beside which nothing was suggested yet."""
    return Path(shutil.copytree(fitted.folder, tmp_path / "models" / "first"))


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Forty pictures that no model has seen."""
    return write_pictures(tmp_path / "pool", {"x": 20, "y": 20}, seed=5)


def test_known_copied_and_broken_items_are_left_out_and_counted(
    fitted: Fitted, model: Path, pool: Path
) -> None:
    photos = sorted(fitted.pictures.rglob("*.png"))
    for number, file in enumerate(photos[:7]):
        shutil.copy(file, pool / f"seen-{number}.png")
    for number in range(3):
        shutil.copy(pool / "x" / "000.png", pool / f"copy-{number}.png")
    (pool / "broken.png").write_bytes(b"no picture")
    suggestions = hs.suggest(model, pool, 50)
    by_name = [row.item.identity for row in suggestions.rows]
    assert (suggestions.pool.labelled_count, suggestions.pool.copies) == (7, 3)
    assert [Path(name).name for name, _ in suggestions.pool.skipped] == ["broken.png"]
    assert len(by_name) == len(set(by_name)) <= 40
    assert not set(by_name) & {each for part in plan.read(model).splits.values() for each in part}
    for words in ("Left out: 7 ", "Left out: 3 ", "broken.png"):
        assert words in str(suggestions)


def test_each_suggestion_says_why(model: Path, pool: Path) -> None:
    suggestions = hs.suggest(model, pool, 5)
    answers = {row.path: row for row in hs.load(model).predict(pool)}
    for row in suggestions.rows:
        answer = answers[row.name]
        best, second = sorted(answer.probabilities.values())[::-1]
        assert row.predicted == answer.label
        assert row.doubt == pytest.approx(1 - (best - second), abs=1e-3)
        assert 1 <= row.covers <= 40
    assert len(suggestions.rows) == 5 and str(suggestions).count("item") >= 5


def test_the_order_stays_the_same(model: Path, pool: Path) -> None:
    first, again = (hs.suggest(model, pool, 8).to_json()["suggestions"] for _ in range(2))
    assert first == again
    assert hs.suggest(model, pool, 3).to_json()["suggestions"] == first[:3]


def test_labelled_items_count_as_covered_by_their_stored_features_or_their_files(
    tmp_path: Path, pool: Path, own_cache: Path
) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 12, "bees": 12})
    model = tmp_path / "model"
    hs.fit(data, "seeded:convnet", model, strategy="feature-extraction", settings=QUICK)
    whole = hs.suggest(model, pool, 6)
    moved = data.rename(tmp_path / "elsewhere")
    stored = hs.suggest(model, pool, 6)  # the features of files that are gone
    assert stored.to_json()["suggestions"] == whole.to_json()["suggestions"]
    assert whole.remarks == stored.remarks == []
    shutil.rmtree(own_cache)
    gone = hs.suggest(model, pool, 6)
    assert len(gone.rows) == 6 and "are gone" in str(gone)
    moved.rename(data)
    shutil.rmtree(own_cache)
    assert hs.suggest(model, pool, 6).to_json()["suggestions"] == whole.to_json()["suggestions"]


def test_a_table_to_fill_in_is_data_for_fit(model: Path, pool: Path) -> None:
    place = pool / "next.csv"
    suggestions = hs.suggest(model, pool, 12, out=place)
    with place.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [str(pool / row["path"]) for row in rows] == [row.name for row in suggestions.rows]
    assert {row["label"] for row in rows} == {""}
    for row in rows:
        row["label"] = row["path"].partition("/")[0] if rows.index(row) > 1 else "x"
    labels = dict(zip(("x", "y"), (0, 0), strict=True))
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for number, row in enumerate(rows):
            row["label"] = "xy"[number % 2]
            labels[row["label"]] += 1
            writer.writerow(row)
    result = hs.fit(
        place, "seeded:convnet", pool.parent / "m", strategy="feature-extraction", settings=QUICK
    )
    assert result.evidence.data["items"] == sum(labels.values()) == 12


def grown(root: Path, data: Path, rows: list[Any]) -> Path:
    """The data with the suggested items, whose class is the folder that they lay in."""
    target = Path(shutil.copytree(data, root / "grown"))
    for number, row in enumerate(rows):
        name = {"x": "ants", "y": "bees"}[Path(row.name).parent.name]
        shutil.copy(row.name, target / name / f"new-{number}.png")
    return target


def test_a_refit_tells_what_the_labels_changed(tmp_path: Path, pool: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 15, "bees": 15})
    model = tmp_path / "model"
    hs.fit(data, "seeded:convnet", model, strategy="feature-extraction", settings=QUICK)
    first = hs.suggest(model, pool, 10)
    assert first.change is None
    more = grown(tmp_path, data, list(first.rows[:8]))
    before = artifact.read_evidence(model)["arms"]["chosen"]["value"]
    shutil.rmtree(model)  # the refit takes its place
    hs.fit(more, "seeded:convnet", model, strategy="feature-extraction", settings=QUICK)
    second = hs.suggest(model, pool, 10)
    assert second.change is not None
    assert (second.change.suggested, second.change.labelled) == (10, 8)
    assert second.change.before["value"] == pytest.approx(before)
    after = artifact.read_evidence(model)["arms"]["chosen"]
    assert {name: second.change.after[name] for name in ("value", "low", "high")} == pytest.approx(
        {name: after[name] for name in ("value", "low", "high")}
    )
    assert second.change.before["labels"] == 30 and second.change.after["labels"] == 38
    assert "8 have labels now" in str(second)
    assert not {row.item.identity for row in second.rows} & {
        row.item.identity for row in first.rows[:8]
    }
    assert hs.suggest(model, pool, 4).change == second.change  # told again


def judged(weights: str, value: float, items: str = "abc", metric: str = "accuracy") -> ModelScore:
    return ModelScore(weights, metric, value, value - 0.1, value + 0.1, frozenset(items), 20)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (judged("new", 0.95), ("the same items", "+0.350", "a clear change")),
        (judged("new", 0.65, "abd"), ("2 of them the same", "within each other's doubt")),
        (judged("new", 0.65, metric="balanced accuracy"), ("can't be compared",)),
    ],
)
def test_the_change_says_how_far_it_can_be_believed(
    now: ModelScore, words: tuple[str, ...], tmp_path: Path
) -> None:
    SuggestionRecord("2026-01-02T00:00:00+00:00", judged("old", 0.6), ("p", "q")).write(
        place_of(tmp_path / "first")
    )
    change = changed(tmp_path / "second", now, frozenset("pz"))
    assert change is not None and "2026-01-02" in change.sentence
    assert all(word in change.sentence for word in words)
    assert changed(tmp_path / "second", now, frozenset("z")) is None  # none of them has a label
    assert changed(tmp_path / "second", judged("old", 0.6), frozenset("p")) is None


def test_records_of_strangers_are_passed_over(tmp_path: Path, model: Path, pool: Path) -> None:
    for number, content in enumerate(("", "[]", '{"format": 1}', '{"format": 1, "judged": 3}')):
        (model.parent / f"odd{number}{SUFFIX}").write_text(content, encoding="utf-8")
    assert hs.suggest(model, pool, 2).change is None
    written = SuggestionRecord.read(place_of(model))
    assert written is not None and len(written.items) == 2


def evidence(last: int = 100) -> dict[str, Any]:
    points = [(last, 0.80), (2 * last, 0.84), (4 * last, 0.88)]
    rows = [{"items": n, "value": v, "low": v - 0.02, "high": v + 0.02} for n, v in points]
    return {
        "metric": "accuracy",
        "data": {"items": 2 * last},
        "labels": {"transfer": rows[:1], "forecast": rows[1:]},
    }


def test_the_forecast_of_more_labels_lies_on_the_curve() -> None:
    assert "0.840 (0.820 to 0.860)" in ahead(evidence(), 200)  # twice the labels
    assert "0.820 (0.800 to 0.840)" in ahead(evidence(), round(200 * (2**0.5 - 1)))
    assert ahead(evidence(), 10_000) == ""
    assert ahead({"metric": "accuracy", "data": {"items": 9}}, 20) == ""


def test_texts_are_named_by_their_words(tmp_path: Path) -> None:
    rows = [(f"{word} number {n}", word) for n in range(12) for word in ("good", "bad")]
    for name, chosen in (("train", rows), ("pool", [(f"new {t}", "") for t, _ in rows])):
        with (tmp_path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *chosen])
    model = tmp_path / "model"
    arguments = (tmp_path / "train.csv", "seeded:text-encoder", model)
    hs.fit(*arguments, strategy="feature-extraction", settings=QUICK)
    suggestions = hs.suggest(model, tmp_path / "pool.csv", 4, out=tmp_path / "next.csv")
    assert len(suggestions.rows) == 4 and all(
        row.name.startswith("new ") for row in suggestions.rows
    )
    assert (tmp_path / "next.csv").read_text(encoding="utf-8").startswith("text,label,")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent", "{pool}"], "absent"),
        (["{model}", "absent"], "absent does not exist"),
        (["{model}", "{pool}", "--next", "0"], "Ask for 1 or more"),
        (["{model}", "{seen}"], "holds no item to label"),
        (["{model}", "{pool}", "--out", "x.txt"], ".csv"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], words: str, model: Path, pool: Path, fitted: Fitted
) -> None:
    places = {"model": model, "pool": pool, "seen": fitted.pictures}
    done = CliRunner().invoke(
        app, ["suggest", *(each.format(**places) for each in arguments), "--json"]
    )
    assert done.exit_code == 2
    assert words in json.loads(done.stdout)["error"]


def test_the_command_answers_as_the_function(model: Path, pool: Path) -> None:
    done = CliRunner().invoke(app, ["suggest", str(model), str(pool), "--next", "3", "--json"])
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert record["suggestions"] == hs.suggest(model, pool, 3).to_json()["suggestions"]


@pytest.mark.slow
def test_many_items_take_bounded_memory(tmp_path: Path) -> None:
    import tracemalloc

    from headstart.labelling.selection import select

    file = tmp_path / "features.npy"
    rows = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(100_000, 512))
    rng = np.random.default_rng(0)
    for start in range(0, 100_000, 10_000):
        rows[start : start + 10_000] = rng.normal(size=(10_000, 512))
    tracemalloc.start()
    picks = select(rows, rng.random(100_000), [rows[:50]], 20)
    peak = tracemalloc.get_traced_memory()[1]
    assert len(picks) == 20
    assert peak < 400e6  # features alone are 205 MB, a full matrix of distances 40 GB
