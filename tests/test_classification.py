"""Classification: what smoothing changes and what not, and how far the probe searches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn
from torch.nn import functional

from headstart.contracts import Batch
from headstart.contracts.model import Model
from headstart.tasks.classification import Classification, probe

FEATURES = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(9) % 3


def loss(task: Classification) -> float:
    model = Model({"as they are": nn.Identity()}, nn.Identity())
    return float(task.step(model, Batch(FEATURES, TARGETS)).loss)


@given(share=st.floats(0.0, 1.0))
def test_smoothing_spreads_a_share_of_each_target_over_all_labels(share: float) -> None:
    spread = functional.one_hot(TARGETS, 3) * (1 - share) + share / 3
    expected = -(spread * functional.log_softmax(FEATURES, dim=1)).sum(dim=1).mean()
    assert loss(Classification(smoothing=share)) == pytest.approx(float(expected), abs=1e-5)


def test_smoothing_is_for_training_alone_and_outlasts_weights() -> None:
    plain, smooth = Classification(), Classification(smoothing=0.3)
    outputs, targets = FEATURES.numpy(), TARGETS.numpy()
    assert np.array_equal(plain.losses(outputs, targets), smooth.losses(outputs, targets))
    weights = (1.0, 2.0, 3.0)
    assert loss(Classification(weights, 0.3)) != loss(Classification(weights))


def examples(count: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    targets = np.arange(count) % 3
    features = rng.normal(0, noise, (count, 40)).astype(np.float32)
    features[np.arange(count), targets] += 1
    return features, targets


def answer(head: nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        outputs: np.ndarray = head(torch.from_numpy(features)).numpy()
    return outputs


class Counted(tuple[float, ...]):
    """Strengths that count how many of them were taken."""

    taken = 0

    def __iter__(self) -> Iterator[float]:
        for strength in super().__iter__():
            self.taken += 1
            yield strength


@pytest.mark.parametrize(("noise", "all_tried"), [(2.0, False), (0.01, True)])
def test_the_probe_searches_until_it_gets_worse(
    noise: float, all_tried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    strengths = Counted(probe.PROBE_STRENGTHS)
    monkeypatch.setattr(probe, "PROBE_STRENGTHS", strengths)
    train, validation = examples(60, noise), examples(90, noise)
    result = Classification().probe(train, validation, tiny.LABELS)
    assert (strengths.taken == len(strengths)) == all_tried
    monkeypatch.setattr(probe, "PROBE_PATIENCE", 100)
    every = Classification().probe(train, validation, tiny.LABELS)
    assert torch.equal(result.weight, every.weight)  # type: ignore[arg-type] # both are linear


@pytest.mark.parametrize("absent", range(3))
@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0, 1e4), seed=st.integers(0, 9))
def test_a_label_without_training_examples_is_never_predicted(
    absent: int, scale: float, seed: int
) -> None:
    features, targets = examples(15, 1.0)
    present = targets != absent
    task = Classification()
    head = task.probe((features[present], targets[present]), examples(9, 1.0), tiny.LABELS)
    anywhere = np.random.default_rng(seed).normal(0, scale, (50, 40)).astype(np.float32)
    for row in task.decode(answer(head, anywhere), tiny.LABELS):
        assert row["label"] != tiny.LABELS[absent]
        assert row["probabilities"][tiny.LABELS[absent]] < 1e-6


outputs_and_targets = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        arrays.arrays(np.float32, (count, 3), elements=st.floats(-50, 50, width=32)),
        arrays.arrays(np.int64, count, elements=st.integers(0, 2)),
    )
)


@given(actual=outputs_and_targets)
def test_decoded_answers_agree_with_the_scores(actual: tuple[np.ndarray, np.ndarray]) -> None:
    task, (outputs, targets) = Classification(), actual
    decoded, labels = task.decode(outputs, tiny.LABELS), tiny.LABELS
    right = [row["label"] == labels[target] for row, target in zip(decoded, targets, strict=True)]
    assert right == (task.scores(outputs, targets) == 1).tolist()
    for row in decoded:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert tuple(row["probabilities"]) == labels
        assert row["probability"] == row["probabilities"][row["label"]]
        assert row["probability"] == max(row["probabilities"].values())


@given(actual=outputs_and_targets)
def test_no_constant_answer_beats_the_naive_one(actual: tuple[np.ndarray, np.ndarray]) -> None:
    task, (_, targets) = Classification(), actual
    constant = task.naive(targets, tiny.LABELS)

    def score(output: np.ndarray) -> float:
        return float(task.scores(np.tile(output, (len(targets), 1)), targets).mean())

    assert score(constant) == max(score(row) for row in np.eye(3))


def test_weights_move_the_loss_and_the_probe_but_not_the_scores() -> None:
    plain, weighted = Classification(), Classification((5.0, 1.0, 1.0))
    outputs, targets = FEATURES.numpy(), TARGETS.numpy()
    expected = np.average(plain.losses(outputs, targets), weights=np.array([5, 1, 1])[targets])
    assert loss(weighted) == pytest.approx(expected, rel=1e-5)
    assert (weighted.scores(outputs, targets) == plain.scores(outputs, targets)).all()
    assert (weighted.losses(outputs, targets) == plain.losses(outputs, targets)).all()
    features, labels = examples(30, 1.0)
    given_all = features[:, :4], labels
    heads = (task.probe(given_all, given_all, tiny.LABELS) for task in (plain, weighted))
    fewer, more = ((answer(head, features[:, :4]).argmax(1) == 0).sum() for head in heads)
    assert more > fewer
