"""What the loop relies on in any strategy, whatever its mechanism."""

from __future__ import annotations

import copy
import inspect
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart import catalog
from headstart.contracts import Strategy
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.evidence.arms import unchanged
from headstart.features.legality import cacheable_stages
from headstart.runtime.checkpoints import load_checkpoint
from headstart.training import Splits, loop, predict, seed_everything, train

TASK = catalog.task("image-classification")
NAMES = sorted(catalog.names("strategies"))
every_strategy = pytest.mark.parametrize("name", NAMES)
NETWORKS = ("seeded:convnet?width=4", "seeded:residual?width=4")
every_network = pytest.mark.parametrize("network", NETWORKS)
OPTIONS = [
    (name, option)
    for name in NAMES
    for option in inspect.signature(catalog.part("strategies", name)).parameters.values()
]
every_option = pytest.mark.parametrize(
    ("name", "option"), OPTIONS, ids=[f"{name}-{option.name}" for name, option in OPTIONS]
)


KILLED_AT = tiny.STEPS + 1  # the first step of the second epoch


def run(
    name: str, told: tiny.Told | None = None, network: str = "seeded:residual?width=4"
) -> Model:
    """Two epochs of a tiny training, in which a head may start from anything."""
    session, model = tiny.session(4, told), tiny.model(network, dropout=0.3)
    train(model, TASK, catalog.strategy(name), tiny.splits(), tiny.recipe(2), session)
    return model


def batch_norms(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


@every_strategy
def test_it_says_reference_relations_and_when_to_use_it(name: str) -> None:
    strategy = catalog.strategy(name)
    assert isinstance(strategy, Strategy)
    told = inspect.getdoc(type(strategy)) or ""
    assert all(f"\n{word}: " in told for word in ("Reference", "Relations", "Use when"))


@every_strategy
def test_the_constructor_only_stores(name: str) -> None:
    part = catalog.part("strategies", name)
    values = {option: object() for option in inspect.signature(part).parameters}
    stored = vars(part(**values))
    assert stored.keys() == values.keys()
    assert all(stored[option] is value for option, value in values.items())


@every_strategy
@every_network
@pytest.mark.parametrize("epochs", [1, 3])
def test_frozen_stages_end_bit_identical_and_others_move(
    name: str, network: str, epochs: int, tmp_path: Path
) -> None:
    backbone = tiny.backbone(network)
    assert batch_norms(nn.ModuleList(backbone.prefix()))
    model = tiny.model(network)
    strategy = catalog.strategy(name)
    path = tmp_path / "run.checkpoint"
    train(
        *(model, TASK, strategy, tiny.splits(), tiny.recipe(epochs)),
        tiny.session(told=tiny.Told(checkpoint=path)),
    )
    frozen = cacheable_stages(strategy, epochs, len(model.stages), augmented=False)
    assert unchanged(model, backbone, frozen)
    last = load_checkpoint(path)
    assert last is not None
    start = tiny.model(network)
    seed_everything(tiny.session().seed)
    strategy.on_train_start(start)
    before = start.state_dict()
    fixed = {key for key, parameter in start.named_parameters() if not parameter.requires_grad}
    assert last["model"].keys() == before.keys() - fixed
    for position in range(len(model.stages)):
        moved = [
            not torch.equal(tensor, before[key])
            for key, tensor in last["model"].items()
            if key.startswith(f"stages.{position}.")
        ]
        assert any(moved) == (position >= frozen)


@every_strategy
@every_network
def test_frozen_stages_are_in_eval_mode_after_every_train(name: str, network: str) -> None:
    strategy, model = catalog.strategy(name), tiny.model(network)
    stages = len(model.stages)
    strategy.on_train_start(model)
    for epoch in range(6):
        model.train()
        strategy.on_epoch_start(epoch, model)
        frozen = strategy.frozen_stages(epoch, stages)
        for stage in list(model.stages)[:frozen]:
            assert not any(part.training for part in stage.modules())
            assert not any(parameter.requires_grad for parameter in stage.parameters())
        assert model.head.training
        assert any(parameter.requires_grad for parameter in model.parameters())


@every_strategy
@settings(max_examples=25)
@given(epochs=st.integers(1, 12), stages=st.integers(1, 30))
def test_storing_is_legal_up_to_the_least_frozen_stage(name: str, epochs: int, stages: int) -> None:
    strategy = catalog.strategy(name)
    frozen = [strategy.frozen_stages(epoch, stages) for epoch in range(epochs)]
    assert all(0 <= count <= stages for count in frozen)
    assert cacheable_stages(strategy, epochs, stages, augmented=False) == min(frozen)
    assert cacheable_stages(strategy, epochs, stages, augmented=True) == 0
    assert cacheable_stages(strategy, 0, stages, augmented=False) == stages


@every_strategy
@settings(max_examples=25)
@given(stages=st.integers(1, 30))
def test_rates_are_positive_and_never_rise_away_from_the_head(name: str, stages: int) -> None:
    strategy = catalog.strategy(name)
    *rates, of_head = [strategy.lr_scale(stage, stages) for stage in range(stages + 1)]
    assert of_head == 1.0
    assert rates[0] > 0
    assert all(lower <= upper for lower, upper in pairwise(rates))


@every_strategy
@settings(max_examples=25)
@given(default=st.integers(1, 100))
def test_epochs_are_at_most_a_known_number(name: str, default: int) -> None:
    assert catalog.strategy(name).epochs(default) in range(default + 1)


@every_strategy
@every_network
def test_training_with_it_lowers_the_loss(name: str, network: str) -> None:
    model, feed, session = tiny.model(network), tiny.feed(24, noise=0.3), tiny.session()

    def loss() -> float:
        outputs = predict(model, feed, session.accelerator)
        return float(TASK.losses(outputs, feed.targets).mean())

    before = loss()
    strategy = catalog.strategy(name)
    training = train(model, TASK, strategy, Splits(feed, feed), tiny.recipe(8, rate=3e-3), session)
    assert loss() < before
    assert training.history[-1]["loss"] < training.history[1]["loss"]


@every_strategy
def test_two_runs_are_equal(name: str) -> None:
    models = [tiny.model(), tiny.model()]
    for model in models:
        strategy = catalog.strategy(name)
        train(model, TASK, strategy, tiny.splits(), tiny.recipe(2), tiny.session(seed=4))
    assert tiny.same_tensors(*models)


@every_strategy
def test_a_killed_run_goes_on_as_if_it_had_not_been(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(tiny.Killed):
        run(name, tiny.Told(progress=tiny.dies_at(KILLED_AT), checkpoint=path))
    again = tiny.Recording()
    torch.rand(7)  # another process may have drawn more by then
    resumed = run(name, tiny.Told(progress=again, checkpoint=path))
    assert again.steps == tiny.STEPS
    assert tiny.same_tensors(resumed, run(name))
    finished = tiny.Recording()
    assert tiny.same_tensors(run(name, tiny.Told(progress=finished, checkpoint=path)), resumed)
    assert finished.steps == 0


@every_strategy
@pytest.mark.parametrize("network", [*NETWORKS, "seeded:vit?width=2"])
def test_what_it_adds_is_merged_into_the_plain_network(name: str, network: str) -> None:
    strategy = catalog.strategy("wise-ft?share=1" if name == "wise-ft" else name)  # no way back
    model, inputs = tiny.model(network), tiny.feed(6).inputs
    torch.nn.init.normal_(model.head.weight)  # type: ignore[arg-type] # a Linear
    parts = [(place, type(part)) for place, part in model.named_modules()]
    tensors = list(model.backbone_state())
    start = model.eval()(inputs)
    strategy.on_train_start(model)
    torch.testing.assert_close(model.eval()(inputs), start, atol=1e-6, rtol=1e-6)
    model.train()
    strategy.on_epoch_start(0, model)
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(moving, lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        (model(inputs) - 1).square().mean().backward()
        optimizer.step()
    with torch.inference_mode():
        before = model.eval()(inputs)
        strategy.on_train_end(model)
        torch.testing.assert_close(model.eval()(inputs), before, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(before, start, atol=1e-3)
    assert [(place, type(part)) for place, part in model.named_modules()] == parts
    assert list(model.backbone_state()) == tensors


def other_value(default: Any) -> Any:
    if isinstance(default, bool):
        return not default
    return default / 2 if isinstance(default, float) else default


@every_option
def test_an_option_in_the_name_reaches_the_constructor(
    name: str, option: inspect.Parameter
) -> None:
    value = other_value(option.default)
    strategy = catalog.strategy(f"{name}?{option.name}={str(value).lower()}")
    stored = vars(strategy)[option.name]
    assert (stored, type(stored)) == (value, type(option.default))


@every_option
def test_an_option_of_another_type_is_refused(name: str, option: inspect.Parameter) -> None:
    with pytest.raises(HeadstartError, match=option.name):
        strategy = catalog.strategy(f"{name}?{option.name}=a%20pear")
        use(strategy)


@every_strategy
def test_an_unknown_option_is_answered_with_the_known_ones(name: str) -> None:
    known = ", ".join(inspect.signature(catalog.part("strategies", name)).parameters) or "none"
    with pytest.raises(HeadstartError, match=f"'pear'.*{known}"):
        catalog.strategy(f"{name}?pear=1")


def use(strategy: Strategy) -> None:
    """Ask a strategy all that it says of itself, and let it prepare a model."""
    strategy.ends_with_probe()
    strategy.starts_from_probe()
    strategy.epochs(3)
    for number in range(4):
        strategy.frozen_stages(number, 3)
        strategy.lr_scale(number, 3)
    strategy.on_train_start(tiny.model())


@pytest.mark.parametrize(
    "text",
    [
        "feature-extraction?head=tail",
        "last-stages?count=-1",
        "last-stages?decay=0",
        "full-fine-tuning?decay=-0.5",
        "full-fine-tuning?decay=1.5",
        "lp-ft?decay=nan",
        "few-shot?temperature=0",
        "few-shot?temperature=inf",
        "few-shot?weight=-1",
        "few-shot?decay=0",
        "few-shot?decay=nan",
        "few-shot?rounds=0",
        "gradual-unfreezing?groups=0",
        "gradual-unfreezing?fall=0",
        "gradual-unfreezing?fall=inf",
        "lora?rank=0",
        "lora?scale=0",
        "lora?scale=nan",
        "lora?dropout=1",
        "lora?dropout=-0.1",
        "lora?boost=0",
        "lora?boost=inf",
        "lora?where=[",
        "lora?where=pear",
    ],
)
def test_a_value_out_of_range_is_one_clear_sentence(text: str) -> None:
    with pytest.raises(HeadstartError) as caught:
        use(catalog.strategy(text))
    assert text.partition("=")[0] in str(caught.value)
    assert "Give" in str(caught.value)


@every_strategy
@every_network
def test_a_strategy_leaves_no_trace_on_the_given_backbone(name: str, network: str) -> None:
    backbone = tiny.backbone(network)
    before = copy.deepcopy(nn.ModuleList(backbone.prefix()))
    head = TASK.head(backbone.feature_dim, tiny.LABELS)
    model = Model.of(copy.deepcopy(backbone), head)
    train(model, TASK, catalog.strategy(name), tiny.splits(), tiny.recipe(1), tiny.session())
    assert tiny.same_tensors(before, nn.ModuleList(backbone.prefix()))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    assert np.isfinite(predict(model, tiny.feed(3), tiny.session().accelerator)).all()
