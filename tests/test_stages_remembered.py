"""Stages found once: cut again without a pass, and found anew wherever anything has changed."""

from __future__ import annotations

import json
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from headstart.loading.stages.remembered import Parts, stages_and_pool
from headstart.runtime import known

pytestmark = pytest.mark.usefixtures("own_stages")
EXAMPLE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def mobile(**options: Any) -> nn.Module:
    """A small network of timm with weights that are always the same."""
    torch.manual_seed(0)
    return timm.create_model("mobilenetv2_035", num_classes=0, **options).eval()


def passes(network: nn.Module, example: Tensor = EXAMPLE) -> tuple[Parts, int]:
    """Its stages and pooling, and how often a convolution ran meanwhile."""
    calls: list[int] = []

    def count(module: nn.Module, *_: object) -> None:
        if isinstance(module, nn.Conv2d):
            calls.append(1)

    hook = nn.modules.module.register_module_forward_hook(count)
    try:
        parts = stages_and_pool(network, example)
        return parts, len(calls)
    finally:
        hook.remove()


def answers(parts: Parts) -> Tensor:
    """What stages and pooling give."""
    stages, pool = parts
    activation = EXAMPLE
    with torch.no_grad():
        for stage in stages.values():
            activation = stage(activation)
        pooled: Tensor = pool(activation)
    return pooled


@pytest.mark.parametrize("name", ["mobilenetv2_035", "resnet18", "convnext_atto", "regnetx_002"])
@pytest.mark.usefixtures("own_cache")
def test_what_was_found_is_cut_again_without_a_pass(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0).eval()
    first, ran = passes(network)
    again, ran_again = passes(network)
    assert (ran > 0, ran_again) == (True, 0)
    assert list(again[0]) == list(first[0])
    assert [list(s.state_dict()) for s in again[0].values()] == [
        list(s.state_dict()) for s in first[0].values()
    ]
    with torch.no_grad():
        assert torch.equal(answers(again), network(EXAMPLE))
    assert type(again[1]) is type(first[1])
    network.train()
    stages, pool = stages_and_pool(network, EXAMPLE)
    assert all(part.training for part in (*stages.values(), pool))


def test_nothing_survives_a_change(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes(mobile())
    assert passes(mobile())[1] == 0
    other = mobile()
    with torch.no_grad():
        next(other.parameters()).mul_(1.5)
    assert passes(other)[1] > 0  # weights
    assert passes(mobile(output_stride=16))[1] > 0  # an option
    assert passes(mobile(), EXAMPLE[:, :, :31])[1] > 0  # the example
    for what in ("headstart", "torch", "timm"):
        versions = {**known.versions(), what: "0.0.1"}
        monkeypatch.setattr(known, "versions", lambda versions=versions: versions)
        assert passes(mobile())[1] > 0, what
        monkeypatch.undo()
        monkeypatch.setenv("HEADSTART_CACHE", str(own_cache))
    monkeypatch.setattr(known, "processor", lambda: "another")
    assert passes(mobile())[1] > 0


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"opened": 3}', "\x00", '{"pooling": "x", "sizes": [1]}']
)
def test_a_damaged_record_is_made_anew(own_cache: Path, content: str) -> None:
    first, _ = passes(mobile())
    (file,) = (own_cache / known.FOLDER).iterdir()
    whole = file.read_text()
    file.write_text(content)
    again, ran = passes(mobile())
    assert ran > 0
    assert list(again[0]) == list(first[0])
    assert json.loads(file.read_text()) == json.loads(whole)


def test_a_record_of_other_cuts_is_not_believed_where_it_does_not_fit(own_cache: Path) -> None:
    passes(mobile())
    (file,) = (own_cache / known.FOLDER).iterdir()
    content = json.loads(file.read_text())
    content["nodes"] = content["nodes"][:-1]
    file.write_text(json.dumps(content))
    parts, ran = passes(mobile())
    assert ran > 0
    with torch.no_grad():
        assert torch.equal(answers(parts), mobile()(EXAMPLE))


class Own(nn.Module):
    """A network of a user, whose code may change from day to day."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        """Pictures -> features."""
        features: Tensor = self.second(self.first(inputs)).mean((2, 3))
        return features


def doubled(layer: nn.Module, inputs: Tensor) -> Tensor:
    """What somebody puts in the place of a layer's own forward."""
    return 2 * nn.functional.relu(inputs)


@pytest.mark.parametrize("patched", [False, True])
def test_the_code_of_others_is_looked_at_each_time(own_cache: Path, patched: bool) -> None:
    network = mobile() if patched else Own().eval()
    if patched:
        layer: Any = network.bn2
        layer.forward = MethodType(doubled, layer)
    passes(network)
    assert passes(network)[1] > 0
    assert not (own_cache / known.FOLDER).exists()


def test_a_cache_that_cannot_be_written_is_done_without(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    assert passes(mobile())[1] > 0
    with torch.no_grad():
        assert torch.equal(answers(passes(mobile())[0]), mobile()(EXAMPLE))
