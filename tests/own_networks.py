"""A network of a user's own in every form, for tests of the hub `file`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model

TRUST = "HEADSTART_TRUST"
SOURCE = """
import pathlib
import dataclasses
import torch
from torch import nn

pathlib.Path(__file__).with_name("ran").touch()
print("a network's own chatter")

@dataclasses.dataclass
class Sizes:
    width: "int" = 6

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = Sizes().width
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(width, 4)

    def pooled(self, x):
        return self.drop(self.block(self.stem(x)).mean((2, 3)))

    def forward(self, x):
        return self.fc(self.pooled(x))

class Features(Net):
    def forward(self, x):
        return self.pooled(x)

class Softmax(Net):
    def forward(self, x):
        return self.fc(self.pooled(x)).softmax(1)

class Branching(Net):
    def forward(self, x):
        x = self.pooled(x)
        if x.shape[1] == 6:
            return self.fc(x)
        return x

def small() -> nn.Module:
    return Net()

def softmax():
    return Softmax()

def features():
    return Features()

def maps():
    return nn.Conv2d(3, 4, 3)

def inside():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU())

def fails():
    raise RuntimeError("no such layer")

def leaves():
    raise SystemExit(3)

def answers_with_words():
    return "a network"

def wants(classes):
    return Net()

made = Net()
"""


def settle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go into a folder with one Python file, in which nothing is trusted yet."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv(TRUST, "")
    (folder / "networks.py").write_text(SOURCE)
    return folder


def load(name: str = "networks.py:small", options: str = "size=8&trust=true") -> Backbone:
    """A backbone of the user's own."""
    return catalog.load_backbone(f"file:{name}?{options}")


def network(kind: str = "Net") -> nn.Module:
    """One of the networks in the file, in eval mode."""
    namespace: dict[str, Any] = {
        "__file__": str(Path("networks.py").resolve()),
        "__name__": "networks",
    }
    sys.modules["networks"] = sys  # dataclasses look for a module of this name
    exec(compile(SOURCE, namespace["__file__"], "exec"), namespace)  # TorchScript reads the source
    del sys.modules["networks"]
    result: nn.Module = namespace[kind]()
    for module in result.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)  # type: ignore[arg-type]
    return result.eval()


def batch(items: int = 3, size: int = 8) -> Tensor:
    """Random pictures."""
    return torch.randn(items, 3, size, size, generator=torch.Generator().manual_seed(1))


def logits(backbone: Backbone, pictures: Tensor) -> Tensor:
    """What the backbone answers under its own head."""
    assert backbone.head is not None
    with torch.no_grad():
        answered: Tensor = Model.of(backbone, backbone.head).eval()(pictures)
    return answered


def script(path: Path, how: str = "script", kind: str = "Net") -> nn.Module:
    """Save TorchScript of a network, which is answered."""
    model = network(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still what people have
        torch.jit.save(torch.jit.script(model) if how == "script" else _traced(model), path)
    return model


def _traced(network: nn.Module) -> Any:
    trace: Any = torch.jit.trace  # which has no types
    return trace(network, batch())


def export(path: Path, dynamic: bool = True) -> nn.Module:
    """Save an exported program of the network, which is answered."""
    model = network()
    shapes = ({0: torch.export.Dim("items")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, (batch(),), dynamic_shapes=shapes), path)
    return model
