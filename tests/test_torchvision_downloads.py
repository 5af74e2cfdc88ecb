"""What torchvision has, and fetching it: once, compared with its hash, and never offline."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from file_server import connected, serving
from huggingface_hub import constants
from torchvision import models

from headstart import catalog
from headstart.errors import WeightsError

SMALL = "squeezenet1_1"


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where torch keeps its downloads."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_cards_tell_all_without_a_network(no_network: None, torch_home: Path) -> None:
    cards = {card.reference: card for card in catalog.hub("torchvision").cards("*")}
    assert len(cards) >= 110
    card = cards["torchvision:resnet50"]
    assert (card.parameters, card.input, card.licence) == (25_557_032, "3x224x224", "BSD-3-Clause")
    assert (card.trained_on, card.at_hand) == ("ImageNet-1k", False)
    assert (card.accuracy, card.year) == (80.858, 2021)
    assert cards["torchvision:resnet50@IMAGENET1K_V1"].accuracy == 76.13
    swag = cards["torchvision:vit_b_16@IMAGENET1K_SWAG_E2E_V1"]
    assert (swag.licence, swag.input, swag.year) == ("CC-BY-NC-4.0", "3x384x384", 2022)
    assert swag.trained_on == "Instagram-3.6B, then ImageNet-1k"
    assert all(card.year and card.parameters for card in cards.values())
    result = {card.reference for card in cards.values() if card.accuracy is None}
    assert "torchvision:fcos_resnet50_fpn" in result and len(result) < 20  # which find boxes
    ssd = cards["torchvision:ssdlite320_mobilenet_v3_large"]
    assert (ssd.input, ssd.trained_on, ssd.year) == ("3x320x320", "COCO", 2019)
    assert not [reference for reference in cards if "FEATURES" in reference]
    (one,) = catalog.hub("torchvision").cards("resnet50@*V1")
    assert one.reference == "torchvision:resnet50@IMAGENET1K_V1"


def test_offline_is_one_sentence(
    no_network: None, torch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError) as caught:
        catalog.load_backbone(f"torchvision:{SMALL}")
    name = f"torchvision:{SMALL}"
    url = models.get_model_weights(SMALL).DEFAULT.url
    assert str(caught.value) == (
        f"The file of weights of {name} could not be fetched from {url} (HF_HUB_OFFLINE forbids "
        f"it, and {torch_home / Path(url).name} is missing). Give a local file with {name}@FILE, "
        f"or take random weights with {name}?pretrained=false."
    )
    assert not torch_home.exists()


def test_weights_are_fetched_once_compared_and_at_hand(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(monkeypatch)
    entry = models.get_model_weights(SMALL).DEFAULT
    served = tmp_path / "served"
    served.mkdir()
    torch.save(models.squeezenet1_1().state_dict(), served / "a.pth")
    content = (served / "a.pth").read_bytes()
    right = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    reference = f"torchvision:{SMALL}?size=64"
    with serving(served) as address:
        for name, reason in (
            ("absent-00000000.pth", "404"),
            ("tiny-00000000.pth", "sha256"),
        ):
            if reason == "sha256":
                (served / name).write_bytes(content)
            monkeypatch.setattr(entry.value, "url", f"{address}/{name}")
            with pytest.raises(WeightsError, match=f"fetched from {address}/{name} .*{reason}"):
                catalog.load_backbone(reference)
            assert list(torch_home.iterdir()) == []
        (served / right).write_bytes(content)
        monkeypatch.setattr(entry.value, "url", f"{address}/{right}")
        assert [card.at_hand for card in catalog.hub("torchvision").cards(SMALL)] == [False]
        backbone = catalog.load_backbone(reference)
    assert [card.at_hand for card in catalog.hub("torchvision").cards(SMALL)] == [True]
    again = catalog.load_backbone(reference)  # nobody serves it any more
    assert again.origin == backbone.origin
    assert (again.origin.licence, again.origin.trained_on) == ("BSD-3-Clause", "ImageNet-1k")
    (torch_home / right).write_bytes(content[:1000])
    with pytest.raises(WeightsError, match=f"{right} can't be read"):
        catalog.load_backbone(reference)
