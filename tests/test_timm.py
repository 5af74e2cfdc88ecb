"""The timm hub: real weights, their headers and heads, options, and what timm itself reads back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import constants
from timm.data.config import resolve_model_data_config
from torch import nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.hubs.timm import listing
from headstart.loading.weights import save
from headstart.modalities.image import Image

TINY = "test_resnet"


def test_real_weights_know_a_macaw(shared_data: Path) -> None:
    path = shared_data / "weights" / "mobilenetv2_100.imagenet.safetensors"
    backbone = catalog.load_backbone(f"timm:mobilenetv2_100@{path}")
    assert backbone.head is not None
    assert backbone.preprocess["mean"] == [0.5, 0.5, 0.5]
    assert backbone.architecture.options["pad_type"] == "same"
    assert backbone.origin.licence == "Apache-2.0"
    assert len(backbone.stages) >= 15
    image, raw = Image(), (shared_data / "images" / "parrot.jpg").read_bytes()
    batch = image.collate([image.decode(raw, backbone.preprocess)], backbone.preprocess)
    with torch.no_grad():
        best = Model.of(backbone, backbone.head).eval()(batch).argmax().item()
    labels = (shared_data / "weights" / "imagenet_labels_1001.txt").read_text().splitlines()
    assert labels[int(best)] == "macaw"


def test_the_heads_width_is_read_off_the_file(shared_data: Path) -> None:
    path = shared_data / "weights" / "mobilenetv2_100.inat_insect.safetensors"
    head = catalog.load_backbone(f"timm:mobilenetv2_100@{path}").head
    assert isinstance(head, nn.Linear)
    assert head.out_features == 1022
    with pytest.raises(WeightsError, match="holds the weights of timm:mobilenetv2_100, not of"):
        catalog.load_backbone(f"timm:resnet18@{path}")


def weights(
    path: Path, name: str = TINY, header: dict[str, str] | None = None, **more: int
) -> Path:
    """Random weights of a timm model in a file."""
    make: Callable[..., nn.Module] = timm.create_model
    save(make(name, **more).state_dict(), path, header or {})
    return path


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = weights(tmp_path / "a.safetensors", "resnet18", num_classes=3)
    with pytest.raises(WeightsError, match=r"missing: .* left over: .* and \d+ more"):
        catalog.load_backbone(f"timm:mobilenetv2_100@{path}")


def test_options_win_over_the_header_and_the_header_over_the_model(tmp_path: Path) -> None:
    header = {"mean": "0.1", "std": "0.2,0.3,0.4", "size": "64", "crop": "0.5", "timm": TINY}
    path = weights(tmp_path / "a.safetensors", header=header)
    backbone = catalog.load_backbone(f"timm:{TINY}@{path}?mean=0.7&interpolation=nearest")
    assert backbone.preprocess == {
        "channels": 3,
        "height": 64,
        "width": 64,
        "crop": 0.5,
        "crop_mode": "center",
        "interpolation": "nearest",
        "mean": [0.7] * 3,
        "std": [0.2, 0.3, 0.4],
    }
    again = catalog.load_backbone(backbone.architecture)
    assert again.preprocess == backbone.preprocess


def test_grey_pictures(tmp_path: Path) -> None:
    backbone = catalog.load_backbone(f"timm:{TINY}?pretrained=false&channels=1&size=32")
    first = next(iter(backbone.prefix()))
    assert first(torch.zeros(1, 1, 32, 32)).shape[0] == 1
    assert len(backbone.preprocess["mean"]) == len(backbone.preprocess["std"]) == 1
    assert catalog.load_backbone(backbone.architecture).preprocess == backbone.preprocess


def test_a_network_of_fixed_size_is_built_for_another() -> None:
    backbone = catalog.load_backbone("timm:deit_tiny_patch16_224?pretrained=false&size=64")
    assert backbone.preprocess["height"] == 64
    assert catalog.load_backbone(backbone.architecture).preprocess["height"] == 64


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (f"timm:{TINY}?foo=1", "has no option 'foo'"),
        (f"timm:{TINY}?pretrained=false&foo=1", "has no option 'foo'"),
        (f"timm:{TINY}?pretrained=false&size=big", "size='big' is not a number"),
        (f"timm:{TINY}?pretrained=false&mean=1,2", "has not one number for each of 3 channels"),
        (f"timm:{TINY}?pretrained=false&std=0", "not above 0"),
        (f"timm:{TINY}?pretrained=false&num_classes=3", "'num_classes' is set by Headstart"),
        (f"timm:{TINY}?pretrained=false&checkpoint_path=a.pth", "'checkpoint_path' is set by"),
        (f"timm:{TINY}?pretrained=false&global_pool=", "not one row"),
        ("timm:inception_v3?pretrained=false&size=20", "can't read pictures of 3x20x20"),
        (f"timm:{TINY}@absent.pth", "absent.pth is not a file"),
    ],
)
def test_options_that_cannot_be_used(reference: str, message: str, no_network: None) -> None:
    with pytest.raises(HeadstartError) as caught:
        catalog.load_backbone(reference)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["resnet_18", "resnet18.a1_in2k", "resnet18.a"])
def test_unknown_names_offer_the_nearest(name: str) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18"):
        catalog.load_backbone(f"timm:{name}")


@pytest.mark.parametrize("offline", [True, False])
def test_no_network_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, no_network: None, tmp_path: Path, offline: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    with pytest.raises(WeightsError) as caught:
        catalog.load_backbone(f"timm:{TINY}")
    name = f"timm:{TINY}"
    assert str(caught.value) == (
        f"The weights of {name} are not on this machine, and there is no network. "
        f"Give a local file with {name}@FILE, or take random weights with {name}?pretrained=false."
    )
    with pytest.raises(WeightsError, match="has no pretrained weights"):
        catalog.load_backbone("timm:mobilenetv2_075")


def test_cached_weights_are_at_hand_and_load_without_a_socket(
    monkeypatch: pytest.MonkeyPatch, no_network: None, tmp_path: Path
) -> None:
    config = timm.get_pretrained_cfg(TINY)
    assert config is not None
    folder = tmp_path / huggingface_hub.file_download.repo_folder_name(
        repo_id=str(config.hf_hub_id), repo_type="model"
    )
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    (folder / "snapshots" / ("a" * 40)).mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert [c.at_hand for c in catalog.hub("timm").cards(f"{TINY}.*")] == [False]
    weights(folder / "snapshots" / ("a" * 40) / "model.safetensors")
    assert [c.at_hand for c in catalog.hub("timm").cards(f"{TINY}.*")] == [True]
    backbone = catalog.load_backbone(f"timm:{TINY}")
    assert backbone.origin.pretrained
    assert isinstance(backbone.head, nn.Linear)
    assert backbone.origin.trained_on == "ImageNet-1k"
    assert backbone.origin.licence == "apache-2.0"


def test_cards_tell_and_remember(no_network: None, own_cache: Path) -> None:
    cards = {card.reference: card for card in catalog.hub("timm").cards("mobilenetv2_*")}
    card = cards["timm:mobilenetv2_100.ra_in1k"]
    assert (card.parameters, card.input) == (3_504_872, "3x224x224")
    assert (card.licence, card.trained_on) == ("apache-2.0", "ImageNet-1k")
    assert (card.accuracy, card.year) == (72.9, 2018)
    assert cards["timm:mobilenetv2_075"].trained_on is None
    assert cards["timm:mobilenetv2_075"].accuracy is None
    assert list(own_cache.glob("timm-*.json")) == []  # known without counting


def test_parameters_are_counted_and_remembered_where_they_are_not_known(
    no_network: None, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads(listing.COUNTED.read_text())
    assert record.keys() >= set(timm.list_models("mobilenet*"))
    monkeypatch.setattr(listing, "COUNTED", own_cache / "absent")
    for card in catalog.hub("timm").cards("mobilenetv2_*"):
        assert card.parameters == record[card.reference.partition(":")[2].partition(".")[0]]
    (remembered,) = own_cache.glob("timm-*.json")
    content = json.loads(remembered.read_text())
    remembered.write_text(json.dumps({**content, "mobilenetv2_075": 7}))
    again = {card.reference: card for card in catalog.hub("timm").cards("mobilenetv2_075")}
    assert again["timm:mobilenetv2_075"].parameters == 7
    assert all(c.reference for c in catalog.hub("timm").cards("vit_tiny_patch16_224"))


def test_what_is_published_is_of_weights_that_timm_has() -> None:
    names = set(timm.list_pretrained())
    assert set(listing.ACCURACY) <= names
    assert all(20 < accuracy < 100 for accuracy in listing.ACCURACY.values())
    for name in listing.ACCURACY:
        config = timm.get_pretrained_cfg(name)
        assert config is not None
        assert "dinov2" in name or config.num_classes in (1000, 1001)
        assert listing.year(name) is not None


@pytest.mark.parametrize(
    ("name", "year"),
    [
        ("vgg16", 2014),
        ("resnet50.a1_in1k", 2015),
        ("wide_resnet50_2", 2016),
        ("densenet121", 2016),
        ("mobilenetv4_conv_small", 2024),
        ("deit3_small_patch16_224", 2022),
        ("vit_small_patch14_dinov2.lvd142m", 2023),
        ("convnext_tiny.dinov3_lvd1689m", 2025),
        ("none-such", None),
    ],
)
def test_a_name_is_as_new_as_the_newest_it_mentions(name: str, year: int | None) -> None:
    assert listing.year(name) == year


def local_dir(folder: Path, backbone: Backbone, labels: int) -> tuple[Path, nn.Linear]:
    """A folder as the artifact writes it for timm."""
    head = nn.Linear(backbone.feature_dim, labels)
    state = Model.of(backbone, head).backbone_state()
    state |= {f"{backbone.head_name}.{name}": t for name, t in head.state_dict().items()}
    folder.mkdir()
    save(state, folder / "model.safetensors", {})
    config = {**backbone.native, "num_classes": labels}
    (folder / "config.json").write_text(json.dumps(config))
    return folder, head


@pytest.mark.parametrize(
    "reference",
    [
        "timm:mobilenetv2_100?pretrained=false&pad_type=same&size=64&mean=0.5",
        "timm:deit_tiny_patch16_224?pretrained=false&size=64&channels=1",
        "timm:test_convnext?pretrained=false&crop=0.5",
    ],
)
def test_timm_alone_opens_what_native_describes(reference: str, tmp_path: Path) -> None:
    backbone = catalog.load_backbone(reference)
    folder, head = local_dir(tmp_path / "model", backbone, labels=4)
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    fed = backbone.preprocess
    batch = torch.randn(2, *(fed[side] for side in ("channels", "height", "width")))
    with torch.no_grad():
        assert torch.equal(network(batch), Model.of(backbone, head).eval()(batch))
    config = resolve_model_data_config(network)
    assert tuple(config["input_size"]) == (fed["channels"], fed["height"], fed["width"])
    assert (list(config["mean"]), list(config["std"])) == (fed["mean"], fed["std"])
    assert (config["crop_pct"], config["interpolation"]) == (fed["crop"], fed["interpolation"])


def test_a_head_timm_cannot_hold_comes_back_from_the_file(tmp_path: Path) -> None:
    """A distilled network has two heads; ours is one, and is found by its name."""
    name = "deit_tiny_distilled_patch16_224?pretrained=false&size=32"
    backbone = catalog.load_backbone(f"timm:{name}")
    assert backbone.native == {}
    folder, head = local_dir(tmp_path / "model", backbone, labels=4)
    path = folder / "model.safetensors"
    again = catalog.load_backbone(str(backbone.architecture).replace("?", f"@{path}?"))
    assert isinstance(again.head, nn.Linear)
    assert torch.equal(again.head.weight, head.weight)
    assert again.origin.weights_hash == backbone.origin.weights_hash
