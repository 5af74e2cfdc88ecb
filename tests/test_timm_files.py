"""timm's own files: folders with a config.json, and what timm's filters make of others' weights."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.models import load_state_dict, save_for_hf
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor, nn
from torchvision import models

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.contracts.references import parse
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.timm.filtering import filled
from headstart.hubs.timm.planning import settle

TINY = "test_resnet"
make: Callable[..., nn.Module] = timm.create_model


def network(name: str = TINY, seed: int = 1, **more: Any) -> nn.Module:
    """A network of timm with random weights, among them those of norms."""
    torch.manual_seed(seed)
    model = make(name, **{"num_classes": 5, **more})
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias)
    return model.eval()


def same(backbone: Backbone, theirs: nn.Module) -> bool:
    """Whether the backbone under its own head answers as timm's network does."""
    sides = [backbone.preprocess[side] for side in ("channels", "height", "width")]
    batch = torch.randn(2, *sides, generator=torch.Generator().manual_seed(1))
    head = backbone.head or nn.Identity()
    with torch.no_grad():
        answers = Model.of(backbone, head).eval()(batch)
        expected: Tensor = theirs.eval()(batch)
    return answers.shape == expected.shape and torch.allclose(
        answers, expected, atol=1e-4, rtol=1e-3
    )


# --- a config.json beside the weights ---

FED = {"input_size": (3, 48, 48), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "crop_pct": 0.9}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What timm itself saves of a network that was trained on other pictures than is usual."""
    place = tmp_path_factory.mktemp("saved") / "trained"
    overlay = {**FED, "interpolation": "bilinear", "license": "mit"}
    save_for_hf(network(pretrained_cfg_overlay=overlay), str(place), safe_serialization=True)
    return place


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it, which a test may change."""
    return Path(shutil.copytree(saved, tmp_path / "trained"))


@pytest.mark.parametrize(
    "reference",
    [
        "timm:local-dir:{folder}",
        "timm:{folder}",
        f"timm:{TINY}@{{folder}}",
        f"timm:{TINY}@{{folder}}/model.safetensors",
    ],
)
def test_the_config_beside_the_weights_says_what_is_fed(reference: str, folder: Path) -> None:
    backbone = catalog.load_backbone(reference.format(folder=folder))
    theirs = make(f"local-dir:{folder}", pretrained=True)
    config = resolve_model_data_config(theirs)
    fed = backbone.preprocess
    assert (fed["channels"], fed["height"], fed["width"]) == tuple(config["input_size"])
    assert (fed["mean"], fed["std"]) == (list(config["mean"]), list(config["std"]))
    assert (fed["crop"], fed["interpolation"]) == (config["crop_pct"], config["interpolation"])
    assert fed["crop_mode"] == config["crop_mode"]
    assert backbone.origin.licence == "mit"
    assert same(backbone, theirs)
    assert catalog.load_backbone(backbone.architecture).preprocess == fed


def test_options_win_over_the_config(folder: Path) -> None:
    backbone = catalog.load_backbone(f"timm:{folder}?size=64&mean=0.7")
    assert (backbone.preprocess["height"], backbone.preprocess["mean"]) == (64, [0.7] * 3)
    assert backbone.preprocess["std"] == [0.4, 0.5, 0.6]


def test_a_config_of_another_architecture_is_one_sentence(folder: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        catalog.load_backbone(f"timm:resnet18@{folder}/model.safetensors")
    assert str(caught.value) == (
        f"{folder}/config.json says that {folder}/model.safetensors holds the weights of "
        f"timm:{TINY}, not of timm:resnet18. Write timm:{TINY}@{folder}/model.safetensors."
    )


def test_pictures_that_are_not_square_are_fed_so_again(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["input_size"] = [3, 32, 64]
    (folder / "config.json").write_text(json.dumps(config))
    backbone = catalog.load_backbone(f"timm:{folder}")
    assert (backbone.preprocess["height"], backbone.preprocess["width"]) == (32, 64)
    assert catalog.load_backbone(backbone.architecture).preprocess == backbone.preprocess


@pytest.mark.parametrize(
    ("arguments", "name", "sides"),
    [
        ({"in_chans": 1}, TINY, (1, 160)),
        ({"img_size": 64}, "vit_tiny_patch16_224", (3, 64)),
        ({"global_pool": "max"}, TINY, (3, 160)),
    ],
)
def test_arguments_of_the_network_are_taken_from_the_config(
    arguments: dict[str, Any], name: str, sides: tuple[int, int], tmp_path: Path
) -> None:
    trained = network(name, **arguments)
    save_for_hf(trained, str(tmp_path / "trained"), safe_serialization=False)
    backbone = catalog.load_backbone(f"timm:{tmp_path}/trained")
    assert (backbone.preprocess["channels"], backbone.preprocess["height"]) == sides
    assert same(backbone, trained)
    again = catalog.load_backbone(backbone.architecture)
    assert again.preprocess == backbone.preprocess


def test_older_configs_are_one_mapping(folder: Path) -> None:
    content = json.loads((folder / "config.json").read_text())
    flat = {**content["pretrained_cfg"], "architecture": content["architecture"]}
    (folder / "config.json").write_text(json.dumps(flat))
    assert catalog.load_backbone(f"timm:{folder}").preprocess["mean"] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [float("nan")] * 3}, "not above 0|can't be"),
        ({"mean": "red"}, "values that can't be"),
        ({"mean": [0.5, 0.5]}, "values that can't be"),
        ({"std": [0, 0, 0]}, "not above 0"),
        ({"input_size": [3, 32]}, "values that can't be"),
        ({"input_size": [3, "32", 32]}, "values that can't be"),
        ({"input_size": [3, -32, 32]}, "not above 0"),
        ({"crop_pct": "all"}, "values that can't be"),
        ({"interpolation": "magic"}, "'magic' is not known"),
        ({"crop_mode": ["center"]}, "not known|can't be"),
    ],
)
def test_what_a_config_cannot_say_is_refused(
    change: dict[str, Any], message: str, folder: Path
) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content["pretrained_cfg"] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=message):
        catalog.load_backbone(f"timm:{folder}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "can't be read"),
        ("[" * 100_000, "can't be read"),
        (json.dumps({"architecture": "no_such_net"}), "'no_such_net', which this timm"),
        (json.dumps({"architecture": TINY, "pretrained_cfg": 3}), "values that can't be"),
        (json.dumps({"architecture": TINY, "model_args": [1]}), "values that can't be"),
    ],
)
def test_a_config_that_is_none_is_refused(content: str, message: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=message):
        catalog.load_backbone(f"timm:{TINY}@{folder}/model.safetensors")


def test_a_config_of_another_library_says_nothing(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "mean": [1, 1, 1]}))
    usual = catalog.load_backbone(f"timm:{TINY}?pretrained=false").preprocess
    assert catalog.load_backbone(f"timm:{TINY}@{folder}/model.safetensors").preprocess == usual
    with pytest.raises(WeightsError, match=r"is not a folder with a config\.json of timm"):
        catalog.load_backbone(f"timm:{folder}")
    with pytest.raises(WeightsError, match="absent is not a folder"):
        catalog.load_backbone("timm:local-dir:absent")


def test_a_config_cannot_set_what_leads_to_other_files(folder: Path) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content["model_args"] = {"checkpoint_path": "/etc/passwd", "cache_dir": "/", "scriptable": True}
    path.write_text(json.dumps(content))
    assert "checkpoint_path" not in catalog.load_backbone(f"timm:{folder}").architecture.options


# --- weights of timm's trainers and others, equal to timm's own reading ---


def test_a_checkpoint_of_timms_trainer_is_read_as_timm_does(tmp_path: Path) -> None:
    raw, averaged = network(seed=1), network(seed=2)
    state = {
        "epoch": 3,
        "arch": TINY,
        "state_dict": raw.state_dict(),
        "state_dict_ema": averaged.state_dict(),
        "optimizer": torch.optim.SGD(raw.parameters(), momentum=0.9).state_dict(),
        "version": 2,
        "args": argparse.Namespace(model=TINY, lr=0.1),
        "amp_scaler": {"scale": 65536.0, "_growth_tracker": 0},
        "metric": 71.0,
    }
    torch.save(state, tmp_path / "model_best.pth.tar")
    for options, ema in (("", True), ("&ema=false", False)):
        theirs = network(seed=3)
        theirs.load_state_dict(load_state_dict(str(tmp_path / "model_best.pth.tar"), use_ema=ema))
        reference = f"timm:{TINY}@{tmp_path}/model_best.pth.tar?size=32{options}"
        assert same(catalog.load_backbone(reference), theirs)


NATIVE = ["test_vit", "test_convnext", "test_efficientnet", "test_byobnet", "mobilenetv3_small_050"]


@pytest.mark.parametrize("name", [TINY, *NATIVE])
def test_a_file_is_read_as_timms_checkpoint_path(name: str, tmp_path: Path) -> None:
    torch.save({"state_dict": network(name).state_dict()}, tmp_path / "w.ckpt")
    theirs = make(name, num_classes=5, checkpoint_path=str(tmp_path / "w.ckpt"))
    assert same(catalog.load_backbone(f"timm:{name}@{tmp_path}/w.ckpt"), theirs)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", [TINY, "test_vit", "test_convnext", "mobilenetv3_small_050"])
def test_other_channels_get_weights_as_timm_gives_them(
    name: str, channels: int, tmp_path: Path
) -> None:
    torch.save(network(name).state_dict(), tmp_path / "w.pth")
    overlay = {"file": str(tmp_path / "w.pth"), "num_classes": 5}
    theirs = make(
        name, pretrained=True, num_classes=5, in_chans=channels, pretrained_cfg_overlay=overlay
    )
    backbone = catalog.load_backbone(f"timm:{name}@{tmp_path}/w.pth?channels={channels}")
    assert same(backbone, theirs)
    assert len(backbone.preprocess["mean"]) == channels
    assert catalog.load_backbone(backbone.architecture).preprocess == backbone.preprocess


def test_another_size_gets_its_positions_as_timm_does(tmp_path: Path) -> None:
    trained, theirs = network("vit_tiny_patch16_224"), network("vit_tiny_patch16_224", img_size=96)
    torch.save({"model": trained.state_dict()}, tmp_path / "w.pth")
    theirs.load_state_dict(checkpoint_filter_fn(dict(trained.state_dict()), theirs))  # type: ignore[arg-type]
    reference = f"timm:vit_tiny_patch16_224@{tmp_path}/w.pth?size=96"
    assert same(catalog.load_backbone(reference), theirs)


def torchvisions(name: str) -> nn.Module:
    """A network of torchvision with random weights."""
    torch.manual_seed(1)
    model: nn.Module = models.get_model(name, weights=None, num_classes=5)
    return model.eval()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("resnet18", "resnet18"),
        ("densenet121", "densenet121"),
        pytest.param("regnet_y_400mf", "regnety_004", marks=pytest.mark.slow),
        pytest.param("vgg11", "vgg11", marks=pytest.mark.slow),
    ],
)
def test_weights_of_torchvision_are_read_where_timm_reads_them(
    theirs: str, ours: str, tmp_path: Path
) -> None:
    trained = torchvisions(theirs)
    state = {f"model.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "w.ckpt")
    assert same(catalog.load_backbone(f"timm:{ours}@{tmp_path}/w.ckpt?size=32"), trained)


def test_weights_of_torchvision_are_sent_there_where_timm_does_not(tmp_path: Path) -> None:
    torch.save(torchvisions("mobilenet_v3_small").state_dict(), tmp_path / "w.pth")
    with pytest.raises(WeightsError) as caught:
        catalog.load_backbone(f"timm:mobilenetv3_small_100@{tmp_path}/w.pth")
    assert str(caught.value) == (
        f"{tmp_path}/w.pth holds weights under the names of torchvision's networks, which timm "
        "doesn't read for timm:mobilenetv3_small_100. "
        f"Write torchvision:NAME@{tmp_path}/w.pth."
    )
    reference = f"torchvision:mobilenet_v3_small@{tmp_path}/w.pth?size=32"
    assert same(catalog.load_backbone(reference), torchvisions("mobilenet_v3_small"))


def authors_convnext(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The names that the authors of ConvNeXt gave, whose blocks lie in other lists."""
    for name, tensor in state.items():
        name = name.replace("stem.", "downsample_layers.0.").replace(".blocks.", ".")
        name = name.replace("head.norm.", "norm.").replace("head.fc.", "head.")
        name = name.replace(".conv_dw.", ".dwconv.").replace(".mlp.fc", ".pwconv")
        parts = name.split(".")
        if parts[0] == "stages" and parts[2] == "downsample":
            name = ".".join(["downsample_layers", parts[1], *parts[3:]])
        yield name, tensor


@pytest.mark.parametrize("before", ["", "module.", "model."])
def test_names_of_a_networks_authors_are_read_as_timm_does(before: str, tmp_path: Path) -> None:
    trained = network("convnext_atto")
    state = {f"{before}{n}": t for n, t in authors_convnext(dict(trained.state_dict()))}
    torch.save({"model": state}, tmp_path / "w.pth")
    backbone = catalog.load_backbone(f"timm:convnext_atto@{tmp_path}/w.pth?size=32")
    assert same(backbone, trained)


def test_what_timm_would_leave_random_is_refused(tmp_path: Path) -> None:
    """timm is not strict with some networks, and draws what a file lacks."""
    state = {n: t for n, t in network("dla46_c").state_dict().items() if "level5" not in n}
    plan = settle(parse("timm:dla46_c?pretrained=false&size=32"))
    assert filled(plan, state) is None
    assert filled(plan, network("dla46_c").state_dict()) is not None
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"missing: level5\..* and \d+ more\. Give the weights"):
        catalog.load_backbone(f"timm:dla46_c@{tmp_path}/w.pth?size=32")


def test_both_heads_of_a_distilled_network_are_kept(tmp_path: Path) -> None:
    trained = network("deit_tiny_distilled_patch16_224", img_size=32)
    torch.save({"model": trained.state_dict()}, tmp_path / "w.pth")
    reference = f"timm:deit_tiny_distilled_patch16_224@{tmp_path}/w.pth?size=32"
    backbone = catalog.load_backbone(reference)
    trained.reset_classifier(0)  # type: ignore[operator]
    backbone.head = None
    assert same(backbone, trained)


@pytest.mark.parametrize("option", ["ema=maybe", "channels=0", "size=0x32", "interpolation=magic"])
def test_values_that_cannot_be(option: str, tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "w.pth")
    with pytest.raises(HeadstartError):
        catalog.load_backbone(f"timm:{TINY}@{tmp_path}/w.pth?{option}")
