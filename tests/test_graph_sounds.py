"""Graphs that hear: which are told, what they are fed, and how they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sounds import chirps, encoded
from torch import nn

from headstart import catalog
from headstart.contracts.model import Model
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.loading import openvino_graph as graph
from headstart.loading.layers import example
from headstart.testing.hubs import artifact

FEATURES = 6


def written(path: Path, shape: list[int], numbers: int) -> Path:
    """A network of one product on rows of so many numbers, as OpenVINO saves it."""
    openvino = graph.library()
    operations = openvino.opset13
    entry = operations.parameter(shape, openvino.Type.f32, "entry")
    rows = operations.reshape(entry, np.array([-1, numbers]), False)
    rng = np.random.default_rng(0)
    first = operations.matmul(
        rows, rng.normal(size=(numbers, FEATURES)).astype(np.float32), False, False
    )
    features = operations.relu(first)
    features.set_friendly_name("features")
    last = operations.matmul(
        features, rng.normal(size=(FEATURES, 3)).astype(np.float32), False, False
    )
    model = openvino.Model([last], [entry])
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def heard(reference: str, samples: np.ndarray) -> tuple[Any, torch.Tensor]:
    backbone = catalog.load_backbone(reference)
    modality = catalog.modality("audio")
    item = modality.decode(encoded(samples, subtype="FLOAT"), backbone.preprocess)
    with torch.no_grad():
        network = Model.of(backbone, nn.Identity()).eval()
        return backbone, network(modality.collate([item], backbone.preprocess))


@pytest.mark.parametrize("shape", [[1, 8_000], [-1, 8_000], [1, 1, 8_000], [8_000]])
def test_a_graph_of_samples_hears_without_a_word(shape: list[int], tmp_path: Path) -> None:
    path = written(tmp_path / "net.xml", shape, 8_000)
    samples = chirps(0)[:20_000]
    backbone, result = heard(f"graph:{path}", samples)
    assert backbone.modality == "audio" and backbone.preprocess["window"] == 8_000
    assert backbone.preprocess["rate"] == 16_000
    weights = np.random.default_rng(0).normal(size=(8_000, FEATURES)).astype(np.float32)
    windows = [samples[start : start + 8_000] for start in (0, 8_000, 12_000)]
    expected = np.mean([np.maximum(window @ weights, 0) for window in windows], axis=0)
    np.testing.assert_allclose(result[0].numpy(), expected, rtol=1e-3, atol=1e-3)


def test_a_graph_of_a_spectrogram_is_told_by_its_front_end(tmp_path: Path) -> None:
    path = written(tmp_path / "net.xml", [-1, 49, 10, 1], 490)
    backbone, result = heard(f"graph:{path}?frontend=mlperf-tiny", chirps(1))
    assert backbone.preprocess["window"] == 48 * 320 + 480 and result.shape == (1, FEATURES)
    with pytest.raises(HeadstartError, match="no spectrogram of 64 bands"):
        catalog.load_backbone(f"graph:{path}?frontend=yamnet")
    with pytest.raises(HeadstartError, match="not known"):
        catalog.load_backbone(f"graph:{path}?frontend=nosuch")
    with pytest.raises(HeadstartError, match="is not there, which"):
        catalog.load_backbone(f"graph:{path}?frontend=nosuch.onnx")


def test_a_graph_behind_another_is_one_with_it(tmp_path: Path) -> None:
    openvino = graph.library()
    operations = openvino.opset13
    entry = operations.parameter([-1, -1], openvino.Type.f32, "samples")
    rows = operations.unsqueeze(entry, np.array(1))
    mean = np.full((1, 1, 100), 0.01, np.float32)  # of 100 samples
    frames = operations.convolution(rows, mean, [100], [0], [0], [1])
    front = openvino.Model([frames], [entry])
    openvino.save_model(front, tmp_path / "front.xml", compress_to_fp16=False)
    path = written(tmp_path / "net.xml", [1, 20], 20)
    samples = chirps(2)[:2_000]
    backbone, result = heard(f"graph:{path}?frontend=front.xml&scale=2", samples)
    assert backbone.preprocess["window"] == 2_000
    weights = np.random.default_rng(0).normal(size=(20, FEATURES)).astype(np.float32)
    expected = np.maximum((2 * samples).reshape(20, 100).mean(axis=1) @ weights, 0)
    np.testing.assert_allclose(result[0].numpy(), expected, rtol=1e-3, atol=1e-5)


def test_a_faint_sound_is_heard_alike_beside_a_loud_one(tmp_path: Path) -> None:
    """Where a spectrogram is cut off below its loudest, that is each window's own."""
    openvino = graph.library()
    operations = openvino.opset13
    entry = operations.parameter([-1, -1], openvino.Type.f32, "samples")
    mean = np.full((1, 1, 100), 0.01, np.float32)  # of 100 samples
    rows = operations.unsqueeze(entry, np.array(1))
    frames = operations.convolution(rows, mean, [100], [0], [0], [1])
    loudest = operations.reduce_max(frames, np.array([0, 1, 2]), False)
    above = operations.maximum(frames, operations.multiply(loudest, np.float32(0.1)))
    openvino.save_model(openvino.Model([above], [entry]), tmp_path / "front.xml", False)
    path = written(tmp_path / "net.xml", [1, 20], 20)
    backbone = catalog.load_backbone(f"graph:{path}?frontend=front.xml")
    modality = catalog.modality("audio")
    sounds = [chirps(1)[:2_000] * 1e-2, chirps(2)[:2_000]]
    items = [
        modality.decode(encoded(each, subtype="FLOAT"), backbone.preprocess) for each in sounds
    ]
    network = Model.of(backbone, nn.Identity()).eval()
    with torch.no_grad():
        both = network(modality.collate(items, backbone.preprocess))
        faint = network(modality.collate(items[:1], backbone.preprocess))
    np.testing.assert_allclose(both[:1].numpy(), faint.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("front", ["", "?frontend=mlperf-tiny"])
def test_it_is_saved_and_opened_again(front: str, tmp_path: Path) -> None:
    shape, numbers = ([-1, 49, 10, 1], 490) if front else ([-1, 8_000], 8_000)
    reference = f"graph:{written(tmp_path / 'net.xml', shape, numbers)}{front}"
    backbone, result = heard(reference, chirps(3))
    artifact(tmp_path / "saved", backbone)
    again = catalog.load_backbone(Reference("checkpoint", str(tmp_path / "saved")))
    assert again.preprocess == backbone.preprocess and again.modality == "audio"
    with torch.no_grad():
        own, other = (Model.of(b, nn.Identity()).eval()(example(b)) for b in (backbone, again))
    torch.testing.assert_close(own, other)
    assert result.isfinite().all()


@pytest.mark.slow
def test_real_ones_hear(shared_data: Path) -> None:
    """YAMNet, with a middle layer of it; the speech embedding; a keyword net."""
    audio = shared_data / "weights" / "audio"
    clip = (shared_data / "audio" / "fsdd" / "7" / "theo_03.wav").read_bytes()
    modality = catalog.modality("audio")
    references = {
        f"graph:{audio}/yamnet.tflite": (1024, 15_600),
        f"graph:{audio}/embedding_model.onnx?frontend=melspectrogram.onnx&head=false": (
            192,
            12_512,
        ),
        f"graph:{audio}/kws_ref_float32.tflite?frontend=mlperf-tiny": (64, 15_840),
    }
    for reference, (width, window) in references.items():
        backbone = catalog.load_backbone(reference)
        assert (backbone.feature_dim, backbone.preprocess["window"]) == (width, window)
        item = modality.decode(clip, backbone.preprocess)
        with torch.no_grad():
            network = Model.of(backbone, nn.Identity()).eval()
            model = network(modality.collate([item], backbone.preprocess))
        assert model.shape == (1, width) and model.isfinite().all() and model.std() > 0
        assert len(backbone.layers) >= 8
    middle = f"graph:{audio}/yamnet.tflite?layer=yamnet_frames/layer9/depthwise_conv/relu/Relu"
    assert catalog.load_backbone(middle).feature_dim == 512
