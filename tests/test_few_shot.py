"""Few-shot: pairs within a batch, whatever the batch holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts.model import Model, Step
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.runtime import machine
from headstart.strategies.few_shot import FewShot
from headstart.training import Session, Splits, train


def contrast(features: Tensor, targets: Tensor, temperature: float = 0.1) -> Tensor:
    """What the strategy adds to a loss of zero."""
    step = Step(torch.empty(0), torch.zeros(()), features, targets)
    return FewShot(temperature=temperature).loss(step)


def by_hand(features: np.ndarray, targets: list[int], temperature: float) -> float:
    """Khosla et al. 2020, equation 2, item by item."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    losses = []
    for item, target in enumerate(targets):
        others = [other for other in range(len(targets)) if other != item]
        partners = [other for other in others if targets[other] == target]
        if partners:
            scores = {other: float(unit[item] @ unit[other]) / temperature for other in others}
            total = math.log(sum(math.exp(score) for score in scores.values()))
            losses.append(-sum(scores[other] - total for other in partners) / len(partners))
    return sum(losses) / max(1, len(losses))


@settings(max_examples=40)
@given(
    targets=st.lists(st.integers(0, 3), min_size=1, max_size=9),
    temperature=st.floats(0.05, 2.0),
    seed=st.integers(0, 9),
)
def test_the_contrast_is_that_of_the_paper(
    targets: list[int], temperature: float, seed: int
) -> None:
    features = np.random.default_rng(seed).normal(size=(len(targets), 5))
    result = contrast(torch.from_numpy(features), torch.tensor(targets), temperature)
    assert float(result) == pytest.approx(by_hand(features, targets, temperature), abs=1e-4)


@pytest.mark.parametrize("targets", [[0], [0, 1, 2], [0, 0, 1], [1, 1, 1]])
def test_any_batch_has_finite_gradients(targets: list[int]) -> None:
    features = torch.randn(len(targets), 4, requires_grad=True)
    contrast(features, torch.tensor(targets)).backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert bool(features.grad.any()) == (len(set(targets)) < len(targets) > 2)


@given(scale=st.floats(0.01, 100.0))
@settings(max_examples=20)
def test_only_directions_count(scale: float) -> None:
    features, targets = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    expected = contrast(features, targets)
    torch.testing.assert_close(contrast(features * scale, targets), expected, rtol=1e-4, atol=1e-4)


def test_classes_that_lie_together_cost_less() -> None:
    targets = torch.tensor([0, 0, 1, 1])
    together = torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]])
    assert contrast(together, targets) < contrast(together[[0, 2, 1, 3]], targets)


def test_bf16_features_are_compared_in_full() -> None:
    features, targets = torch.randn(8, 16).bfloat16(), torch.arange(8) % 2
    expected = contrast(features.float(), targets)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(contrast(features, targets), expected)


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_the_weight_is_of_the_contrast(weight: float) -> None:
    features, targets = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    step = Step(torch.empty(0), torch.tensor(3.0), features, targets)
    expected = 3.0 + weight * contrast(features, targets)
    torch.testing.assert_close(FewShot(weight=weight).loss(step), expected)


@pytest.mark.parametrize("targets", [torch.rand(4), torch.rand(4, 2), torch.ones(4, 3).long()])
def test_targets_that_are_no_classes_are_one_clear_sentence(targets: Tensor) -> None:
    with pytest.raises(HeadstartError, match=r"few-shot needs classes, but .*\. Give another"):
        contrast(torch.randn(4, 3), targets)


@pytest.mark.parametrize(("default", "epochs"), [(3, 3), (10, 10), (30, 10)])
def test_epochs_are_bounded(default: int, epochs: int) -> None:
    assert FewShot(rounds=10).epochs(default) == epochs


def test_it_is_between_two_probes() -> None:
    assert FewShot().starts_from_probe()
    assert FewShot().ends_with_probe()


def spread(model: Model, inputs: Tensor, targets: np.ndarray) -> float:
    """The mean cosine of items of one class less that of all pairs."""
    with torch.inference_mode():
        unit = nn.functional.normalize(model.eval().features(inputs), dim=1)
    likeness = (unit @ unit.T).numpy()
    return float(likeness[targets[:, None] == targets].mean() - likeness.mean())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_brings_items_of_one_class_together(precision: str) -> None:
    if precision == "bf16" and not machine.has_bf16(torch.device("cpu")):
        pytest.skip("multiplies in fp32 alone")
    feed, plain = tiny.feed(24, noise=1.0), tiny.session()
    where = machine.accelerator(Settings(precision=precision, device="cpu"), 0)
    session = Session(where, 0, plain.budget, plain.progress)
    apart = []
    for text in ("few-shot?weight=0", "few-shot"):
        model = tiny.model("seeded:residual?width=4")
        train(model, tiny.TASK, catalog.strategy(text), Splits(feed, feed), tiny.recipe(6), session)
        apart.append(spread(model, feed.inputs, feed.targets))
    before = spread(tiny.model("seeded:residual?width=4"), feed.inputs, feed.targets)
    assert apart[1] > apart[0] > before
