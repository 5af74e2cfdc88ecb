"""Stages: found at the right places, equal to the whole, and made of the network's own tensors."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from headstart.errors import HeadstartError
from headstart.loading.stages import check_stages, find_stages
from headstart.loading.stages.pooling import split_pool

NARROW: dict[
    str, dict[str, Any]
] = {  # as deep as they are, with fewer channels to draw weights for
    "vgg16": {"mlp_ratio": 0.01},
    "convnext_tiny": {"dims": (24, 48, 96, 192)},
    "swin_tiny_patch4_window7_224": {"embed_dim": 24},
}
# name, pixels, fewest stages, how the first ones are called
NETWORKS = [
    ("resnet18", 64, 9, ["conv1", "layer1.0", "layer1.1"]),
    ("resnet50", 64, 17, ["conv1", "layer1.0"]),
    ("vgg16", 32, 8, ["features.0", "features.5"]),
    ("inception_v3", 96, 15, ["Conv2d_1a_3x3", "Conv2d_2a_3x3"]),
    ("mobilenetv2_100", 64, 18, ["conv_stem", "blocks.0.0"]),
    ("mobilenetv3_large_100", 64, 16, ["conv_stem", "blocks.0.0"]),
    ("efficientnet_b0", 64, 17, ["conv_stem", "blocks.0.0"]),
    ("densenet121", 64, 5, ["features.conv0", "features.denseblock1"]),
    ("convnext_tiny", 64, 20, ["stem.0", "stages.0.blocks.0"]),
    ("swin_tiny_patch4_window7_224", 224, 14, ["patch_embed", "layers.0.blocks.0"]),
    ("vit_tiny_patch16_224", 224, 13, ["patch_embed", "blocks.0"]),
    ("eva02_tiny_patch14_224", 224, 13, ["patch_embed", "blocks.0"]),
    ("regnetx_002", 64, 13, ["stem", "s2.b1"]),
    ("coat_lite_tiny", 224, 2, ["patch_embed1"]),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Many tiny operations: several threads would wait for one another on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def compose(stages: Mapping[str, nn.Module], inputs: Tensor) -> Tensor:
    """Run all stages in order."""
    for stage in stages.values():
        inputs = stage(inputs)
    return inputs


@pytest.mark.parametrize(("name", "size", "fewest", "first"), NETWORKS)
def test_known_networks(name: str, size: int, fewest: int, first: list[str]) -> None:
    network = timm.create_model(name, num_classes=0, **NARROW.get(name, {})).eval()
    example = torch.randn(2, 3, size, size)
    stages = find_stages(network, example)
    assert len(stages) >= fewest
    assert list(stages)[: len(first)] == first
    with torch.no_grad():
        assert torch.equal(compose(stages, example), network(example))
    entries = [key for stage in stages.values() for key in stage.state_dict()]
    assert sorted(entries) == sorted(network.state_dict())
    owners = [id(p) for stage in stages.values() for p in stage.parameters()]
    assert len(owners) == len(set(owners)) == len(list(network.parameters()))


@pytest.fixture
def vit() -> nn.Module:
    network: nn.Module = timm.create_model("test_vit3", num_classes=0, dynamic_img_size=False)
    return network


@pytest.fixture
def resnet() -> nn.Module:
    network: nn.Module = timm.create_model("resnet10t", num_classes=0, drop_rate=0.5)
    return network


def test_gradients_reach_parameters_outside_modules(vit: nn.Module) -> None:
    size = 160
    stages = find_stages(vit, torch.randn(2, 3, size, size))
    assert len(stages) >= 9
    first = next(iter(stages.values()))
    assert {"pos_embed", "patch_embed.proj.weight"} <= set(first.state_dict())
    loss = compose(stages, torch.randn(2, 3, size, size)).square().sum()
    parameters = [p for stage in stages.values() for p in stage.parameters()]
    assert all(gradient is not None for gradient in torch.autograd.grad(loss, parameters))


def test_modes_reach_every_submodule(resnet: nn.Module) -> None:
    resnet.train()
    example = torch.randn(2, 3, 32, 32)
    stages = find_stages(resnet, example)
    assert all(module.training for module in resnet.modules())  # its own mode is back
    for stage in stages.values():
        stage.eval()
    leaves = [m for s in stages.values() for m in s.modules() if next(m.children(), None) is None]
    assert not any(module.training for module in leaves)
    for stage in stages.values():
        stage.train()
    assert all(module.training for module in leaves)
    norm = resnet.get_submodule("bn1").state_dict()["running_mean"].clone()
    compose(stages, example)
    assert not torch.equal(norm, resnet.get_submodule("bn1").state_dict()["running_mean"])


def test_functional_dropout_follows_the_mode(resnet: nn.Module) -> None:
    """timm drops before the head by a function that reads `self.training`."""
    example = torch.randn(2, 3, 32, 32)
    stages = find_stages(resnet, example)
    assert len(stages) > 4
    last = list(stages.values())[-1]
    maps = compose(dict(list(stages.items())[:-1]), example).detach()
    assert (last.train()(maps) == 0).float().mean() > 0.2
    resnet.eval()
    assert torch.equal(last.eval()(maps), last(maps))


def test_stages_can_be_copied_and_stay_independent(resnet: nn.Module) -> None:
    example = torch.randn(2, 3, 32, 32)
    stages = find_stages(resnet.eval(), example)
    expected = compose(stages, example)
    copies = {name: copy.deepcopy(stage) for name, stage in stages.items()}
    with torch.no_grad():
        for parameter in resnet.parameters():
            parameter.zero_()
    assert torch.equal(compose(copies, example), expected)
    check = [key for stage in copies.values() for key in stage.state_dict()]
    assert sorted(check) == sorted(resnet.state_dict())


class Looping(nn.Module):
    """Can't be traced: its way depends on what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.two = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.sum() > 1e9:
            inputs = -inputs
        result: Tensor = self.two(self.one(inputs))
        return result


def test_what_cannot_be_traced_is_one_stage_or_given() -> None:
    network, example = Looping(), torch.randn(2, 4)
    assert find_stages(network, example) == {"network": network}
    by_name = {
        name: nn.Sequential(OrderedDict({name: child})) for name, child in network.named_children()
    }
    assert find_stages(network, example, by_name) == by_name
    unnamed = {name: nn.Sequential(child) for name, child in network.named_children()}
    with pytest.raises(HeadstartError, match=r"don't hold its tensors: 0.bias"):
        find_stages(network, example, unnamed)


class Misleading(nn.Module):
    """Traced, it takes a way that no real tensor takes."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.two = nn.Linear(4, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.one(inputs)
        result: Tensor = self.two(hidden if isinstance(hidden, Tensor) else -hidden)
        return result


def test_a_misleading_trace_is_dropped() -> None:
    network = Misleading()
    assert find_stages(network, torch.randn(2, 4)) == {"network": network}


class Odd(nn.Module):
    """Shares a layer, leaves one unused, works in place, and forks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.shared = nn.Linear(8, 8)
        self.middle = nn.Linear(8, 8)
        self.last = nn.Linear(8, 4)
        self.inplace = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 8))
        self.never = nn.Linear(2, 2)
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("table", torch.ones(8), persistent=False)

    def forward(self, inputs: Tensor, double: bool = False) -> Tensor:
        hidden = self.shared(self.middle(self.shared(self.first(inputs) * self.table)) * self.table)
        hidden = self.inplace(hidden)
        result: Tensor = self.last(hidden + self.middle(hidden)) * self.get_buffer("scale")
        return result * 2 if double else result


def test_sharing_and_unused_tensors_stay_in_one_stage() -> None:
    network, example = Odd().eval(), torch.randn(3, 8)
    stages = find_stages(network, example)
    assert list(stages) == ["first", "shared"]
    assert set(stages["first"].state_dict()) == {"first.weight", "first.bias"}
    assert {"never.weight", "scale"} <= set(stages["shared"].state_dict())
    assert "table" not in stages["shared"].state_dict()
    copies = {name: copy.deepcopy(stage) for name, stage in stages.items()}
    assert "never.weight" in copies["shared"].state_dict()
    assert not [name for name in vars(network) if name.startswith("_tensor_constant")]


def test_no_stage_writes_into_its_input() -> None:
    network = nn.Sequential(
        nn.Linear(4, 4), nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4)), nn.Linear(4, 2)
    ).eval()
    example = torch.randn(3, 4)
    stages = find_stages(network, example)
    assert list(stages) == ["0", "1.1", "2"]
    for stage in stages.values():
        before = example.clone()
        after = stage(example)
        assert torch.equal(before, example)
        example = after


def test_a_cut_before_a_much_smaller_one_is_dropped() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 2, 2), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 1, 4, 4)
    )
    stages = find_stages(network, torch.randn(2, 1, 8, 8))
    assert list(stages) == ["0", "2", "3"]


def test_stages_that_compute_something_else_are_refused() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    swapped = find_stages(network, torch.randn(2, 2))
    wrong = {"1": swapped["1"], "0": swapped["0"]}
    with pytest.raises(HeadstartError, match="compute something else"):
        check_stages(network, wrong, torch.randn(2, 2))
    with pytest.raises(HeadstartError, match=r"don't hold its tensors: 1.bias"):
        check_stages(network, {"0": swapped["0"]}, torch.randn(2, 2))


SMALL = [
    *("test_byobnet", "test_convnext", "test_nfnet", "test_vit", "crossvit_9_240", "dla46_c"),
    *("ghostnet_050", "levit_128s", "mobilevitv2_050", "selecsls42"),
]


@pytest.mark.parametrize("name", SMALL)
def test_families(name: str) -> None:
    network = timm.create_model(name, num_classes=0).eval()
    config = timm.get_pretrained_cfg(name)
    assert config is not None
    size = config.input_size[-1] if config.fixed_input_size else 96
    example = torch.randn(2, 3, size, size)
    check_stages(network, find_stages(network, example), example)


POOLED = [  # name, what is pooled, the tensors of the pooling
    ("resnet18", (512, 2, 2), []),
    ("densenet121", (1024, 2, 2), []),
    ("convnext_atto", (320, 2, 2), ["head.norm.weight", "head.norm.bias"]),
]


@pytest.mark.parametrize(("name", "shape", "tensors"), POOLED, ids=[name for name, *_ in POOLED])
def test_the_pooling_is_split_off_and_computes_the_same(
    name: str, shape: tuple[int, ...], tensors: list[str]
) -> None:
    network = timm.create_model(name, num_classes=0, **NARROW.get(name, {})).eval()
    example = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = find_stages(network, example)
    stages, pool = split_pool(whole, example)
    assert list(stages) == list(whole)
    with torch.no_grad():
        maps: Tensor = example
        for stage in stages.values():
            maps = stage(maps)
        assert maps.shape[1:] == shape
        assert torch.equal(pool(maps), network(example))
    assert list(pool.state_dict()) == tensors
    names = [n for part in (*stages.values(), pool) for n in part.state_dict()]
    assert sorted(names) == sorted(network.state_dict())
    assert not any(m.training for part in (*stages.values(), pool) for m in part.modules())


def test_where_no_map_is_pooled_in_the_last_stage_the_vector_is_all_there_is() -> None:
    network = timm.create_model("mobilenetv3_small_050", num_classes=0).eval()
    example = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = find_stages(network, example)
    stages, pool = split_pool(whole, example)
    assert type(pool) is nn.Identity
    assert list(stages.values()) == list(whole.values())
