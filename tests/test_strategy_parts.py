"""Strategies with modules of their own, unlabelled items, and frozen parts that are no prefix."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Strategy
from headstart.contracts.model import Model, Step
from headstart.errors import HeadstartError
from headstart.features.legality import cacheable_stages
from headstart.runtime.checkpoints import load_checkpoint
from headstart.training import Splits, Training, fixed_in, loop, start_epoch, train
from headstart.training.unlabelled import endless

TASK = tiny.TASK
CONVNET = "seeded:convnet?width=4"
VIT = "seeded:vit?width=2"  # whose pooling has a norm


class _Whole(Strategy):
    """Trains every stage."""

    def frozen_stages(self, epoch: int, stages: int) -> int:
        return 0


@final
class Aligning(_Whole):
    """Pulls projected features of unlabelled items to those of labelled ones, by a module."""

    wants_unlabelled: ClassVar[bool] = True

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []
        self.modes: list[bool] = []
        self.sizes: list[tuple[int, int]] = []

    def on_train_start(self, model: Model) -> None:
        width = next(model.head.parameters()).shape[-1]
        self.projection = nn.Sequential(nn.Linear(width, 5), nn.BatchNorm1d(5), nn.Dropout(0.2))
        self.teacher = nn.Linear(width, 5).requires_grad_(False)

    def modules(self) -> Mapping[str, nn.Module]:
        return {"projection": self.projection, "teacher": self.teacher}

    def loss(self, step: Step, unlabelled: Step | None = None) -> Tensor:
        assert unlabelled is not None and unlabelled.loss == 0
        self.modes.append(self.projection.training)
        self.seen.append(unlabelled.features.detach().numpy())
        self.sizes.append((len(step.targets), len(unlabelled.targets)))
        ours, others = (self.projection(each.features) for each in (step, unlabelled))
        with torch.no_grad():  # an average of the weights over time
            for slow, fast in zip(
                self.teacher.parameters(), self.projection[0].parameters(), strict=True
            ):
                slow.lerp_(fast, 0.1)
        apart = (ours.mean(0) - others.mean(0)).square().sum()
        total: Tensor = step.loss + 0.1 * apart + self.teacher(unlabelled.features).square().mean()
        return total


def unlabelled(items: int = 14) -> tiny.TensorFeed:
    feed = tiny.feed(items, seed=9)
    return tiny.TensorFeed(feed.inputs, np.zeros((items, 0), np.int64))


def run(
    strategy: Strategy,
    options: tiny.SessionOptions | None = None,
    epochs: int = 2,
    network: str = CONVNET,
) -> tuple[Model, Training]:
    session, model = tiny.session(4, options), tiny.model(network, dropout=0.3)
    splits = tiny.splits()
    both = Splits(splits.train, splits.validation, unlabelled())
    return model, train(model, TASK, strategy, both, tiny.recipe(epochs), session)


def state(strategy: Aligning) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in nn.ModuleDict(dict(strategy.modules())).state_dict().items()}


def test_each_step_sees_unlabelled_items_in_an_order_of_its_epoch() -> None:
    strategy = Aligning()
    run(strategy)
    assert len(strategy.seen) == 2 * tiny.STEPS
    assert strategy.sizes == [(8, 8), (8, 6), (8, 8)] * 2  # 14 in batches of 8, pass after pass
    assert all(strategy.modes)
    model, feed = tiny.model(), unlabelled()

    def drawn(epoch: int) -> Tensor:
        batches = endless(feed, 8, 4, epoch, model)
        return torch.cat([next(batches).inputs for _ in range(2)])

    before = torch.get_rng_state()
    one, again, other = drawn(0), drawn(0), drawn(1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(one.sum((1, 2, 3)).sort().values, other.sum((1, 2, 3)).sort().values)


def test_unlabelled_items_change_what_is_trained_and_labelled_ones_are_drawn_as_without() -> None:
    class Blind(_Whole):
        wants_unlabelled = True

        def loss(self, step: Step, unlabelled: Step | None = None) -> Tensor:
            return step.loss

    plain, blind = run(catalog.strategy("full-fine-tuning"))[1], run(Blind())[1]
    # its BatchNorm alone has seen other items
    assert plain.history[1]["loss"] == pytest.approx(blind.history[1]["loss"], rel=0.2)
    assert plain.history[1]["loss"] != blind.history[1]["loss"]


def test_a_resumed_run_equals_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    whole, path = Aligning(), tmp_path / "run.checkpoint"
    unbroken, _ = run(whole, epochs=3)
    with pytest.raises(tiny.Killed):
        run(
            Aligning(),
            tiny.SessionOptions(progress=tiny.dies_at(tiny.STEPS + 1), checkpoint=path),
            3,
        )
    resumed = Aligning()
    torch.rand(5)
    model, _ = run(resumed, tiny.SessionOptions(checkpoint=path), 3)
    assert tiny.same_tensors(model, unbroken)
    one, other = state(resumed), state(whole)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert "projection.1.running_mean" in one
    for mine, theirs in zip(resumed.seen, whole.seen[tiny.STEPS :], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_modules_are_kept_from_the_best_epoch_and_saved_with_their_buffers(tmp_path: Path) -> None:
    strategy, path = Aligning(), tmp_path / "run.checkpoint"
    _, training = run(strategy, tiny.SessionOptions(checkpoint=path), 4)
    saved = load_checkpoint(path)
    assert saved is not None
    for name, tensor in state(strategy).items():
        assert torch.equal(saved["kept"][f"strategy.{name}"], tensor)
    assert {"strategy.projection.1.running_var", "strategy.teacher.weight"} <= saved["model"].keys()
    assert training.best >= 0 and not strategy.projection.training


def test_modules_of_another_shape_are_refused(tmp_path: Path) -> None:
    @final
    class Wider(_Whole):
        def on_train_start(self, model: Model) -> None:
            self.own = nn.Linear(3, 9)

        def modules(self) -> Mapping[str, nn.Module]:
            return {"projection": self.own}

    path = tmp_path / "run.checkpoint"
    run(Aligning(), tiny.SessionOptions(checkpoint=path))
    with pytest.raises(HeadstartError, match="not those of the unfinished run"):
        run(Wider(), tiny.SessionOptions(checkpoint=path))


def test_they_are_clipped_with_the_model() -> None:
    @final
    class Steep(_Whole):
        def on_train_start(self, model: Model) -> None:
            self.own = nn.Linear(1, 1, bias=False)
            self.norms: list[float] = []

        def modules(self) -> Mapping[str, nn.Module]:
            return {"own": self.own}

        def on_epoch_start(self, epoch: int, model: Model) -> None:
            if self.own.weight.grad is not None:
                self.norms.append(float(self.own.weight.grad.norm()))

        def loss(self, step: Step, unlabelled: Step | None = None) -> Tensor:
            return step.loss + 1e6 * self.own.weight.sum()

    strategy = Steep()
    run(strategy, epochs=3)
    assert strategy.norms and max(strategy.norms) <= tiny.recipe().clip * 1.001


def test_a_strategy_that_wants_them_says_so_where_there_are_none() -> None:
    splits = tiny.splits()
    with pytest.raises(HeadstartError, match="unlabelled items, and there are none"):
        train(tiny.model(), TASK, Aligning(), splits, tiny.recipe(1), tiny.session())
    one = Splits(splits.train, splits.validation, unlabelled(1))
    with pytest.raises(HeadstartError, match="1 unlabelled items are too few"):
        train(tiny.model(), TASK, Aligning(), one, tiny.recipe(1), tiny.session())


def test_where_memory_is_short_unlabelled_items_are_split_as_well() -> None:
    strategy, task = Aligning(), _Tight(copy.deepcopy(TASK), room=4)
    splits = tiny.splits()
    both = Splits(splits.train, splits.validation, unlabelled(16))
    train(tiny.model(), task, strategy, both, tiny.recipe(1), tiny.session())  # type: ignore[arg-type]
    assert set(strategy.sizes) == {(4, 4)}


@final
class _Tight:
    """A task whose steps run out of memory above a number of items."""

    def __init__(self, task: object, room: int) -> None:
        self._task, self._room = task, room

    def step(self, model: Model, batch: object) -> Step:
        if len(batch.targets) > self._room:  # type: ignore[attr-defined]
            raise MemoryError
        step: Step = self._task.step(model, batch)  # type: ignore[attr-defined]
        return step

    def __getattr__(self, name: str) -> object:
        return getattr(self._task, name)


def norms_only(model: Model) -> None:
    for module in model.stages.modules():
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(isinstance(module, nn.BatchNorm2d))


def first_and_third(model: Model) -> None:
    for place in (0, 2):
        model.stages[place].requires_grad_(False)


@final
class Fixing(_Whole):
    """Fixes what a function does at the start; tries to free it in each epoch."""

    def __init__(self, fix: Callable[[Model], None]) -> None:
        self.fix = fix

    def on_train_start(self, model: Model) -> None:
        self.fix(model)

    def on_epoch_start(self, epoch: int, model: Model) -> None:
        model.stages.requires_grad_(True)


@pytest.mark.parametrize("fix", [norms_only, first_and_third])
def test_what_has_no_gradient_at_the_start_stays_bit_for_bit(fix: Callable[[Model], None]) -> None:
    start = tiny.model(CONVNET, dropout=0.3)
    fix(start)
    fixed = fixed_in(start)
    assert fixed
    model, training = run(Fixing(fix))
    before, after = start.state_dict(), model.state_dict()
    for name, tensor in after.items():
        if name.startswith("stages.") and name.endswith(("weight", "bias")):
            assert torch.equal(tensor, before[name]) == (name in fixed), name
    assert training.intact
    assert all(parameter.requires_grad for parameter in model.parameters())
    # statistics stand still where all of a BatchNorm is fixed, and only there
    for name, tensor in after.items():
        if name.endswith("running_mean"):
            norm = name.removesuffix("running_mean") + "weight"
            assert torch.equal(tensor, before[name]) == (norm in fixed), name
    assert cacheable_stages(Fixing(fix), 2, len(model.stages), augmented=False) == 0


def test_a_strategy_that_changes_what_it_fixed_is_found_out() -> None:
    @final
    class Cheating(_Whole):
        def on_train_start(self, model: Model) -> None:
            first_and_third(model)

        def on_epoch_start(self, epoch: int, model: Model) -> None:
            with torch.no_grad():
                next(model.stages[2].parameters()).add_(1e-3)

    assert not run(Cheating())[1].intact


@final
class Frozen(Strategy):
    """Freezes stages one by one, never naming the pooling."""

    def __init__(self, least: int) -> None:
        self.least = least

    def frozen_stages(self, epoch: int, stages: int) -> int:
        return max(self.least, stages - epoch)

    def on_epoch_start(self, epoch: int, model: Model) -> None:
        frozen = self.frozen_stages(epoch, len(model.stages))
        for place, stage in enumerate(model.stages):
            stage.requires_grad_(place >= frozen)
            stage.train(place >= frozen)


@pytest.mark.parametrize(("least", "moved"), [(4, False), (0, True)])
def test_the_pooling_is_frozen_exactly_where_all_stages_are(least: int, moved: bool) -> None:
    start = tiny.model(VIT)
    assert len(start.stages) == 4 and len(list(start.pool.parameters())) == 2
    strategy = Frozen(least)
    for epoch in range(3):
        start_epoch(start, strategy, epoch)
        free = not (least == 4 or epoch == 0)
        assert start.pool.training == free
        assert all(parameter.requires_grad == free for parameter in start.pool.parameters())
    model, _ = run(strategy, epochs=3, network=VIT)
    assert tiny.same_tensors(model.pool, tiny.model(VIT).pool) != moved


def test_the_pooling_learns_at_the_rate_of_the_last_stage() -> None:
    from headstart.training.groups import groups

    model, strategy = tiny.model(VIT), catalog.strategy("full-fine-tuning?decay=0.5")
    rates = {
        id(parameter): group["lr"]
        for group in groups(model, strategy, [], tiny.recipe())
        for parameter in group["params"]
    }
    assert len(rates) == len(list(model.parameters()))
    of_pool = {rates[id(parameter)] for parameter in model.pool.parameters()}
    assert of_pool == {rates[id(p)] for p in model.stages[-1].parameters()} == {5e-3}


def test_an_earlier_name_of_a_hook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old(_Whole):
        def parameters(self) -> tuple[nn.Parameter, ...]:
            return ()

    monkeypatch.setattr(catalog, "part", lambda kind, name: Old)
    with pytest.raises(HeadstartError, match="Rename it to modules"):
        catalog.strategy("old")
