"""Two tiny networks whose checkpoints are told apart by what they answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
import trained_checkpoints as trained
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model

PAGE = Path(__file__).resolve().parents[1] / "docs" / "backbones.md"
NAME = "test_resnet"
CLASSES = 7


def network(seed: int, **more: Any) -> nn.Module:
    """A tiny network of timm with random weights and statistics."""
    torch.manual_seed(seed)
    result: nn.Module = timm.create_model(NAME, num_classes=CLASSES, **more)
    for module in result.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
    return result.eval()


SAVED: dict[str, Any] = {"raw": network(1), "averaged": network(2)}
STATES = {name: dict(made.state_dict()) for name, made in SAVED.items()}
PICTURES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def answers(backbone: Backbone, head: bool = True) -> Tensor:
    """What the backbone gives for two pictures, under its own head or without."""
    own = backbone.head if head and backbone.head is not None else nn.Identity()
    with torch.no_grad():
        answered: Tensor = Model.of(backbone, own).eval()(PICTURES)
    return answered


def load(path: Path, options: str = "") -> Backbone:
    """The tiny network with these weights."""
    return catalog.load_backbone(f"timm:{NAME}@{path}?size=32{options}")


def recognised(path: Path, options: str = "") -> str:
    """Which network's weights were read, by what they answer, and what was said of it."""
    backbone = load(path, options)
    pooled = {
        name: result.forward_head(result.forward_features(PICTURES), pre_logits=True)
        for name, result in SAVED.items()
    }
    body = [n for n, f in pooled.items() if torch.allclose(answers(backbone, False), f, atol=1e-5)]
    assert len(body) == 1, "neither network's answers"
    text = f"read: the {body[0]} weights"
    if backbone.head is None:
        text += ", without a head"
    else:
        assert torch.allclose(answers(backbone), SAVED[body[0]](PICTURES), atol=1e-5)
        text += f" and their head of {CLASSES} classes"
    return " ".join([f"{text}.", *backbone.notes])


def saved(name: str, wrap: trained.Wrap, **more: Any) -> Callable[[Path], Path]:
    """Save what `wrap` makes of the two networks."""

    def write(folder: Path) -> Path:
        torch.save(wrap(STATES["raw"], STATES["averaged"], "fc"), folder / name, **more)
        return folder / name

    return write
