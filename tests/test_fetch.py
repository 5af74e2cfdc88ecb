"""Fetching: what is said of each model, what fails beside it, and bundles that need no network."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from encoders import small_encoder
from huggingface_hub import constants
from test_cli import run
from tiny import Recording
from torch import Tensor, nn

import headstart as hs
from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.loading.weights import header, save
from headstart.pipeline.bundling import pack

TINY = "timm:test_resnet@tiny.safetensors?size=32"
NETWORK = """
from torch import nn

def network() -> nn.Module:
    layers = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
"""


@pytest.fixture(autouse=True)
def cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no socket be opened, in a folder that holds weights, word vectors and code."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HEADSTART_TRUST", "")
    monkeypatch.chdir(tmp_path)
    Path("tiny.vec").write_text("3 2\ngood 1 2\nbad -1 .5\nugly 0 -3\n")
    Path("own.py").write_text(NETWORK)


@pytest.fixture
def weights() -> Path:
    """Weights of a small network of timm's, with a head of seven classes, and their terms."""
    torch.manual_seed(3)
    backbone = catalog.load_backbone("timm:test_resnet?pretrained=false&size=32")
    state = Model.of(backbone, nn.Identity()).backbone_state()
    head = nn.Linear(backbone.feature_dim, 7).state_dict()
    state |= {f"{backbone.head_name}.{name}": tensor for name, tensor in head.items()}
    save(state, "tiny.safetensors", {"licence": "MIT", "trained_on": "Fish"})
    return Path("tiny.safetensors")


def features(backbone: Backbone) -> Tensor:
    """What the backbone makes of a batch."""
    batch: Any
    random = torch.Generator().manual_seed(0)
    if backbone.modality == "text":
        ids = torch.randint(3, (2, 4), generator=random)
        batch = {"input_ids": ids, "mask": torch.ones_like(ids)}
    else:
        sides = [backbone.preprocess[side] for side in ("channels", "height", "width")]
        batch = torch.randn(2, *sides, generator=random)
    with torch.no_grad():
        result: Tensor = Model.of(backbone, nn.Identity()).eval()(batch)
    return result


@pytest.mark.parametrize(
    "reference",
    [
        TINY,
        "seeded:vit?seed=3",
        "seeded:bag",
        "fasttext:tiny.vec?pooling=sif",
        "file:own.py:network?trust=true&size=8",
        "hf:encoder",
        "torchvision:squeezenet1_1?pretrained=false&size=64",
    ],
)
def test_a_bundle_holds_the_same_backbone(
    reference: str, weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if reference.startswith("hf:"):
        small_encoder(Path("encoder"))
        Path("encoder/README.md").write_text("---\nlicense: mit\ndatasets: fish\n---\n")
    torch.manual_seed(5)
    (result,) = hs.fetch(reference, "bundle").models
    torch.manual_seed(5)
    before = catalog.load_backbone(reference)
    (tmp_path / "elsewhere").mkdir()
    Path("bundle").rename("elsewhere/bundle")  # nothing of where it was made is needed
    for source in ("tiny.safetensors", "tiny.vec", "own.py"):
        Path(source).unlink()
    monkeypatch.chdir("elsewhere")
    after = catalog.load_backbone(f"checkpoint:bundle/{Path(str(result.bundled)).name}")
    assert torch.equal(features(after), features(before))
    assert after.preprocess == before.preprocess
    for name in ("licence", "trained_on", "weights_hash"):
        assert getattr(after.origin, name) == getattr(before.origin, name)
    assert result.weights_hash == after.origin.weights_hash
    assert after.origin.pretrained
    assert (after.head is None) == (before.head is None)
    if before.head is not None and after.head is not None:
        wide = torch.ones(1, before.feature_dim)
        assert torch.equal(after.head(wide), before.head(wide))


def test_the_bundle_says_what_it_holds_and_can_be_checked(weights: Path) -> None:
    fetched_models = hs.fetch([TINY, "seeded:convnet", "seeded:convnet?seed=1"], bundle="bundle")
    assert [Path(str(model.bundled)).name for model in fetched_models.models] == [
        "timm-test_resnet-tiny-size-32",
        "seeded-convnet",
        "seeded-convnet-seed-1",
    ]
    assert fetched_models.bundle == Path("bundle").absolute()
    page = Path("bundle/README.md").read_text()
    assert f"| `timm-test_resnet-tiny-size-32` | `{TINY}` | MIT | Fish |" in page
    assert "headstart fit DATA -b checkpoint:PATH/timm-test_resnet-tiny-size-32 -o OUT" in page
    record = json.loads(Path("bundle/timm-test_resnet-tiny-size-32/headstart.json").read_text())
    assert (record["origin"]["reference"], record["origin"]["licence"]) == (TINY, "MIT")
    lines = Path("bundle/SHA256SUMS").read_text().splitlines()
    sums = {line.partition("  ")[2]: line.partition("  ")[0] for line in lines}
    files = [path for path in Path("bundle").rglob("*") if path.is_file()]
    assert {str(path.relative_to("bundle")) for path in files} == sums.keys() | {"SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256(Path("bundle", name).read_bytes()).hexdigest() == expected
    checked = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd="bundle")
    assert checked.returncode == 0
    assert list(Path().glob("*.unfinished")) == []


@pytest.mark.slow
def test_a_bundle_can_be_fitted(pictures: Path, tmp_path: Path) -> None:
    (instance,) = hs.fetch("seeded:convnet", tmp_path / "bundle").models
    result = hs.fit(
        *(pictures, f"checkpoint:{instance.bundled}", tmp_path / "model"),
        strategy="feature-extraction", scratch=False, evidence="none",
    )  # fmt: skip
    record = json.loads((result.folder / "headstart.json").read_text())
    assert record["origin"]["weights_hash"] == instance.weights_hash
    assert record["origin"]["licence"] == "Apache-2.0"


def test_one_bad_reference_does_not_stop_the_others(weights: Path) -> None:
    done = run("fetch", "timm:test_resnet", TINY, "timn:x", "nonsense", "glove:*", "--json")
    assert done.exit_code == 2
    record = json.loads(done.stdout)
    (model,) = record["models"]
    assert (model["reference"], model["licence"]) == (TINY, "MIT")
    assert (model["place"], model["bytes"]) == ("tiny.safetensors", weights.stat().st_size)
    assert model["weights_hash"] == catalog.load_backbone(TINY).origin.weights_hash
    assert record["bundle"] is model["bundled"] is None
    assert record["failed"].keys() == {"timm:test_resnet", "timn:x", "nonsense", "glove:*"}
    assert "are not on this machine" in record["failed"]["timm:test_resnet"]
    assert record["failed"]["timn:x"] == "Hub 'timn' is not known. Did you mean 'timm'?"
    assert record["failed"]["glove:*"].startswith("No backbone matches 'glove:*'.")
    ended = run("fetch", TINY, "timn:x", "--offline")
    assert ended.exit_code == 2
    assert "timn:x failed: Hub 'timn' is not known." in ended.stdout


def test_what_is_here_needs_no_connection() -> None:
    done = run("fetch", "seeded:convnet", "seeded:c*", "fasttext:tiny.vec", "--offline")
    assert done.exit_code == 0, done.stderr
    title, *lines = done.stdout.splitlines()
    assert title.split()[0] == "reference"
    assert [line.split()[0] for line in lines] == ["seeded:convnet", "fasttext:tiny.vec"]
    assert lines[1].endswith("tiny.vec")


def test_a_pattern_means_what_has_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched_models = hs.fetch("timm:mobilenetv2_0*")
    assert list(fetched_models.failed) == [
        "timm:mobilenetv2_050.lamb_in1k"
    ]  # two others have no weights
    failed = hs.fetch("timm:mobilenetv2_075*").failed
    assert failed == {
        "timm:mobilenetv2_075*": "Nothing that matches 'timm:mobilenetv2_075*' has weights. "
        "Widen it."
    }


def test_weights_in_the_hubs_cache_are_found(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    path = folder / "snapshots" / ("a" * 40) / "model.safetensors"
    path.parent.mkdir(parents=True)
    backbone = catalog.load_backbone("timm:test_resnet?pretrained=false")
    state = Model.of(backbone, nn.Identity()).backbone_state()
    head = nn.Linear(backbone.feature_dim, 1000).state_dict()
    save(state | {f"fc.{name}": tensor for name, tensor in head.items()}, path, {})
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (model,) = hs.fetch("timm:test_resnet").models
    assert (model.place, model.bytes) == (str(path), path.stat().st_size)
    (card,) = hs.backbones("timm:test_resnet.*")
    assert card.at_hand


def test_a_taken_folder_is_refused(weights: Path) -> None:
    Path("taken").mkdir()
    Path("taken/notes.txt").write_text("mine")
    done = run("fetch", "seeded:convnet", "--bundle", "taken")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "taken is not empty. Name a new folder, or remove this one first." in done.stderr
    assert [path.name for path in Path("taken").iterdir()] == ["notes.txt"]


def test_an_empty_bundle_is_not_left_behind() -> None:
    with pytest.raises(HeadstartError, match=r"new was not made, .* Hub 'timn' is not known"):
        hs.fetch(["timn:x"], bundle="new")
    assert list(Path().glob("*new*")) == []


def test_a_head_that_a_folder_cannot_hold_is_left_and_said(tmp_path: Path) -> None:
    backbone = catalog.load_backbone("seeded:convnet")
    backbone.head = nn.Sequential(nn.Linear(backbone.feature_dim, 4), nn.ReLU(), nn.Linear(4, 2))
    name, whole = pack(tmp_path, backbone)
    assert not whole
    again = catalog.load_backbone(f"checkpoint:{tmp_path / name}")
    assert again.head is None
    assert again.origin.weights_hash == backbone.origin.weights_hash


def test_the_user_hears_of_each_of_several(weights: Path) -> None:
    progress = Recording()
    hs.fetch([TINY, "seeded:convnet", TINY], progress=progress)
    assert progress.said == [f"1 of 2: {TINY}", "2 of 2: seeded:convnet"]


def test_a_header_says_what_it_holds_and_other_files_nothing(weights: Path) -> None:
    assert header(weights) == {"licence": "MIT", "trained_on": "Fish"}
    assert header("own.py") == header("absent") == {}
