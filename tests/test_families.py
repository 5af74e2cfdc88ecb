"""Every family of networks that the documentation names, from reference to reloaded model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_pictures
from torch import nn

import headstart as hs
from headstart import catalog
from headstart.contracts.model import Model

pytestmark = pytest.mark.slow  # each is trained, saved, and proved in a fresh process

FAMILIES = {
    "AlexNet": "torchvision:alexnet?size=64",
    "VGG-16": "torchvision:vgg16?size=32",
    "GoogLeNet": "torchvision:googlenet?size=64",
    "Inception v3": "timm:inception_v3?size=96",
    "ResNet-18": "timm:resnet18?size=32",
    "ResNet-50": "torchvision:resnet50?size=32",
    "MobileNetV2": "timm:mobilenetv2_100?size=32",
    "MobileNetV3": "torchvision:mobilenet_v3_small?size=32",
    "SqueezeNet": "torchvision:squeezenet1_1?size=64",
    "DenseNet": "timm:densenet121?size=32",
    "MobileNetV2 of Keras": "keras:MobileNetV2?size=32",
    "ResNet50 of Keras": "keras:ResNet50?size=32",
}
TITLES = ("family", "reference", "parameters", "stages", "features", "last stage trained")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_goes_the_whole_way(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = f"{FAMILIES[family]}&pretrained=false"
    if reference.startswith("keras:") and find_spec("keras") is None:  # its hub imports it
        pytest.skip("needs keras")
    torch.manual_seed(0)
    backbone = catalog.load_backbone(reference)
    sides = [backbone.preprocess[side] for side in ("channels", "height", "width")]
    batch = torch.randn(3, *sides)
    features = forward(backbone.prefix(), batch)
    whole = Model.of(backbone, nn.Identity()).eval()
    with torch.no_grad():
        assert torch.equal(features, whole(batch))
    assert features.shape == (3, backbone.feature_dim) and features.isfinite().all()

    data = write_pictures(tmp_path / "pictures", {"ants": 20, "bees": 20})
    settings = hs.Settings(scratch=False, evidence="none", epochs=1, device="cpu")
    result = hs.fit(data, reference, tmp_path / "model", strategy="last-stages", settings=settings)
    record = result.to_json()
    arms = {arm["strategy"] for arm in (record, record.get("dropped", record))}
    assert "last-stages" in arms
    assert record["checks"]["equal in a fresh process"]
    assert any("frozen" in name and passed for name, passed in record["checks"].items())
    again = hs.load(tmp_path / "model")
    (answer,) = again.predict([next((data / "ants").iterdir())])
    assert answer.label in ("ants", "bees")

    numbers = sum(p.numel() for stage in backbone.prefix() for p in stage.parameters())
    row = (family, reference, f"{numbers / 1e6:.1f}M", len(backbone.stages), backbone.feature_dim)
    with capsys.disabled():
        print("\n| " + " | ".join(map(str, (*row, record["arms"]["chosen"]["steps"]))) + " |")


def forward(stages: Any, batch: torch.Tensor) -> torch.Tensor:
    """One stage after another, in eval mode."""
    with torch.no_grad():
        for stage in stages:
            batch = stage.eval()(batch)
    return batch
