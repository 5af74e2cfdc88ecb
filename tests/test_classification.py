"""Classification: what smoothing changes and what not, and how far the probe searches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from headstart.contracts import Batch
from headstart.errors import DataError
from headstart.model import Model
from headstart.tasks import classification
from headstart.tasks.classification import Classification

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
    weighted = smooth.weighted((1.0, 2.0, 3.0))
    assert (weighted.weights, weighted.smoothing) == ((1.0, 2.0, 3.0), 0.3)
    assert loss(weighted) != loss(plain.weighted((1.0, 2.0, 3.0)))


def examples(count: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    targets = np.arange(count) % 3
    features = rng.normal(0, noise, (count, 40)).astype(np.float32)
    features[np.arange(count), targets] += 1
    return features, targets


class Counted(tuple[float, ...]):
    """Strengths that count how many of them were taken."""

    taken = 0

    def __iter__(self) -> Iterator[float]:
        for strength in super().__iter__():
            self.taken += 1
            yield strength


@pytest.mark.parametrize(("noise", "all_tried"), [(2.0, False), (0.01, True)])
def test_the_probe_searches_until_it_has_got_worse_twice(
    noise: float, all_tried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    strengths = Counted(classification.PROBE_STRENGTHS)
    monkeypatch.setattr(classification, "PROBE_STRENGTHS", strengths)
    train, validation = examples(60, noise), examples(90, noise)
    found = Classification().probe(train, validation, tiny.LABELS)
    assert (strengths.taken == len(strengths)) == all_tried
    monkeypatch.setattr(classification, "PROBE_PATIENCE", 100)
    every = Classification().probe(train, validation, tiny.LABELS)
    assert torch.equal(found.weight, every.weight)  # type: ignore[arg-type] # both are linear


def test_features_that_are_not_finite_are_refused() -> None:
    features, targets = examples(12, 1.0)
    features[3, 5] = np.nan
    with pytest.raises(DataError, match="not finite numbers"):
        Classification().probe((features, targets), examples(12, 1.0), tiny.LABELS)
