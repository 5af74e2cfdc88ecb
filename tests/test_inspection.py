"""Inspection: lists that are in order, planted label errors that are found, a map that holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart import catalog
from headstart.data import InlineSource, Item, load
from headstart.evidence.calibration import shares
from headstart.evidence.inspection import (
    LISTED,
    MAPPED,
    Inspected,
    ambiguous,
    feature_map,
    held_out_shares,
    inspection,
    mistakes,
    nearest,
    suspects,
)
from headstart.features.extract import Prefix, extract
from headstart.features.reading import Reader
from headstart.runtime import machine
from headstart.runtime.progress import Silent

LABELS = ("ants", "bees", "wasps")
few = settings(max_examples=25, deadline=None)


def clusters(count: int, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 16) around one point a class; of 300 items at spread 1 few are ambiguous."""
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(99).normal(0, 1, (3, 16))
    targets = rng.permutation(np.arange(count) % 3)
    features = middles[targets] + rng.normal(0, spread, (count, 16))
    return features.astype(np.float32), targets


def spoiled(targets: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The targets with some of them wrong, and the places of those."""
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(targets), round(share * len(targets)), replace=False)
    copy, labels = targets.copy(), targets.max() + 1
    copy[wrong] = (targets[wrong] + rng.integers(1, labels, len(wrong))) % labels
    return copy, wrong


def named(count: int, prefix: str = "") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def items(targets: np.ndarray, split: str) -> list[Item]:
    names = named(len(targets), split)
    return [
        Item(name, LABELS[target], split, InlineSource(b""))
        for name, target in zip(names, targets, strict=True)
    ]


def test_mistakes_are_the_wrong_answers_from_sure_to_unsure() -> None:
    outputs = np.array([[9.0, 0, 0], [0, 5, 0], [0, 2, 1], [0, 0, 9]], dtype=np.float32)
    result = mistakes(outputs, np.array([0, 0, 2, 1]), named(4), LABELS)
    assert [(row["id"], row["label"], row["predicted"]) for row in result] == [
        ("3", "bees", "wasps"),
        ("1", "ants", "bees"),
        ("2", "wasps", "bees"),
    ]
    assert result[0]["probability"] == pytest.approx(1 / (1 + 2 * np.exp(-9)), abs=1e-5)


def test_ambiguous_items_are_those_with_two_likely_labels() -> None:
    outputs = np.array([[9.0, 8.9, -9], [0, 5, 0], [1, 1, 1.2], [0, 0, 9]], dtype=np.float32)
    result = ambiguous(outputs, np.array([0, 1, 2, 2]), named(4), LABELS)
    assert [row["id"] for row in result] == ["0", "2"]
    assert (result[0]["label"], result[0]["predicted"]) == ("ants", "ants")


@few
@given(count=st.integers(1, 120), labels=st.integers(2, 4), seed=st.integers(0, 9))
def test_lists_are_capped_and_in_order(count: int, labels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs = rng.normal(0, 3, (count, labels)).astype(np.float32)
    targets = rng.integers(0, labels, count)
    names = [f"label {number}" for number in range(labels)]
    wrong = mistakes(outputs, targets, named(count), names)
    assert len(wrong) == min(LISTED, int((outputs.argmax(axis=1) != targets).sum()))
    assert all(row["label"] != row["predicted"] for row in wrong)
    sure = [row["probability"] for row in wrong]
    assert sure == sorted(sure, reverse=True)
    undecided = ambiguous(outputs, targets, named(count), names)
    sorted_shares = np.sort(shares(outputs), axis=1)
    margins = sorted_shares[:, -1] - sorted_shares[:, -2]
    assert len(undecided) == min(LISTED, int((margins <= 0.2).sum()))
    listed = [margins[int(row["id"])] for row in undecided]
    assert listed == sorted(listed)


def test_a_model_that_decides_on_all_items_is_undecided_on_none() -> None:
    outputs = np.array([[2.0, 0, 0], [0, 9, 0], [0, 0, 3]])  # the least sure: .79 against .11
    assert ambiguous(outputs, np.array([1, 1, 2]), named(3), LABELS) == []
    many = np.log(np.full((1, 77), 0.5 / 76))  # unsure, but with one label well before the others
    many[0, 5] = np.log(0.5)
    labels = [str(number) for number in range(77)]
    assert ambiguous(many, np.array([3]), named(1), labels) == []


@pytest.mark.parametrize("seed", range(3))
def test_planted_label_errors_are_found(seed: int) -> None:
    features, targets = clusters(600, seed=seed)
    spoiled_targets, wrong = spoiled(targets, 0.05, seed)
    suspects_found = suspects(features, spoiled_targets, named(600), LABELS)[: len(wrong)]
    places = [int(row["id"]) for row in suspects_found]
    assert len(set(places) & set(wrong.tolist())) >= 0.6 * len(wrong)
    scores = [row["score"] for row in suspects_found]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] <= scores[0] <= 1
    right = [row["likely"] == LABELS[targets[int(row["id"])]] for row in suspects_found]
    assert np.mean(right) > 0.8
    assert all(row["label"] == LABELS[spoiled_targets[int(row["id"])]] for row in suspects_found)
    assert len(suspects(features, spoiled(targets, 0.3)[0], named(600), LABELS)) == LISTED


def test_clean_and_separate_classes_rouse_no_strong_suspicion() -> None:
    features, targets = clusters(300, spread=0.2)
    suspects_found = suspects(features, targets, named(300), LABELS)
    assert suspects_found == []


def test_probabilities_of_an_item_ignore_its_own_label() -> None:
    features, targets = clusters(90, spread=0.5)
    before = held_out_shares(features, targets)
    assert before.sum(axis=1) == pytest.approx(np.ones(90))
    assert (before.argmax(axis=1) == targets).mean() > 0.9
    changed = targets.copy()
    changed[4] = (targets[4] + 1) % 3
    after = held_out_shares(features, changed)
    assert after[4].argmax() == before[4].argmax() == targets[4]


@pytest.mark.parametrize("targets", [[0], [1, 1, 1], [0, 1], [0, 0, 0, 1]])
def test_too_few_items_say_nothing(targets: list[int]) -> None:
    features = np.random.default_rng(0).normal(size=(len(targets), 4))
    assert suspects(features, np.array(targets), named(len(targets)), LABELS) == []


def test_neighbours_are_the_nearest_others() -> None:
    train, targets = clusters(60, spread=0.1)
    middle = train.mean(axis=0)
    values = np.stack([train[7], (train[8] - middle) * 5 + middle, train[9] + 0.01])
    neighbours = nearest(values, ["7", "far", "own"], train, named(60))
    assert list(neighbours) == ["7", "far", "own"]
    assert all(len(near) == len(set(near)) == 3 for near in neighbours.values())
    assert "7" not in neighbours["7"]
    assert neighbours["far"][0] == "8"
    assert neighbours["own"][0] == "9"
    for number, near in zip((7, 8, 9), neighbours.values(), strict=True):
        assert {targets[int(name)] for name in near} == {targets[number]}
    assert nearest(values[:0], [], train, named(60)) == {}
    assert nearest(values[:1], ["0"], train[:2], ["0", "1"]) == {"0": ["1"]}


def test_a_map_keeps_classes_together() -> None:
    features, targets = clusters(150, spread=0.3)
    shown = items(targets, "train")
    result = feature_map(features, targets, shown)
    order = np.random.default_rng(1).permutation(len(shown))
    divided = feature_map(features[order], targets[order], [shown[place] for place in order])
    assert result == divided
    assert result["id"] == sorted(item.id for item in shown)
    assert json.loads(json.dumps(result)) == result
    labels = np.array(result["label"])
    points = np.column_stack([result["x"], result["y"]])
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (labels[apart.argmin(axis=1)] == labels).mean() > 0.95


@pytest.mark.parametrize(("count", "width"), [(1, 4), (2, 1), (9, 3), (12, 1), (12, 4)])
def test_few_items_have_a_map_too(count: int, width: int) -> None:
    features = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    targets = np.arange(count) % 3
    for values in (features, np.zeros_like(features)):
        result = feature_map(values, targets, items(targets, "test"))
        assert len(result["x"]) == len(result["y"]) == count
        assert np.isfinite(result["x"] + result["y"]).all()


@pytest.mark.slow
def test_a_map_shows_a_share_of_many_items() -> None:
    features, targets = clusters(MAPPED + 600)
    result = feature_map(features, targets, items(targets, "train"))
    assert len(result["id"]) == MAPPED
    assert np.unique(result["label"], return_counts=True)[1] == pytest.approx(MAPPED / 3, abs=1)


def parts(kind: str = "classes") -> dict[str, Inspected]:
    """Three splits of one data set."""
    values = {}
    for seed, (split, count) in enumerate({"train": 60, "validation": 20, "test": 30}.items()):
        features, targets = clusters(count, spread=1.5, seed=seed)
        shown = items(targets, split)
        own = targets if kind == "classes" else np.eye(3, dtype=np.float32)[targets]
        values[split] = Inspected(shown, own, features)
    return values


def test_all_of_it_is_json_and_every_listed_item_has_neighbours() -> None:
    splits = parts()
    outputs = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    record = inspection("classes", LABELS, splits, outputs)
    assert json.loads(json.dumps(record)) == record
    listed = {row["id"] for key in ("mistakes", "ambiguous", "suspects") for row in record[key]}
    assert record["nearest"].keys() == listed
    assert any(name.startswith("test") for name in listed)
    assert all(not row["id"].startswith("test") for row in record["suspects"])
    assert record["suspects"]
    near = {name for names in record["nearest"].values() for name in names}
    assert all(name.startswith("train") for name in near)
    assert len(record["map"]["id"]) == 110
    assert set(record["map"]["split"]) == {"train", "validation", "test"}
    assert record == inspection("classes", LABELS, splits, outputs)


@pytest.mark.parametrize("kind", ["numbers", "label sets"])
def test_other_kinds_have_a_map_and_no_lists(kind: str) -> None:
    record = inspection(kind, LABELS, parts(kind), np.zeros((30, 3)))
    assert [record[key] for key in ("mistakes", "ambiguous", "suspects")] == [None] * 3
    assert record["nearest"] == {}
    assert len(record["map"]["id"]) == 110


@pytest.mark.slow
def test_errors_planted_among_photos_are_found(shared_data: Path) -> None:
    modality = catalog.modality("image")
    dataset = load(shared_data / "images" / "hymenoptera", modality)
    weights = shared_data / "weights" / "mobilenetv2_100.imagenet.safetensors"
    backbone = catalog.load_backbone(f"timm:mobilenetv2_100@{weights}")
    learned = [item for item in dataset.items if item.split != "test"]
    prefix = Prefix(backbone, len(backbone.stages), machine.device("cpu"))
    reader = Reader(modality, backbone.preprocess)
    features = extract(prefix, learned, reader, Silent()).features()
    targets = np.array([dataset.labels.index(item.label) for item in learned])
    names = [item.id for item in learned]
    for seed in range(4):
        spoiled_targets, wrong = spoiled(targets, 0.05, seed)
        suspects_found = suspects(features, spoiled_targets, names, dataset.labels)[: len(wrong)]
        planted = {names[place] for place in wrong}
        assert sum(row["id"] in planted for row in suspects_found) >= 0.6 * len(suspects_found) > 0
        assert sum(row["id"] in planted for row in suspects_found) >= 0.5 * len(wrong)
