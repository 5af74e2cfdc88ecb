"""Adapters: which layers get one, what moves, and what is left when they are merged."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts.model import Model
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.runtime import machine
from headstart.runtime.checkpoints import load_checkpoint
from headstart.strategies.lora import Lora
from headstart.training import Session, Training, train


def trained(
    text: str, network: str = "seeded:vit?width=2", session: Session | None = None
) -> tuple[Model, Training]:
    """A tiny model after some epochs with a strategy."""
    model, strategy = tiny.model(network), catalog.strategy(text)
    place = session or tiny.session()
    training = train(model, tiny.TASK, strategy, tiny.splits(), tiny.recipe(4, rate=2e-3), place)
    assert training.best > 0
    return model, training


def moves(after: Model, network: str) -> dict[str, Tensor]:
    """By how much each tensor of the stages that moved has moved."""
    before = tiny.model(network).backbone_state()
    moved = {name: tensor - before[name] for name, tensor in after.backbone_state().items()}
    return {name: by for name, by in moved.items() if by.any()}


@pytest.mark.parametrize("rank", [1, 3])
def test_adapted_weights_move_by_a_matrix_of_the_rank(rank: int) -> None:
    network = "seeded:vit?width=2"
    by = moves(trained(f"lora?rank={rank}", network)[0], network)
    matrices = {name: change for name, change in by.items() if change.dim() == 2}
    assert len(matrices) == 6
    for name, change in matrices.items():
        assert "linear" in name
        assert torch.linalg.matrix_rank(change, rtol=1e-4) == rank
    others = by.keys() - matrices.keys()
    assert all("norm" in name for name in others)
    assert any(name.endswith("norm1.weight") for name in others)


def test_convolutions_but_the_first_move_and_statistics_stand_still() -> None:
    network = "seeded:residual?width=4"
    by = moves(trained("lora?rank=2", network)[0], network)
    state = tiny.model(network).backbone_state()
    kernels = [name for name, tensor in state.items() if tensor.dim() == 4]
    vectors = [name for name in state if name.endswith((".weight", ".bias"))]
    assert [name for name in by if name in kernels] == kernels[1:]
    assert by.keys() - set(kernels) == set(vectors) - set(kernels)  # of BatchNorm, no statistics


def test_a_name_picks_the_layers() -> None:
    network = "seeded:vit?width=2"
    by = moves(trained(r"lora?where=layer[23]\.linear2", network)[0], network)
    assert {name for name, change in by.items() if change.dim() == 2} == {
        "layer2.linear2.weight",
        "layer3.linear2.weight",
    }


def test_only_what_moves_is_checkpointed(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trained("lora", session=tiny.session(options=tiny.SessionOptions(checkpoint=path)))
    state = load_checkpoint(path)
    assert state is not None
    for part in (state["model"], state["kept"]):
        assert any("lora_A" in name for name in part)
        assert not any("base_layer" in name or "in_proj" in name for name in part)


@pytest.mark.skipif(not machine.has_bf16(torch.device("cpu")), reason="multiplies in fp32 alone")
def test_it_trains_in_bf16() -> None:
    where = machine.accelerator(Settings(precision="bf16", device="cpu"), 0)
    plain = tiny.session()
    session = Session(where, 0, plain.budget, plain.progress)
    model, result = trained("lora", session=session)
    assert result.history[-1]["loss"] < result.history[1]["loss"]
    assert {tensor.dtype for tensor in model.backbone_state().values()} == {torch.float32}


def adapted(stages: Mapping[str, nn.Module], strategy: Lora | None = None) -> list[str]:
    """The layers that have adapters once a model of these stages is prepared."""
    model = Model(stages, nn.Linear(1, 1))
    (strategy or Lora()).on_train_start(model)
    return [name for name, _ in model.stages.named_modules() if name.endswith(".base_layer")]


LEFT_ALONE: dict[str, nn.Module] = {
    "grouped": nn.Conv2d(8, 8, 3, groups=8),
    "dilated": nn.Conv2d(8, 8, 3, dilation=2),
    "reflecting": nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
    "attention": nn.MultiheadAttention(8, 2),
    "of another kind": nn.LazyLinear(8),
    "weight-normed": torch.nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)),
}


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_a_layer_that_cannot_be_merged_rightly_is_left_alone(kind: str) -> None:
    stages = {"one": nn.Sequential(LEFT_ALONE[kind]), "two": nn.Linear(8, 8)}
    assert adapted(stages) == ["1.base_layer"]


def test_layers_that_share_a_weight_are_left_alone() -> None:
    words, scores, shared = nn.Embedding(9, 8), nn.Linear(8, 9), nn.Linear(8, 8)
    scores.weight = words.weight
    stages = {
        "one": nn.Sequential(words, shared, nn.Linear(8, 8)),
        "two": nn.Sequential(shared, scores),
    }
    assert adapted(stages) == ["0.2.base_layer"]


def test_a_block_that_several_stages_run_is_adapted_once() -> None:
    block = nn.Sequential(nn.Linear(8, 8))
    stages = {"one": nn.Sequential(block), "two": nn.Sequential(block)}
    model = Model(stages, nn.Linear(8, 1))
    strategy, inputs = Lora(dropout=0.0), torch.randn(4, 8)
    strategy.on_train_start(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter)
    before = model(inputs)
    strategy.on_train_end(model)
    torch.testing.assert_close(model(inputs), before, atol=1e-5, rtol=1e-5)
    assert model.stages[0][0] is model.stages[1][0]  # type: ignore[index] # Sequential


@pytest.mark.parametrize("where", ["auto", "linear"])
def test_a_network_without_such_layers_is_one_clear_sentence(where: str) -> None:
    model = Model({"words": nn.EmbeddingBag(9, 8)}, nn.Linear(8, 2))
    with pytest.raises(HeadstartError, match=r"no linear layer.*Give another strategy"):
        Lora(where=where).on_train_start(model)


def test_a_name_that_is_nowhere_is_answered_with_one_that_is() -> None:
    with pytest.raises(HeadstartError, match=r"where=pear.*such as layer3\.linear2\."):
        Lora(where="pear").on_train_start(tiny.model("seeded:vit?width=2"))


def test_without_peft_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(HeadstartError, match=r"pip install 'headstart\[lora\]'"):
        Lora().epochs(3)


@given(boost=st.floats(1e-3, 1e3), stages=st.integers(1, 20))
@settings(max_examples=25)
def test_the_boost_is_for_all_but_the_head(boost: float, stages: int) -> None:
    rates = [Lora(boost=boost).lr_scale(stage, stages) for stage in range(stages + 1)]
    assert rates == [boost] * stages + [1.0]


@pytest.mark.parametrize("probe", [True, False])
def test_it_starts_from_a_probe_as_told(probe: bool) -> None:
    assert Lora(probe=probe).starts_from_probe() == probe


@pytest.mark.parametrize(
    ("network", "kinds"),
    [
        ("vit_tiny_patch16_224?depth=2&img_size=64", {"qkv", "proj", "fc1", "fc2"}),
        ("convnext_atto?drop_rate=0", {"fc1", "fc2", "1"}),
        ("mobilenetv2_100?drop_rate=0", {"conv_pw", "conv_pwl", "conv_head"}),
    ],
)
def test_real_networks_are_whole_again_after_merging(network: str, kinds: set[str]) -> None:
    backbone = catalog.load_backbone(f"timm:{network}&pretrained=false")
    model = Model.of(backbone, nn.Linear(backbone.feature_dim, 2))
    parts = [(name, type(part)) for name, part in model.named_modules()]
    tensors = list(model.backbone_state())
    strategy = Lora(rank=4)
    strategy.on_train_start(model)
    result = {
        name.split(".")[-2] for name, _ in model.named_modules() if name.endswith(".base_layer")
    }
    assert result == kinds
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.02)
    inputs = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = model.eval()(inputs)
        strategy.on_train_end(model)
        after = model.eval()(inputs)
    assert float((after - before).abs().max()) <= 1e-5 * max(1.0, float(before.abs().max()))
    assert [(name, type(part)) for name, part in model.named_modules()] == parts
    assert list(model.backbone_state()) == tensors
