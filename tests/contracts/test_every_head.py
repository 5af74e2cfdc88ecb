"""What the flow relies on in any head on frozen features, whatever fits it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Task
from headstart.contracts.head import HeadFitter, Shape, TrainingSet
from headstart.errors import DataError, WeightsError
from headstart.evidence.fitting import answers
from headstart.loading import weights

NAMES = sorted(catalog.names("heads"))
LABELS, WIDTH = 3, 12
every_head = pytest.mark.parametrize("name", NAMES)
TASKS = {
    "classes": "image-classification",
    "label sets": "image-multi-label",
    "numbers": "image-regression",
}
every_kind = pytest.mark.parametrize("kind", sorted(TASKS))


def part(name: str) -> HeadFitter:
    """A head of the catalog, where what it needs is installed."""
    if name == "xgboost":
        pytest.importorskip("xgboost")
    found = catalog.head(name)
    found.demand()
    return found


def examples(kind: str, count: int = 90, seed: int = 0, far: float = 3.0) -> TrainingSet:
    """Features (N, 12) of three clouds, and targets of a kind that say of each item which."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % LABELS
    features = rng.normal(5, 1, (count, WIDTH)).astype(np.float32)
    features[np.arange(count), classes] += far
    known = np.eye(LABELS)[classes]
    targets: dict[str, np.ndarray] = {
        "classes": classes,
        "label sets": (known + np.roll(known, 1, axis=1)).astype(np.float32),
        "numbers": known @ np.array([[1.0, 0, 2], [-1, 1, 0], [0, -1, -2]]),
    }
    shape = Shape(catalog.targets(kind).encoding, WIDTH, LABELS)
    return TrainingSet(features, targets[kind], np.ones(count), shape)


def fitted(name: str, given: TrainingSet) -> nn.Module:
    """The candidate that loses least on other items."""
    kind = next(each for each in TASKS if catalog.targets(each).encoding is given.shape.encoding)
    checked, task = examples(kind, seed=1), catalog.task(TASKS[kind])
    made = list(part(name).candidates(given))
    return min(made, key=lambda each: loss(task, answers(each, checked.features), checked.targets))


def loss(task: Task, outputs: np.ndarray, targets: np.ndarray) -> float:
    return float(task.losses(outputs, targets).mean())


@every_head
def test_it_is_documented_and_takes_defaults(name: str) -> None:
    found = part(name)
    assert isinstance(found, HeadFitter)
    assert inspect.getdoc(type(found))
    given = {name: object() for name in inspect.signature(type(found)).parameters}
    assert vars(type(found)(**given)) == given


@every_kind
@every_head
def test_it_is_far_better_than_naive(name: str, kind: str) -> None:
    given, held_out = examples(kind), examples(kind, seed=2)
    task = catalog.task(TASKS[kind])
    outputs = answers(fitted(name, given), held_out.features)
    assert outputs.shape == (90, LABELS)
    assert outputs.dtype == np.float32
    naive = np.tile(task.naive(given.targets, ("a", "b", "c")), (90, 1))
    before = task.scores(naive, held_out.targets).mean()
    assert task.scores(outputs, held_out.targets).mean() > (1 + before) / 2
    assert len(task.decode(outputs, ("a", "b", "c"))) == 90


@every_kind
@every_head
def test_it_is_saved_as_tensors_and_restored_the_same(name: str, kind: str, tmp_path: Path) -> None:
    given, seen = examples(kind), torch.from_numpy(examples(kind, seed=3).features)
    for made in part(name).candidates(given):
        weights.save(made.state_dict(), tmp_path / "head.safetensors", {})
        state = weights.read(tmp_path / "head.safetensors").state
        if isinstance(made, nn.Linear):
            assert made.weight.shape == (LABELS, WIDTH)
            with pytest.raises(WeightsError, match="is linear"):
                part(name).restored(state, given.shape)
            continue
        again = part(name).restored(state, given.shape)
        with torch.inference_mode():
            assert torch.equal(again(seen), made(seen))
            torch.testing.assert_close(again(seen[4:5]), made(seen)[4:5], rtol=1e-4, atol=1e-4)
        assert not list(made.parameters())


@every_head
def test_damaged_tensors_are_refused(name: str) -> None:
    """Whatever stands in the file, it is an error of ours: never a crash or a wrong answer."""
    given = examples("classes", count=30)
    head, made = part(name), next(iter(part(name).candidates(given)))
    if isinstance(made, nn.Linear):
        pytest.skip("linear heads are kept with the backbone")
    state = made.state_dict()
    spoiled: list[dict[str, Tensor]] = [{**state, "more": torch.zeros(1)}, {}]
    for key, tensor in state.items():
        spoiled.append({k: v for k, v in state.items() if k != key})
        spoiled += [{**state, key: tensor[None]}, {**state, key: tensor.to(torch.uint8)}]
        if tensor.dim():
            spoiled.append({**state, key: tensor[:0]})
        if tensor.is_floating_point():
            spoiled.append({**state, key: torch.full_like(tensor, torch.nan)})
        else:
            spoiled += [{**state, key: torch.full_like(tensor, far)} for far in (-1, 2**40)]
    for wrong in spoiled:
        with pytest.raises(WeightsError, match="no head of this kind"):
            head.restored(wrong, given.shape)
    for shape in (replace(given.shape, width=1), replace(given.shape, labels=7)):
        with pytest.raises(WeightsError, match="no head of this kind"):
            head.restored(state, shape)


@every_head
def test_two_fits_are_equal(name: str) -> None:
    given = examples("classes", far=1.0)
    one, other = (list(part(name).candidates(given)) for _ in range(2))
    assert all(tiny.same_tensors(a, b) for a, b in zip(one, other, strict=True))


@every_head
@pytest.mark.parametrize("present", [(0, 2), (0, 1, 3)])
def test_a_class_without_training_items_never_wins(name: str, present: tuple[int, ...]) -> None:
    given = examples("classes")
    kept = given.targets < len(present)
    classes = np.array(present)[given.targets[kept]]
    shape = replace(given.shape, labels=4)
    some = TrainingSet(given.features[kept], classes, np.ones(int(kept.sum())), shape)
    for made in part(name).candidates(some):
        assert set(answers(made, some.features).argmax(axis=1)) <= set(present)


@every_head
def test_labels_that_never_vary_are_answered_so(name: str) -> None:
    given = examples("label sets")
    targets = given.targets.copy()
    targets[:, 0], targets[:, 1] = 1, 0
    outputs = answers(fitted(name, replace(given, targets=targets)), given.features)
    assert (outputs[:, 0] > 0).all()
    assert (outputs[:, 1] < 0).all()


@every_head
def test_items_that_weigh_more_count_more(name: str) -> None:
    given = examples("classes", far=0.5)
    heavy = np.where(given.targets == 1, 50.0, 1.0)
    plain, weighed = (
        next(iter(part(name).candidates(replace(given, weights=each))))
        for each in (given.weights, heavy)
    )
    if name == "knn":  # the first has one neighbour, whose weight says nothing
        plain, weighed = (
            list(part(name).candidates(replace(given, weights=each)))[-1]
            for each in (given.weights, heavy)
        )
    features = examples("classes", seed=5, far=0.5).features
    often = [(answers(made, features).argmax(axis=1) == 1).sum() for made in (plain, weighed)]
    assert often[1] > often[0]


@every_head
def test_features_that_are_not_finite_are_refused(name: str) -> None:
    given = examples("classes", count=12)
    given.features[3, 2] = np.nan
    with pytest.raises(DataError, match="not finite numbers"):
        list(part(name).candidates(given))
