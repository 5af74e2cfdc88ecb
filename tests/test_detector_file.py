"""A detector's own file of weights, whose network is a function of the user's: FastestDet."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from detectors import squares

import headstart as hs
from headstart import catalog
from headstart.contracts.model import Model

WEIGHTS = "weights/detection/fastestdet_coco_ap50_0.2532.pth"
NETWORK = '''
"""The trunk of FastestDet (Xuequn Ma 2022): ShuffleNetV2 (Ma et al. 2018), blue first."""
import torch
from torch import nn

def convolution(inputs, outputs, size, stride, groups, cut):
    layers = [nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)]
    return [*layers, nn.BatchNorm2d(outputs), *([nn.ReLU()] if cut else [])]

class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        half = outputs // 2
        own = inputs // 2 if stride == 1 else inputs
        self.branch_main = nn.Sequential(*convolution(own, half, 1, 1, 1, True),
            *convolution(half, half, 3, stride, half, False),
            *convolution(half, outputs - own if stride == 2 else half, 1, 1, 1, True))
        self.branch_proj = nn.Sequential() if stride == 1 else nn.Sequential(
            *convolution(inputs, inputs, 3, stride, inputs, False),
            *convolution(inputs, inputs, 1, 1, 1, True))

    def forward(self, x):
        if len(self.branch_proj):
            return torch.cat([self.branch_proj(x), self.branch_main(x)], 1)
        return torch.cat([x[:, 0::2], self.branch_main(x[:, 1::2])], 1)

class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.first_conv = nn.Sequential(*convolution(3, 24, 3, 2, 1, True))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(Block(i, o, 2), *(Block(o, o, 1) for _ in range(n - 1)))
            for i, o, n in ((24, 48, 4), (48, 96, 8), (96, 192, 4)))

    def forward(self, x):
        x = self.maxpool(self.first_conv(x.flip(1)))
        return self.stage4(self.stage3(self.stage2(x))).mean((2, 3))

def trunk() -> nn.Module:
    return Trunk()
'''


@pytest.fixture
def reference(shared_data: Path, tmp_path: Path) -> str:
    """The trunk with its published weights, whose file holds the rest of the detector, too."""
    (tmp_path / "fastestdet.py").write_text(NETWORK)
    fed = "size=96&mean=0&std=1&head=false&trust=true"
    return f"file:{tmp_path}/fastestdet.py:trunk@{shared_data / WEIGHTS}?{fed}"


def test_its_maps_are_read_by_a_light_head(reference: str, shared_data: Path) -> None:
    backbone = catalog.load_backbone(reference)
    state = torch.load(shared_data / WEIGHTS, map_location="cpu", weights_only=True)
    task = catalog.task("image-boxes")
    trunk = task.backbone(backbone)
    own = task.for_backbone(trunk)
    model = Model.of(trunk, own.head(trunk.feature_dim, ["red", "blue"]))
    tensors = {name.rpartition("network.")[2]: t for name, t in model.backbone_state().items()}
    name = "stage4.3.branch_main.5.weight"
    assert torch.equal(tensors[name], state[f"backbone.{name}"])
    assert [level.stride for level in trunk.levels] == [8, 16, 32]
    assert any("left out" in each for each in backbone.notes)


@pytest.mark.slow
def test_it_is_fitted_and_saved(reference: str, tmp_path: Path) -> None:
    data, out = squares(tmp_path / "data", 24), tmp_path / "model"
    strategy = "feature-extraction?head=trained"
    hs.fit(data, reference, out, strategy=strategy, scratch=False, epochs=2, evidence="quick")
    assert len(hs.load(out).predict([data / "1.png"])) == 1
