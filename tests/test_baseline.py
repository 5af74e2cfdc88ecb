"""The strongest cheap baseline: what it goes by, how it is fitted, and what the gain over it is."""

from __future__ import annotations

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import tiny
from conftest import Fitted, write_pictures
from hypothesis import given
from hypothesis import strategies as st
from pictures import saved
from PIL import Image as pil

from headstart import catalog
from headstart.contracts import Check, Modality, Preprocess
from headstart.data import load, refolded
from headstart.defaults import Settings
from headstart.evidence import Arm, Evidence, Experiment, baseline, baseline_arm, bootstrap, paired
from headstart.features.reading import Reader
from headstart.modalities.image.statistics import SIDE, colours, edges
from headstart.modalities.text import Text
from headstart.report import notes
from headstart.runtime import machine
from headstart.runtime.budget import Budget

IMAGE = catalog.modality("image")


def target(
    path: Path, modality: Modality, *, weigh: bool = True, budget: float | None = None
) -> Experiment:
    """What a fit of classes has, without any network."""
    dataset = load(path, modality)
    settings = Settings(device="cpu", budget=budget)
    kind = {"classes": "classification", "numbers": "regression"}[dataset.kind]
    inputs = catalog.targets(dataset.kind).task_settings(
        dataset.targets("train"), len(dataset.labels), weigh
    )
    return Experiment(
        dataset,
        catalog.task(f"image-{kind}", **inputs),
        Reader(modality, {}),
        settings,
        machine.Compute.of(settings, 0),
        Budget(budget),
        tiny.Recording(),
        task_settings=inputs,
    )


def table(path: Path, rows: Sequence[tuple[str, ...]], columns: str = "text,label") -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns.split(","), *rows])
    return path


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts with five words, of which the more frequent kind says the label."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        words = [rng.choice(["fine", "lovely", "dull", "poor"]) for _ in range(5)]
        good = sum(word in ("fine", "lovely") for word in words) > 2
        rows.append((" ".join([*words, f"n{number}"]), "good" if good else "bad"))
    return rows


@given(seed=st.integers(0, 99))
def test_a_mirrored_picture_keeps_its_colours_and_the_strength_of_its_edges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    small = pil.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    pixels = np.array(small.resize((SIDE, SIDE))).transpose(2, 0, 1)
    here, mirrored = colours(pixels), colours(pixels[:, :, ::-1])
    assert here.shape == (160,)
    assert (here[:64] ** 2).sum() == pytest.approx(1, rel=1e-4)
    assert mirrored[:64] == pytest.approx(here[:64])
    parts = [each[64:].reshape(2, 3, 4, 4) for each in (here, mirrored)]
    assert parts[1] == pytest.approx(parts[0][..., ::-1], rel=1e-3, abs=1e-4)
    result, other = (edges(each).reshape(8, 8, 9) for each in (pixels, pixels[:, :, ::-1]))
    assert other.sum(axis=2) == pytest.approx(result[:, ::-1].sum(axis=2), rel=0.2, abs=0.05)


def test_edges_tell_directions_apart_and_a_flat_picture_has_none() -> None:
    stripes = np.tile((np.arange(SIDE) // 4 % 2 * 255).astype(np.uint8), (3, SIDE, 1))
    across, down = edges(stripes), edges(stripes.transpose(0, 2, 1))
    assert across.reshape(8, 8, 9).sum(axis=(0, 1)).argmax() == 0  # brightness changes to the right
    assert down.reshape(8, 8, 9).sum(axis=(0, 1)).argmax() == 4  # and downwards: a quarter turn
    assert not edges(np.full((3, SIDE, SIDE), 90, np.uint8)).any()


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "1"])
def test_pictures_of_any_kind_have_statistics(mode: str) -> None:
    statistics = IMAGE.statistics(saved(pil.new("L", (7, 90), 200).convert(mode)))
    assert statistics is not None
    assert {name: part.shape for name, part in statistics.items()} == {
        "colour": (160,),
        "edges": (576,),
    }
    assert all(np.isfinite(part).all() for part in statistics.values())


def test_pictures_have_an_arm_of_colours_and_edges(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", {"ants": 40, "bees": 40})
    result = baseline_arm(target(folder, IMAGE))
    assert result is not None
    assert (result.strategy, result.steps) == ("colour-and-edges", 0)
    assert result.scores.mean() > 0.9
    assert result.selection_key[0] == result.checked.mean()


class Unread(Modality):
    """Texts that no network reads."""

    suffixes = Text.suffixes
    columns = Text.columns
    inline = True

    def check(self, raw: bytes) -> Check:
        """As texts are."""
        return Text().check(raw)

    def decode(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None = None
    ) -> bytes:
        """The bytes."""
        return raw

    def collate(self, items: Sequence[bytes], preprocess: Preprocess) -> list[bytes]:
        """The bytes of each."""
        return list(items)


@final
class Silent(Unread):
    """Nothing is known of its items."""


@final
class Signs(Unread):
    """Of its items the number of each letter is known."""

    def statistics(self, raw: bytes) -> Mapping[str, np.ndarray]:
        """How often each letter occurs."""
        return {"signs": np.array([raw.count(bytes([n])) for n in range(97, 123)], np.float32)}


def test_a_new_modality_has_the_arm_by_what_it_says_of_an_item(tmp_path: Path) -> None:
    path = table(tmp_path / "data.csv", reviews(120))
    result = baseline_arm(target(path, Signs()))
    assert result is not None
    assert result.strategy == "signs"
    assert result.scores.mean() > 0.75
    assert baseline_arm(target(path, Silent())) is None


def test_test_items_are_answered_by_a_fit_to_validation_as_well(tmp_path: Path) -> None:
    rows = [(f"alpha beta {n}", "usual", "train") for n in range(40)]
    rows += [(f"gamma delta {n}", "other", "train") for n in range(20)]
    for split in ("validation", "test"):  # a word that no training text has
        rows += [(f"{split} quux {n}", "other", split) for n in range(12)]
        rows += [(f"{split} alpha {n}", "usual", split) for n in range(4)]
    experiment = target(table(tmp_path / "data.csv", rows, "text,label,split"), Text())
    result = baseline_arm(experiment)
    assert result is not None
    assert result.scores.mean() == 1.0
    labels = experiment.dataset.labels
    unknown = result.outputs["validation"][:12]  # what training can't tell goes by the commoner one
    assert {labels[row.argmax()] for row in unknown} == {"usual"}


def test_folds_hold_no_test_items_and_have_the_arm_all_the_same(tmp_path: Path) -> None:
    experiment = target(table(tmp_path / "data.csv", reviews(80)), Text())
    result = baseline_arm(replace(experiment, dataset=refolded(experiment.dataset, 0, 3)))
    assert result is not None
    assert len(result.scores) == 0 < len(result.checked)
    assert result.outputs["test"].shape == (0, 2)


def test_turned_rows_are_fitted_as_the_rows_themselves_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = target(table(tmp_path / "data.csv", reviews(150)), Text())
    turned = baseline_arm(experiment)
    monkeypatch.setattr(baseline, "_FEW", 0)
    plain = baseline_arm(experiment)
    assert turned is not None and plain is not None
    for split in ("validation", "test"):
        shares = np.exp(turned.outputs[split]), np.exp(plain.outputs[split])
        assert shares[0] == pytest.approx(shares[1], abs=0.1)  # solvers end a little early


def test_more_items_than_it_learns_from_are_left_out_and_no_test_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = target(table(tmp_path / "data.csv", reviews(200)), Text())
    monkeypatch.setattr(baseline, "_MOST", 40)
    result = baseline_arm(experiment)
    assert result is not None
    assert len(result.scores) == len(experiment.dataset.split("test"))
    naive = np.bincount(experiment.dataset.targets("test")).max() / len(result.scores)
    assert result.scores.mean() > naive


def test_without_time_it_is_left_out_with_a_word(tmp_path: Path) -> None:
    experiment = target(table(tmp_path / "data.csv", reviews(60)), Text(), budget=1e-6)
    assert baseline_arm(experiment) is None
    assert isinstance(experiment.progress, tiny.Recording)
    assert any(
        "baseline is left out, as the budget" in message for message in experiment.progress.said
    )


def arm(name: str, scores: list[float], selection_key: float) -> Arm:
    return Arm(name, np.array(scores, dtype=np.float64), (selection_key, -1.0), 0.1)


def test_the_lead_is_over_the_baseline_that_is_strongest_on_validation() -> None:
    arms = {
        "naive": arm("naive", [0, 0, 0, 1] * 5, 0.4),
        "tf-idf": arm("tf-idf", [1, 1, 0, 1] * 5, 0.7),
        "features": arm("features", [1, 1, 1, 0] * 5, 0.9),
    }
    arms["chosen"] = arms["features"]
    result = Evidence("accuracy", arms, "seeded:bag", {}, baselines=("naive", "tf-idf"))
    record: dict[str, Any] = result.to_json()
    lead = paired(arms["chosen"].scores, arms["tf-idf"].scores, 0)
    assert record["over_baseline"] == {"name": "tf-idf"} | lead.to_json()
    assert record["over_baseline"]["value"] == 0.0
    (message,) = [line for line in notes(record) if "tf-idf" in line]
    assert message.startswith("Over the strongest simple method (tf-idf): +0.0")
    weak = replace(result, arms=arms | {"tf-idf": arm("tf-idf", [1] * 20, 0.3)})
    assert weak.to_json()["over_baseline"]["name"] == "naive"


def test_a_run_has_the_arm_in_its_record_and_on_its_card(fitted: Fitted) -> None:
    record = fitted.result.to_json()
    assert record["over_baseline"]["name"] in ("colour-and-edges", "naive")
    assert "colour-and-edges" in record["arms"]
    interval = bootstrap(fitted.result.evidence.arms["colour-and-edges"].scores)
    assert record["arms"]["colour-and-edges"]["value"] == interval.to_json()["value"]
    assert "colour-and-edges" in (fitted.folder / "README.md").read_text(encoding="utf-8")
