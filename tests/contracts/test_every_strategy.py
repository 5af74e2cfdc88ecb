"""What the loop relies on in any strategy, whatever its mechanism."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart import catalog
from headstart.contracts import Strategy
from headstart.errors import HeadstartError
from headstart.features.legality import cacheable_stages
from headstart.testing.strategies import CHECKS
from headstart.testing.strategies.training import NETWORKS, take_steps
from headstart.testing.tiny import ask

NAMES = sorted(catalog.names("strategies"))
every_strategy = pytest.mark.parametrize("name", NAMES)


@every_strategy
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(check: Callable[[Strategy], None], name: str) -> None:
    check(catalog.strategy(name))


@every_strategy
@settings(max_examples=25)
@given(epochs=st.integers(1, 12), stages=st.integers(1, 30))
def test_storing_is_legal_up_to_the_least_frozen_stage(name: str, epochs: int, stages: int) -> None:
    strategy = catalog.strategy(name)
    frozen = [strategy.frozen_stages(epoch, stages) for epoch in range(epochs)]
    assert cacheable_stages(strategy, epochs, stages, augmented=False) == min(frozen)
    assert cacheable_stages(strategy, epochs, stages, augmented=True) == 0
    assert cacheable_stages(strategy, 0, stages, augmented=False) == stages


@every_strategy
@pytest.mark.parametrize("network", [*NETWORKS, "seeded:vit?width=2"])
def test_merging_changes_no_answer(name: str, network: str) -> None:
    """Blending with the way back, as wise-ft does, is left out."""
    strategy = catalog.strategy("wise-ft?share=1" if name == "wise-ft" else name)
    model, inputs = tiny.model(network), tiny.feed(6).inputs
    torch.nn.init.normal_(model.head.get_parameter("weight"))
    strategy.on_train_start(model)
    take_steps(strategy, model)
    with torch.inference_mode():
        before = model.eval()(inputs)
        strategy.on_train_end(model)
        torch.testing.assert_close(model.eval()(inputs), before, atol=1e-5, rtol=1e-5)


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
        ask(catalog.strategy(text))
    assert text.partition("=")[0] in str(caught.value)
    assert "Give" in str(caught.value)
