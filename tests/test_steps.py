"""What a step may stumble over: single items, numbers that explode, a strategy's own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np
import pytest
import tiny
import torch
from test_training import Tight
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Step, Strategy
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.training import Training, loop, predict, train

PLAIN, NORMED = "seeded:vit?width=2", "seeded:convnet?width=4"  # without BatchNorm, and with it


def trained(
    network: str, name: str | Strategy, items: int, batch: int
) -> tuple[Model, Training, tiny.Recording]:
    """Two epochs on so many items."""
    progress = tiny.Recording()
    strategy = catalog.strategy(name) if isinstance(name, str) else name
    model, session = (
        tiny.model(network),
        tiny.session(options=tiny.SessionOptions(progress=progress)),
    )
    arguments = (model, tiny.TASK, strategy, tiny.splits(train=items), tiny.recipe(2, batch, 1e-3))
    return model, train(*arguments, session), progress


@pytest.mark.parametrize(
    ("network", "strategy", "items", "batch", "steps"),
    [
        (PLAIN, "full-fine-tuning", 6, 1, 12),
        (PLAIN, "full-fine-tuning", 9, 8, 4),
        (NORMED, "lp-ft", 6, 1, 12),  # which keeps the statistics
        (NORMED, "feature-extraction?head=trained", 6, 1, 12),
        (NORMED, "full-fine-tuning", 9, 8, 2),
        (NORMED, "full-fine-tuning", 10, 8, 4),
    ],
)
def test_single_items_are_trained_on_but_where_a_batch_norm_trains(
    network: str, strategy: str, items: int, batch: int, steps: int
) -> None:
    assert trained(network, strategy, items, batch)[1].steps == steps


def test_where_no_batch_can_be_trained_on_the_advice_works() -> None:
    with pytest.raises(HeadstartError, match=r"a BatchNorm needs .*Give --batch-size 2 or more\.$"):
        trained(NORMED, "full-fine-tuning", 6, 1)
    assert trained(NORMED, "full-fine-tuning", 6, 2)[1].steps == 6


def test_a_part_that_memory_leaves_of_one_item_is_left_out_too() -> None:
    task, model, progress = Tight(2), tiny.model(NORMED), tiny.Recording()
    session = tiny.session(options=tiny.SessionOptions(progress=progress))
    strategy = catalog.strategy("full-fine-tuning")
    training = train(model, task, strategy, tiny.splits(train=5), tiny.recipe(2, 5, 1e-3), session)
    assert task.sizes == [5, 3, 2, 2, 2, 2]  # never a single one
    assert training.steps == 2
    with pytest.raises(HeadstartError, match="out of memory at two items a step"):
        train(tiny.model(NORMED), Tight(1), strategy, tiny.splits(), tiny.recipe(1), session)


@final
class Exploding(Strategy):
    """Plain training whose loss is not a number from a step on."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.steps = 0

    def frozen_stages(self, epoch: int, stages: int) -> int:
        return 0

    def loss(self, step: Step, unlabelled: Step | None = None) -> Tensor:
        self.steps += 1
        return step.loss * (float("nan") if self.steps > self.after else 1.0)


@pytest.mark.parametrize("after", [0, 4])
def test_numbers_that_explode_end_the_training_at_the_best_before(after: int) -> None:
    model, result, progress = trained(NORMED, Exploding(after), 24, 8)
    assert result.diverged and result.finished and not result.cut
    assert result.steps == after + 1
    assert len(result.history) == 1 + after // tiny.STEPS
    outputs = predict(model, tiny.feed(6), tiny.session().accelerator)
    assert np.isfinite(outputs).all()
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert "its numbers are no longer finite" in progress.warned[0]


def test_a_network_that_answers_nothing_finite_is_refused() -> None:
    model = tiny.model(NORMED)
    torch.nn.init.constant_(model.get_parameter("head.bias"), float("inf"))
    arguments = (tiny.splits(), tiny.recipe(1), tiny.session())
    with pytest.raises(HeadstartError, match="not finite"):
        train(model, tiny.TASK, catalog.strategy("full-fine-tuning"), *arguments)


@final
class Scaled(Strategy):
    """Plain training with a learned scale of the loss, as in Kendall et al. 2018."""

    def frozen_stages(self, epoch: int, stages: int) -> int:
        return 0

    def on_train_start(self, model: Model) -> None:
        self.doubts = nn.ParameterList([nn.Parameter(torch.zeros(2))])
        self.merged: list[float] = []

    def modules(self) -> Mapping[str, nn.Module]:
        return {"doubts": self.doubts}

    def loss(self, step: Step, unlabelled: Step | None = None) -> Tensor:
        doubt: Tensor = self.doubts[0].sum()
        return step.loss * torch.exp(-doubt) + doubt

    def on_train_end(self, model: Model) -> None:
        self.merged = self.doubts[0].tolist()


def scaled(options: tiny.SessionOptions | None = None) -> tuple[Model, Scaled, Training]:
    strategy, model = Scaled(), tiny.model(dropout=0.3)
    training = train(
        model,
        tiny.TASK,
        strategy,
        tiny.splits(),
        tiny.recipe(4, rate=0.05),
        tiny.session(3, options),
    )
    return model, strategy, training


@pytest.mark.parametrize("step", [tiny.STEPS + 1, 3 * tiny.STEPS + 2])
def test_a_strategy_s_own_parameters_survive_a_kill(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(tiny.Killed):
        scaled(tiny.SessionOptions(progress=tiny.dies_at(step), checkpoint=path))
    again = tiny.Recording()
    model, strategy, result = scaled(tiny.SessionOptions(progress=again, checkpoint=path))
    assert any("Going on" in text for text in again.said)
    unbroken, expected, record = scaled()
    assert tiny.same_tensors(model, unbroken)
    assert strategy.merged == expected.merged != [0.0, 0.0]
    assert tiny.without_seconds(result) == tiny.without_seconds(record)
    finished, last, _ = scaled(tiny.SessionOptions(checkpoint=path))  # nothing is left to train
    assert tiny.same_tensors(finished, unbroken) and last.merged == expected.merged


def test_a_strategy_s_own_parameters_are_those_of_the_best_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Validation that only gets worse keeps the start, the strategy's parameters with it."""
    merits = iter([9.0, 3.0, 2.0, 1.0, 0.0])
    monkeypatch.setattr(
        Training, "selection_key", lambda self, row: (self.history[row]["rank"], 0.0)
    )

    def row(self: object, what: str, numbers: dict[str, float]) -> None:
        numbers["rank"] = next(merits)

    monkeypatch.setattr(tiny.Recording, "row", row)
    _, strategy, result = scaled(tiny.SessionOptions(progress=tiny.Recording()))
    assert result.best == 0
    assert strategy.merged == [0.0, 0.0]


def test_other_own_parameters_than_the_checkpoint_s_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    session = tiny.session(3, tiny.SessionOptions(checkpoint=path))
    arguments = (tiny.splits(), tiny.recipe(4, rate=0.05), session)
    train(tiny.model(dropout=0.3), tiny.TASK, catalog.strategy("full-fine-tuning"), *arguments)
    with pytest.raises(HeadstartError, match="own parameters are not those"):
        scaled(tiny.SessionOptions(checkpoint=path))
