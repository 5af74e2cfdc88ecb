"""Networks in the user's own files: every form of them, and what can't be used."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from own_networks import SOURCE, batch, export, load, logits, network, script, settle
from told import ROOT
from torch import nn

import headstart as hs
from headstart import catalog
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, WeightsError
from headstart.loading.weights import save

SHAPE: Final[dict[str, Any]] = {
    "channels": 3,
    "height": 224,
    "width": 224,
    "crop": 1.0,
    "crop_mode": "center",
}
CLASSES: Final = "airplane automobile bird cat deer dog frog horse ship truck".split()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one Python file, in which nothing is trusted yet."""
    return settle(tmp_path, monkeypatch)


# --- a function in a Python file ---


def test_features_are_what_the_last_linear_layer_reads(here: Path) -> None:
    model = network()
    save(model.state_dict(), here / "weights.safetensors", {})
    backbone = load("networks.py:small@weights.safetensors")
    assert (backbone.feature_dim, backbone.head_name, backbone.differentiable) == (6, "fc", True)
    assert len(backbone.stages) == 2
    assert backbone.origin.pretrained
    with torch.no_grad():
        assert torch.equal(logits(backbone, batch()), model(batch()))


@pytest.mark.parametrize("suffix", [".pth", ".th", ".pt"])
def test_checkpoints_of_training_scripts_are_understood(here: Path, suffix: str) -> None:
    model = network()
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 91.7}, here / f"best{suffix}")
    with torch.no_grad():
        assert torch.equal(logits(load(f"networks.py:small@best{suffix}"), batch()), model(batch()))


def test_without_weights_nothing_is_pretrained() -> None:
    backbone = load()
    assert not backbone.origin.pretrained
    assert backbone.head is None


def test_features_may_be_answered_outright() -> None:
    assert load("networks.py:features").feature_dim == 6
    assert load("networks.py:inside").feature_dim == 5
    assert load("networks.py:small", "size=8&trust=true&head=false").feature_dim == 4


def test_preprocessing_is_told_or_that_of_imagenet() -> None:
    usual = load(options="trust=true").preprocess
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    assert usual == SHAPE | {"interpolation": "bilinear", "mean": mean, "std": std}
    options = "size=16&crop=.5&interpolation=bicubic&mean=.1,.2,.3&std=.5&trust=true"
    backbone = load(options=options)
    small = SHAPE | {"height": 16, "width": 16, "crop": 0.5}
    normed = {"mean": [0.1, 0.2, 0.3], "std": [0.5] * 3}
    assert backbone.preprocess == small | normed | {"interpolation": "bicubic"}
    again = catalog.load_backbone(str(backbone.architecture))
    assert again.preprocess == backbone.preprocess
    Path("networks.py").write_text(SOURCE.replace("Conv2d(3, 8", "Conv2d(1, 8"))
    assert load(options="size=8&channels=1&trust=true").preprocess["mean"] == [
        pytest.approx(0.449, abs=1e-3)
    ]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("networks.py:smal", "", "Did you mean 'small'"),
        ("networks.py:made", "", "not a function but of type Net"),
        ("networks.py:fails", "", "fails failed .RuntimeError: no such layer"),
        ("networks.py:leaves", "", "leaves failed .SystemExit: 3"),
        ("networks.py:answers_with_words", "", "answers with str, not a torch.nn.Module"),
        ("networks.py:wants", "", "without arguments .missing a required argument: 'classes'"),
        ("networks.py:softmax", "", "ends in a softmax"),
        ("networks.py:maps", "", r"with \[2, 4, 6, 6\], not one row each"),
        ("networks.py:small", "size=3", "can't read pictures of 3x3x3"),
        ("networks.py:small", "size=8&channels=1", "can't read pictures of 1x8x8"),
        ("networks.py:small", "channels=2", "channels other than 1 or 3"),
        ("networks.py:small", "crop=2", "a crop that is not in 0 to 1"),
        ("networks.py:small", "mean=1,2", "mean=1,2, which is not one number"),
        ("networks.py:small", "std=0", "std=0, .* above 0"),
        ("networks.py:small", "mean=white", "mean=white, which"),
        ("networks.py:small", "interpolation=cubic", "Did you mean 'bicubic'"),
        ("networks.py:small", "crop_mode=centre", "Did you mean 'center'"),
        ("networks.py", "", "without a function"),
        ("absent.py:small", "", "absent.py can't be read .No such file"),
        ("weights.pth", "", "holds weights without their network"),
        ("network.onnx", "", "is not a network's file"),
        (".", "", "is a folder"),
    ],
)
def test_what_can_not_be_is_said(name: str, options: str, message: str) -> None:
    with pytest.raises(HeadstartError, match=message) as raised:
        load(name, f"trust=true&{options or 'size=8'}")
    assert str(raised.value).endswith((".", "?"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def network(:", "networks.py can't be run .SyntaxError"),
        ("1 / 0", "networks.py can't be run .ZeroDivisionError"),
        ("import no_such_package", "can't be run .ModuleNotFoundError"),
        ("from layers import block", "imports layers from the files beside it"),
        ("from . import layers", "imports relatively from the files beside it"),
    ],
)
def test_a_file_that_can_not_run_is_said(here: Path, source: str, message: str) -> None:
    (here / "layers.py").write_text("block = 1")
    (here / "networks.py").write_text(source)
    with pytest.raises(HeadstartError, match=message):
        load()


def test_weights_must_fit(here: Path) -> None:
    state = network().state_dict()
    state["stem.0.weight"] = torch.ones(8, 3, 5, 5)
    save(state, here / "weights.safetensors", {})
    with pytest.raises(WeightsError, match=r"stem\.0\.weight .8×3×5×5 in the file"):
        load("networks.py:small@weights.safetensors")


def test_the_listing_reads_and_does_not_run(here: Path) -> None:
    (here / "broken.py").write_text("def (")
    cards = [card.reference for card in catalog.hub("file").cards("*")]
    assert cards == ["file:networks.py:small"]
    assert not (here / "ran").exists()


# --- TorchScript and exported programs ---


@pytest.mark.parametrize("how", ["script", "trace"])
def test_torchscript_runs_as_given(here: Path, how: str) -> None:
    result = script(here / "network.pt", how)
    backbone = load("network.pt")
    assert (backbone.feature_dim, backbone.head_name) == (6, "network.fc")
    assert backbone.differentiable
    assert backbone.origin.pretrained
    with torch.no_grad():
        assert torch.allclose(logits(backbone, batch(5)), result(batch(5)), atol=1e-6)
    model = deepcopy(deepcopy(Model.of(backbone, nn.Linear(6, 2)))).train()
    torch.optim.AdamW(model.parameters())
    model(batch()).sum().backward()
    assert all(p.grad is not None for n, p in model.stages[0].named_parameters() if "fc" not in n)
    assert all(parameter.grad is None for parameter in backbone.stages["network"].parameters())


def test_an_exported_program_runs_as_given_and_is_not_trained(here: Path, pictures: Path) -> None:
    export_result = export(here / "network.pt2")
    backbone = load("network.pt2")
    assert (backbone.feature_dim, backbone.head_name, backbone.differentiable) == (6, "fc", False)
    with torch.no_grad():
        assert torch.allclose(logits(backbone, batch(5)), export_result(batch(5)), atol=1e-6)
        Model.of(backbone, nn.Linear(6, 2)).train()(batch())
    with pytest.raises(HeadstartError, match="can't be trained by full-fine-tuning"):
        hs.fit(pictures, "file:network.pt2?size=8&trust=true", "out", strategy="full-fine-tuning")


def test_a_program_may_answer_features(here: Path) -> None:
    script(here / "branching.pt", kind="Branching")
    assert load("branching.pt", "size=8&trust=true&head=false").feature_dim == 4


@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_a_programs_weights_are_drawn_anew_and_filled(here: Path, kind: str) -> None:
    (script if kind == "pt" else export)(here / f"network.{kind}")
    backbone = load(f"network.{kind}")
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(catalog.load_backbone(backbone.architecture))
    hashes = [each.origin.weights_hash for each in results]
    assert hashes[0] == hashes[1] != hashes[2] != backbone.origin.weights_hash
    assert not results[0].origin.pretrained
    state = Model.of(backbone, nn.Identity()).backbone_state()
    name = backbone.head_name
    state |= {f"{name}.weight": torch.ones(5, 6), f"{name}.bias": torch.zeros(5)}
    save(state, here / "tuned.safetensors", {})
    again = load(f"network.{kind}@tuned.safetensors")
    assert again.origin.weights_hash == backbone.origin.weights_hash
    assert logits(again, batch()).shape == (3, 5)
    save(network().state_dict(), here / "plain.safetensors", {})
    assert logits(load(f"network.{kind}@plain.safetensors"), batch()).shape == (3, 4)


def test_programs_that_can_not_be_used_are_said(here: Path) -> None:
    script(here / "network.pt")
    export(here / "fixed.pt2", dynamic=False)
    script(here / "branching.pt", kind="Branching")
    script(here / "softmax.pt", kind="Softmax")
    torch.save(network().state_dict(), here / "state.pt")
    (here / "torn.pt").write_bytes((here / "network.pt").read_bytes()[:-900])
    (here / "torn.pt2").write_bytes(b"PK")
    for name, options, message in (
        ("network.pt", "size=2&trust=true", "can't read pictures of 3x2x2"),
        ("network.pt", "size=8&channels=1&trust=true", "can't read pictures of 1x8x8"),
        ("branching.pt", "size=8&trust=true", "doesn't end by calling a linear layer"),
        ("softmax.pt", "size=8&trust=true", "ends in a softmax"),
        ("fixed.pt2", "size=8&trust=true", "Export it with dynamic_shapes"),
        ("state.pt", "size=8&trust=true", "state.pt is not TorchScript"),
        ("torn.pt", "size=8&trust=true", "torn.pt is not TorchScript"),
        ("torn.pt2", "size=8&trust=true", "is not a program of torch.export"),
    ):
        with pytest.raises(HeadstartError, match=re.escape(message)):
            load(name, options)


# --- real weights ---


@pytest.mark.parametrize(
    ("name", "weights", "share"),
    [
        ("resnet20", "cifar10_resnet20-12fca82f.th", 0.79),
        pytest.param("resnet32", "cifar10_resnet32-d509ac18.th", 0.79, marks=pytest.mark.slow),
    ],
)
def test_real_weights_know_cifar(shared_data: Path, name: str, weights: str, share: float) -> None:
    path = shared_data / "weights" / weights
    backbone = load(f"{ROOT}/benchmarks/cifar_resnet.py:{name}@{path}", "size=32&trust=true")
    assert (backbone.feature_dim, backbone.head_name) == (64, "linear")
    assert len(backbone.stages) >= 8
    table = pq.read_table(shared_data / "images" / "cifar10_test.parquet").slice(0, 500)
    image, raw = catalog.modality("image"), [row["image"]["bytes"] for row in table.to_pylist()]
    labels = np.array([CLASSES.index(label) for label in table["label"].to_pylist()])
    items = [image.decode(content, backbone.preprocess) for content in raw]
    answers = logits(backbone, image.collate(items, backbone.preprocess)).argmax(1)
    assert (answers.numpy() == labels).mean() >= share
