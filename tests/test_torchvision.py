"""The torchvision hub: families cut into stages, files of weights, and bad references."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as pil
from torch import nn
from torchvision import models

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.hubs.torchvision import listing, planning
from headstart.hubs.torchvision.building import SteppedTransformer
from headstart.loading.stages import find_stages
from headstart.loading.weights import load_into, read, save
from headstart.modalities.image import Image

SMALL = "squeezenet1_1"
EXTRAS: dict[str, dict[str, Any]] = {
    "googlenet": {"transform_input": True, "init_weights": False},
    "inception_v3": {"transform_input": True, "init_weights": False},
    "vgg11": {"init_weights": False},
    "vit_b_32": {"image_size": 64},
}


def theirs(name: str, **more: Any) -> nn.Module:
    """torchvision's own network with random weights."""
    torch.manual_seed(3)
    network: nn.Module = models.get_model(name, weights=None, **EXTRAS.get(name, {}), **more)
    return network.eval()


def outputs(backbone: Backbone, batch: torch.Tensor) -> torch.Tensor:
    """What the stages and the head answer in eval mode."""
    with torch.no_grad():
        answer: torch.Tensor = Model.of(backbone, backbone.head or nn.Identity()).eval()(batch)
    return answer


slow = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "size", "width", "stages"),
    [
        ("alexnet", 64, 4096, 6),
        ("googlenet", 32, 1024, 12),
        ("resnet18", 32, 512, 9),
        ("mnasnet0_5", 32, 1280, 20),
        ("shufflenet_v2_x0_5", 32, 1024, 18),
        ("regnet_y_400mf", 32, 440, 17),
        ("densenet121", 32, 1024, 5),
        slow("vgg11", 32, 4096, 7),
        slow("inception_v3", 96, 2048, 15),
        ("mobilenet_v2", 32, 1280, 20),
        slow("mobilenet_v3_small", 32, 1024, 15),
        slow("efficientnet_b0", 32, 1280, 20),
        ("convnext_tiny", 32, 768, 18),
        slow("vit_b_32", 64, 768, 13),
        slow("swin_t", 64, 768, 12),
    ],
)
def test_stages_and_head_equal_torchvisions_network(
    name: str, size: int, width: int, stages: int, tmp_path: Path
) -> None:
    network = theirs(name)
    path = tmp_path / "a.safetensors"
    save(network.state_dict(), path, {})
    torch.manual_seed(4)
    backbone = catalog.load_backbone(f"torchvision:{name}@{path}?size={size}")
    assert isinstance(backbone.head, nn.Linear)
    assert backbone.feature_dim == backbone.head.in_features == width
    assert len(backbone.stages) >= stages
    batch = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = network(batch)
    assert torch.allclose(outputs(backbone, batch), expected, atol=1e-5, rtol=1e-4)
    body = Model.of(backbone, nn.Identity()).backbone_state().keys()
    remaining = {key for key in network.state_dict() if key not in body}
    assert {key.rpartition(".")[0] for key in remaining if "ux" not in key} == {backbone.head_name}


def test_squeezenet_gives_what_its_classifier_reads() -> None:
    torch.manual_seed(3)
    backbone = catalog.load_backbone(f"torchvision:{SMALL}?pretrained=false&size=64")
    network, batch = theirs(SMALL), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network.get_submodule("features")(batch).mean((2, 3))
    assert torch.allclose(outputs(backbone, batch), expected, atol=1e-6)
    assert (backbone.head, backbone.feature_dim) == (None, 512)


def test_real_weights_know_a_macaw(shared_data: Path) -> None:
    path = shared_data / "weights" / "squeezenet1_1.imagenet.safetensors"
    backbone = catalog.load_backbone(f"torchvision:{SMALL}@{path}")
    assert backbone.head is None
    assert (backbone.origin.licence, backbone.origin.pretrained) == ("BSD-3", True)
    raw = (shared_data / "images" / "parrot.jpg").read_bytes()
    image = Image()
    batch = image.collate([image.decode(raw, backbone.preprocess)], backbone.preprocess)
    network = models.get_model(SMALL, weights=None).eval()
    state = Model.of(backbone, nn.Identity()).backbone_state()
    missing, left_over = network.load_state_dict(state, strict=False)
    assert (missing, left_over) == (["classifier.1.weight", "classifier.1.bias"], [])
    convolution = network.get_submodule("classifier.1")
    tensors = read(path).state
    load_into(convolution, {n: tensors[f"classifier.1.{n}"] for n in ("weight", "bias")}, "")
    with torch.no_grad():
        assert network(batch).argmax().item() == 88  # ImageNet's macaw
        features = network.get_submodule("features")(batch).mean((2, 3))
        assert torch.allclose(outputs(backbone, batch), features, atol=1e-5)
    with pytest.raises(WeightsError, match=r"not of torchvision:resnet18\. Write torchvision:squ"):
        catalog.load_backbone(f"torchvision:resnet18@{path}")


PHOTOS = ["efficientnet_v2_l", "convnext_tiny", "resnet50", "vit_b_16", "swin_v2_t"]


@pytest.mark.parametrize("name", PHOTOS)
def test_preprocessing_is_torchvisions(name: str, shared_data: Path) -> None:
    raw = (shared_data / "images" / "parrot.jpg").read_bytes()
    picture = pil.open(io.BytesIO(raw)).convert("RGB")
    for entry in listing.entries(name).values():
        recipe = planning.recipe(entry)
        image = Image()
        ours = image.collate([image.decode(raw, recipe)], recipe)[0]
        off = (ours - entry.transforms()(picture)).abs() * torch.tensor(recipe["std"])[
            :, None, None
        ]
        assert off.max() * 255 <= 2.01
        assert off.mean() * 255 < 0.01


def test_no_recipe_loses_a_pixel_of_the_resized_picture() -> None:
    for name in listing.names():
        for entry in listing.entries(name).values():
            recipe = planning.recipe(entry)
            assert int(recipe["height"] / recipe["crop"]) == entry.transforms().resize_size[0]


def test_entries_have_their_own_preprocessing_and_it_is_rebuilt() -> None:
    first = catalog.load_backbone("torchvision:regnet_y_400mf?pretrained=false&crop=1&size=32")
    assert (first.preprocess["crop"], first.preprocess["height"]) == (1.0, 32)
    assert catalog.load_backbone(first.architecture).preprocess == first.preprocess
    older = "torchvision:regnet_y_400mf@IMAGENET1K_V1?pretrained=false&size=32"
    backbone = catalog.load_backbone(older)
    assert backbone.preprocess["crop"] == 0.875
    assert backbone.architecture.options["crop"] == "0.875"
    assert catalog.load_backbone(backbone.architecture).preprocess == backbone.preprocess
    assert (backbone.head, backbone.origin.licence) == (None, None)


def test_a_transformer_is_cut_at_its_layers() -> None:
    torch.manual_seed(3)
    settings = {"image_size": 16, "patch_size": 4, "num_layers": 3, "num_heads": 2}
    network = models.VisionTransformer(**settings, hidden_dim=8, mlp_dim=16, dropout=0.1).eval()
    nn.init.normal_(network.heads.head.weight)  # torchvision starts it from zero
    batch = torch.randn(2, 3, 16, 16)
    stages = find_stages(SteppedTransformer(network), batch)
    layers = [f"encoder.layers.encoder_layer_{number}" for number in range(3)]
    assert list(stages) == ["conv_proj", *layers, "heads"]
    model = Model(stages, nn.Identity()).eval()
    assert model.backbone_state().keys() == network.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(model(batch), network(batch))


@pytest.mark.slow
def test_a_transformer_keeps_its_files_size_or_is_stretched(tmp_path: Path) -> None:
    network = theirs("vit_b_32")
    old = {
        name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): tensor
        for name, tensor in network.state_dict().items()
    }
    path = tmp_path / "a.safetensors"
    save(old, path, {})
    backbone = catalog.load_backbone(f"torchvision:vit_b_32@{path}")
    assert backbone.preprocess["height"] == 64
    assert backbone.architecture.options["size"] == "64"
    batch = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(outputs(backbone, batch), network(batch), atol=1e-5)
    wide = catalog.load_backbone(f"torchvision:vit_b_32@{path}?size=96")
    assert outputs(wide, torch.randn(1, 3, 96, 96)).shape == (1, 1000)
    positions = wide.stages["conv_proj"].state_dict()["encoder.pos_embedding"]
    assert torch.equal(
        positions[0, [1, 3, 7, 9]], network.state_dict()["encoder.pos_embedding"][0, 1:]
    )


def test_older_files_load(tmp_path: Path) -> None:
    """DenseNet's layers were called otherwise, and BatchNorm did not count its batches."""
    network = theirs("densenet121")
    old = {}
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            for kind in ("norm", "conv"):
                for number in "12" if "denselayer" in name else "":
                    name = name.replace(f".{kind}{number}.", f".{kind}.{number}.")
            old[name] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "a.pth")
    backbone = catalog.load_backbone(f"torchvision:densenet121@{tmp_path}/a.pth?size=32")
    batch = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(outputs(backbone, batch), network(batch), atol=1e-5)


def test_auxiliary_classifiers_in_a_file_are_dropped(tmp_path: Path) -> None:
    network = theirs("googlenet", aux_logits=True)
    assert "aux1.fc1.weight" in network.state_dict()
    save(network.state_dict(), tmp_path / "a.safetensors", {})
    backbone = catalog.load_backbone(f"torchvision:googlenet@{tmp_path}/a.safetensors?size=32")
    assert not [n for s in backbone.prefix() for n in s.state_dict() if n.startswith("aux")]


def test_the_heads_width_is_read_off_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(theirs("shufflenet_v2_x0_5", num_classes=7).state_dict(), path, {"licence": "MIT"})
    backbone = catalog.load_backbone(f"torchvision:shufflenet_v2_x0_5@{path}?size=32")
    assert isinstance(backbone.head, nn.Linear)
    assert backbone.head.out_features == 7
    assert backbone.origin.licence == "MIT"
    with pytest.raises(WeightsError, match=r"missing: .* left over: .* and \d+ more"):
        catalog.load_backbone(f"torchvision:{SMALL}@{path}?size=64")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (f"{SMALL}?wrong=1", "has no option 'wrong'. Its options: pretrained, size, crop, inter"),
        (f"{SMALL}?pretrained=false&size=big", "size='big' is not a number"),
        (f"{SMALL}?pretrained=false&size=0", "a size below 1"),
        (f"{SMALL}?pretrained=false&crop=1.5", "not between 0 and 1"),
        (f"{SMALL}?pretrained=false&interpolation=sinc", "of nearest, box, bilinear"),
        (f"{SMALL}?pretrained=false&size=8", "can't read pictures of 3x8x8"),
        ("vit_b_32?pretrained=false&size=50", "can't be built for pictures of 50 px (Input shape"),
        ("maxvit_t?pretrained=false&size=100", "partition size or the input size). Give it"),
        (f"{SMALL}@absent.pth", "absent.pth is not a file"),
        ("resnet50@IMAGENET1K_V9", "no weights 'IMAGENET1K_V9'. It has IMAGENET1K_V2, IMAGENET1K_"),
        ("vgg16@IMAGENET1K_FEATURES", "It has IMAGENET1K_V1; or give a file."),
    ],
)
def test_references_that_cannot_be_used(reference: str, message: str, no_network: None) -> None:
    with pytest.raises(HeadstartError) as caught:
        catalog.load_backbone(f"torchvision:{reference}")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["resnet_50", "squeezenet"])
def test_unknown_names_offer_the_nearest(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean '.*net"):
        catalog.load_backbone(f"torchvision:{name}")


def test_weights_that_give_no_numbers_are_refused(tmp_path: Path) -> None:
    state = theirs(SMALL).state_dict()
    state["features.12.expand1x1.bias"][:] = torch.nan
    save(state, tmp_path / "a.safetensors", {})
    with pytest.raises(WeightsError, match="features are not finite"):
        catalog.load_backbone(f"torchvision:{SMALL}@{tmp_path}/a.safetensors?size=64")
