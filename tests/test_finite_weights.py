"""Weights that are NaN or infinite: told when a backbone is loaded, by every route."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from encoders import small_encoder
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models import squeezenet1_1

from headstart import catalog
from headstart.contracts.backbone import Backbone
from headstart.contracts.references import parse
from headstart.errors import WeightsError
from headstart.loading.finite import demand_finite


def state(name: str, value: float) -> dict[str, Any]:
    """A network of timm with one number changed."""
    torch.manual_seed(0)
    tensors = timm.create_model("test_resnet", num_classes=5).state_dict()
    tensors[name].view(-1)[3] = value
    return dict(tensors)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("conv1.0.weight", float("nan")),
        ("layer1.0.conv1.weight", float("-inf")),
        ("bn1.running_var", float("inf")),
    ],
)
@pytest.mark.parametrize("query", ["", "&layer=layer2.0"])
def test_the_file_and_the_tensor_are_named(
    tmp_path: Path, name: str, value: float, query: str
) -> None:
    torch.save(state(name, value), tmp_path / "w.pth")
    reference = f"timm:test_resnet@{tmp_path / 'w.pth'}?size=32{query}"
    message = rf"w\.pth has 1 numbers in \S*{name.rpartition('.')[2]} that are NaN or infinite\."
    with pytest.raises(WeightsError, match=message):
        catalog.load_backbone(reference)


def test_large_numbers_and_masks_are_sound(tmp_path: Path) -> None:
    torch.save(state("conv1.0.weight", 3e38), tmp_path / "w.pth")
    catalog.load_backbone(f"timm:test_resnet@{tmp_path / 'w.pth'}?size=32")
    stage = nn.Linear(9, 9)
    stage.weight.data.fill_(3e38)  # whose sum is infinite
    stage.register_buffer("mask", torch.full((3,), float("-inf")))
    backbone: Any = type("", (), {"stages": {"s": stage}, "head": None, "is_late": False})()
    demand_finite(backbone, parse("timm:test_resnet"))
    stage.weight = nn.Parameter(torch.ones(9, 9).to(torch.float8_e4m3fn))  # which has no sums
    demand_finite(backbone, parse("timm:test_resnet"))
    stage.weight.data[0, 0] = float("nan")
    with pytest.raises(WeightsError, match=r"has 1 numbers in s\.weight that are NaN"):
        demand_finite(backbone, parse("timm:test_resnet"))


def _torchvision(folder: Path) -> str:
    tensors = squeezenet1_1().state_dict()
    save_file(tensors, folder / "w.safetensors")
    return f"torchvision:squeezenet1_1@{folder / 'w.safetensors'}?size=64"


def _text(folder: Path) -> str:
    small_encoder(folder)
    return f"hf:{folder}"


def _file(folder: Path) -> str:
    lines = ["from torch import nn", "def net():", " return nn.Sequential(nn.Flatten(), layer())"]
    lines += ["def layer():", " return nn.Linear(192, 4)"]
    (folder / "net.py").write_text("\n".join(lines))
    layer = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    save_file(layer.state_dict(), folder / "w.safetensors")
    return f"file:{folder / 'net.py'}:net@{folder / 'w.safetensors'}?size=8&head=false&trust=true"


@pytest.mark.parametrize("write", [_text, _file])
def test_every_hub_tells_it(tmp_path: Path, write: Callable[[Path], str]) -> None:
    reference = write(tmp_path)
    assert isinstance(catalog.load_backbone(reference), Backbone)
    (file,) = tmp_path.glob("*.safetensors")
    tensors = load_file(file)
    tensors[min(tensors, key=lambda name: "classifier" in name)].view(-1)[0] = float("nan")
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r" has 1 numbers in \S+ that are NaN or infinite\."):
        catalog.load_backbone(reference)
