"""`fit --adapt-to`: from a labelled source to a target whose labels reach no choice."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures
from PIL import Image

import headstart as hs
from headstart.errors import DataError, HeadstartError, UnknownNameError

TINY = "seeded:convnet"
CLASSES = ("ants", "bees", "wasps")


def darker(place: Path, source: Path, flat: bool, seed: int | None = None) -> Path:
    """The pictures by another camera: in one folder, or in those of classes, shuffled by a seed."""
    rng = np.random.default_rng(seed)
    for file in sorted(source.rglob("*.png")):
        name = CLASSES[rng.integers(3)] if seed is not None else file.parent.name
        folder = place if flat else place / name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(Image.open(file), dtype=float) * 0.5 + 10
        picture = Image.fromarray(pixels.astype("uint8"))
        picture.save(folder / f"{file.parent.name}-{file.name}")
    return place


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source, and the same kind of pictures by another camera, with and without labels."""
    root = tmp_path_factory.mktemp("adapting")
    write_pictures(root / "source", dict.fromkeys(CLASSES, 24))
    other = write_pictures(root / "other", dict.fromkeys(CLASSES, 12), seed=1)
    darker(root / "flat", other, flat=True)
    darker(root / "labelled", other, flat=False)
    darker(root / "shuffled", other, flat=False, seed=3)
    return root


@pytest.fixture(scope="module")
def results(places: Path) -> dict[str, hs.Result]:
    """One fit for each way in which the target's labels are there, or aren't."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(places / "cache"))
        return {
            name: hs.fit(places / "source", TINY, places / f"model-{name}", adapt_to=places / name)
            for name in ("flat", "labelled", "shuffled")
        }


def record(result: hs.Result) -> dict:  # type: ignore[type-arg]
    adaptation: dict = json.loads((result.folder / "evidence.json").read_text())["adaptation"]  # type: ignore[type-arg]
    return adaptation


def test_no_label_of_the_target_reaches_the_model(results: dict[str, hs.Result]) -> None:
    weights = {
        name: (each.folder / "model.safetensors").read_bytes() for name, each in results.items()
    }
    assert weights["flat"] == weights["labelled"] == weights["shuffled"]
    rows = [
        [(row["name"], row["validators"]) for row in record(each)["methods"]]
        for each in results.values()
    ]
    assert rows[0] == rows[1] == rows[2]


def test_the_record_says_what_was_tried_and_why(results: dict[str, hs.Result]) -> None:
    entry = record(results["flat"])
    names = [row["name"] for row in entry["methods"]]
    assert names[0] == "source only"
    assert {"mcc", "mixture", "standardisation", "coral"} <= set(names)
    assert not {"cdan", "dann"} & set(names)  # for those who ask by name
    assert entry["verdict"] in ("unknown", "source only")
    assert entry["oracle"] is None
    assert entry["items"] == 36
    assert "gain" not in entry["methods"][0]
    text = str(results["flat"])
    assert entry["headline"] in text
    assert "On the source's held-out items:" in text


def test_labels_of_the_target_print_the_gap_alone(results: dict[str, hs.Result]) -> None:
    entry = record(results["labelled"])
    assert entry["chosen"] == record(results["flat"])["chosen"]
    best = max(row["accuracy"]["value"] for row in entry["methods"])
    chosen = next(row for row in entry["methods"] if row["name"] == entry["chosen"])
    gap = best - chosen["accuracy"]["value"]
    assert entry["oracle"]["gap"] == pytest.approx(gap, abs=1e-4)


def test_the_model_answers_as_was_said(results: dict[str, hs.Result], places: Path) -> None:
    score = hs.evaluate(results["labelled"].folder, places / "labelled").score.value
    entry = record(results["labelled"])
    chosen = next(row for row in entry["methods"] if row["name"] == entry["chosen"])
    assert score == pytest.approx(chosen["accuracy"]["value"], abs=0.06)  # copies count there


def test_its_yardstick_is_the_target(results: dict[str, hs.Result], places: Path) -> None:
    predictor = hs.load(results["flat"].folder)
    reference = predictor.reference
    assert reference is not None
    assert not reference.labelled
    assert len(reference) == record(results["flat"])["items"]
    files = sorted((places / "flat").iterdir())
    answers = predictor.predict(files)
    familiar = [answer.limits["familiarity"] for answer in answers]
    assert np.median(familiar) > 0.3  # usual inputs are as familiar as one another
    assert "set" not in answers[0].limits  # without labels nothing holds the truth for sure
    shift = hs.shift(results["flat"].folder, places / "source")
    assert shift.to_json()["expected"] is None  # nor what accuracy to expect


def test_probabilities_are_calibrated_on_the_source(results: dict[str, hs.Result]) -> None:
    outcome = record(results["flat"])
    assert 0.05 <= outcome["temperature"] <= 20
    assert any("calibrated on held-out items of the source" in line for line in outcome["said"])


def test_a_page_shows_the_methods(results: dict[str, hs.Result]) -> None:
    page = (results["flat"].folder / "report.html").read_text(encoding="utf-8")
    assert "Answers on the target" in page
    assert "importance-weighting" in page


@pytest.mark.slow
def test_asked_labels_choose(results: dict[str, hs.Result], places: Path) -> None:
    table = results["flat"].folder / "label-next.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert 0 < len(rows) <= 20
    filled = places / "filled.csv"
    with filled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for row in rows:
            writer.writerow([row["path"], Path(row["path"]).name.partition("-")[0]])
    result = hs.fit(
        places / "source",
        TINY,
        places / "model-chosen",
        adapt_to=places / "flat",
        target_labels=str(filled),
    )
    entry = record(result)
    assert entry["by"] == "labels"
    assert entry["label_next"] == []
    gains = {row["name"]: row["gain"]["value"] for row in entry["methods"]}
    assert gains[entry["chosen"]] == max(gains.values())


def test_asked_labels_lie_anywhere(
    results: dict[str, hs.Result], places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(places / "cache"))
    files, target_labels = sorted((places / "flat").iterdir()), tmp_path / "asked.csv"
    rows = [f"{path},{path.name.partition('-')[0]}" for path in files]
    target_labels.write_text("\n".join(["path,label", *rows]))
    fit: dict[str, Any] = {"adapt_to": places / "flat", "target_labels": str(target_labels)}
    result = hs.fit(places / "source", TINY, tmp_path / "model", **fit)
    assert record(result)["by"] == "labels"
    target_labels.write_text(f"path,label\n{files[0]},cat\n")
    with pytest.raises(DataError, match=r"has the label 'cat', which is not one of 'ants'"):
        hs.fit(places / "source", TINY, tmp_path / "other", **fit)


@pytest.mark.slow
def test_a_plan_does_it_again(results: dict[str, hs.Result], places: Path) -> None:
    again = hs.reproduce(results["flat"].folder, places / "again")
    one, other = (each / "model.safetensors" for each in (results["flat"].folder, again.folder))
    assert one.read_bytes() == other.read_bytes()
    with pytest.raises(HeadstartError, match="was adapted to"):
        hs.prove(again.folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["standardisation", "dann"])
def test_a_method_that_is_named_is_taken(places: Path, name: str) -> None:
    pictures = [Image.open(file) for file in sorted((places / "flat").glob("*.png"))]
    result = hs.fit(
        places / "source", TINY, places / f"named-{name}", adapt_to=pictures, adaptation=name
    )
    entry = record(result)
    assert (entry["chosen"], entry["by"]) == (name, "user")
    assert not (result.folder / "label-next.csv").exists()


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"adapt_to": "nowhere"}, DataError, "nowhere"),
        ({"adaptation": "mcc"}, HeadstartError, "--adapt-to"),
        ({"target_labels": "some.csv"}, HeadstartError, "--adapt-to"),
        ({"adapt_to": "x", "adaptation": "mmc"}, UnknownNameError, "mcc"),
        ({"adapt_to": "x", "strategy": "lp-ft"}, HeadstartError, "frozen features"),
        ({"adapt_to": "x", "head": "knn"}, HeadstartError, "frozen features"),
        ({"adapt_to": "x", "judge": "cv"}, HeadstartError, "frozen features"),
    ],
)
def test_what_cannot_be_is_refused(
    places: Path,
    tmp_path: Path,
    options: dict,  # type: ignore[type-arg]
    kind: type[HeadstartError],
    words: str,
) -> None:
    with pytest.raises(kind, match=words):
        hs.fit(places / "source", TINY, tmp_path / "model", **options)
    assert not (tmp_path / "model").exists()
