"""The policy: more data never means a smaller share of the network, or more passes."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import SCRATCH_RATES
from hypothesis import given
from hypothesis import strategies as st

from headstart import catalog, defaults
from headstart.contracts import Strategy

SIZES = st.integers(1, 10**6)
STAGES = 20
EPOCHS = 10
counts_of_labels = st.lists(st.integers(1, 10_000), min_size=2, max_size=20).map(tuple)


def trained(strategy: Strategy) -> int:
    """How many stages a strategy trains at its end."""
    epochs = strategy.epochs(EPOCHS)
    return STAGES - strategy.frozen_stages(epochs - 1, STAGES) if epochs else 0


@given(fewer=SIZES, more=SIZES)
def test_more_data_trains_no_less_of_the_network(fewer: int, more: int) -> None:
    fewer, more = sorted((fewer, more))
    first, second = (catalog.strategy(defaults.strategy(count)) for count in (fewer, more))
    assert trained(first) <= trained(second)


@given(fewer=SIZES, more=SIZES)
def test_more_data_means_larger_steps_and_fewer_passes_but_no_less_work(
    fewer: int, more: int
) -> None:
    fewer, more = sorted((fewer, more))
    assert defaults.batch_size(fewer) <= defaults.batch_size(more)
    assert defaults.epochs(fewer) >= defaults.epochs(more) >= 1


@given(count=st.integers(32, 10**6))
def test_an_epoch_has_eight_steps_at_least(count: int) -> None:
    assert 4 <= defaults.batch_size(count) <= 32
    assert count // defaults.batch_size(count) >= 8


@pytest.mark.parametrize(
    ("train_items", "strategy", "epochs", "batch"),
    [
        (10, "feature-extraction", 30, 4),
        (149, "feature-extraction", 30, 18),
        (150, "last-stages", 12, 18),
        (244, "last-stages", 12, 30),
        (999, "last-stages", 12, 32),
        (1_000, "lp-ft", 12, 32),
        (19_999, "lp-ft", 6, 32),
        (20_000, "full-fine-tuning", 3, 32),
    ],
)
def test_the_table(train_items: int, strategy: str, epochs: int, batch: int) -> None:
    assert defaults.strategy(train_items) == strategy
    assert defaults.epochs(train_items) == epochs
    assert defaults.batch_size(train_items) == batch


def test_targets_are_smoothed_where_training_is_long() -> None:
    assert defaults.smoothing(999) == 0
    assert 0 < defaults.smoothing(1_000) < 0.5


def test_a_fitted_head_is_moved_gently() -> None:
    assert 0 < defaults.learning_rate(from_probe=True) < defaults.learning_rate(from_probe=False)
    for width in (8, 384, 768, 1024):
        assert 0 < defaults.learning_rate(False, width) <= defaults.learning_rate(True)
    assert (
        defaults.learning_rate(True, 384)
        > defaults.learning_rate(True, 768)
        > defaults.learning_rate(True, 1024)
    )


def test_scratch_has_rates_of_its_own_and_more_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "SCRATCH_RATES", SCRATCH_RATES)
    for delicate in (True, False):
        rates = defaults.scratch_rates(delicate)
        assert len(set(rates)) >= 3
        assert min(rates) > defaults.learning_rate(True, 768 if delicate else None)
    assert defaults.SCRATCH_MORE_STEPS >= 2


@given(counts=counts_of_labels)
def test_class_weights_balance_labels_that_are_out_of_balance(counts: tuple[int, ...]) -> None:
    weights = defaults.class_weights(counts)
    if min(counts) * 3 >= max(counts):
        assert weights is None
        return
    assert weights is not None
    shares = [weight * count for weight, count in zip(weights, counts, strict=True)]
    assert shares == pytest.approx([sum(counts) / len(counts)] * len(counts))


def test_a_label_without_items_has_a_weight_all_the_same() -> None:
    weights = defaults.class_weights((0, 5))
    assert weights is not None
    assert weights[0] >= weights[1] > 0
    assert defaults.class_weights((0, 0)) is None


def test_settings_leave_all_to_the_policy_unless_set() -> None:
    settings = defaults.Settings()
    assert (settings.epochs, settings.batch_size, settings.learning_rate, settings.budget) == (
        None,
    ) * 4
    assert {settings.precision, settings.device, settings.augment, settings.class_weights} == {
        "auto"
    }
    assert settings == defaults.Settings(seed=0)
    with pytest.raises(AttributeError):
        settings.seed = 1  # type: ignore[misc] # frozen, which is the point


def test_a_task_learns_scale_and_weights_from_its_training_targets() -> None:
    numbers = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
    assert catalog.targets("numbers").task_settings(numbers, 2, weigh=True) == {
        "mean": (2.0, 5.0),
        "scale": (1.0, 1.0),  # what never varies is left as it is
    }
    assert catalog.targets("label sets").task_settings(np.zeros((2, 3)), 3, weigh=True) == {}
    classes = np.array([0] * 90 + [1] * 10)
    found = catalog.targets("classes").task_settings(classes, 2, weigh=True)
    assert found["weights"] == defaults.class_weights((90, 10))
    assert found["smoothing"] == defaults.smoothing(100)
    assert catalog.targets("classes").task_settings(classes, 2, weigh=False)["weights"] is None
