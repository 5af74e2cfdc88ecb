"""Graphs that other people's tools wrote: TensorFlow Lite with real photos, and a SavedModel."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import torch
from graph_networks import features, load

import headstart as hs
from headstart import catalog
from headstart.contracts import Backbone
from headstart.errors import HeadstartError
from headstart.features.engine.agreement import TOLERANCE, error
from headstart.features.engine.openvino import OpenVinoEngine, available

NETWORKS = {
    "mobilenet_v2_1.0_224_quant": "MobilenetV2/Logits/AvgPool",
    "mobilenet_v1_0.25_128_quant": "MobilenetV1/Logits/AvgPool_1a/AvgPool",
}
SMALL = "mobilenet_v1_0.25_128_quant"
TENSORFLOW = """
import numpy as np, tensorflow as tf
tf.random.set_seed(0)
layers = tf.keras.layers
given = tf.keras.Input((32, 32, 3))
map = layers.Conv2D(8, 3, strides=2, padding="same")(given)
map = layers.ReLU(6.0)(layers.BatchNormalization()(map))
map = layers.Conv2D(16, 1, activation="relu")(layers.DepthwiseConv2D(3, padding="same")(map))
features = layers.GlobalAveragePooling2D(name="pool")(map)
network = tf.keras.Model(given, layers.Dense(5, activation="softmax")(features))
tf.saved_model.save(network, "saved")
pictures = np.random.default_rng(0).random((8, 32, 32, 3)).astype("float32")
pooled = tf.keras.Model(given, features)(pictures).numpy()
np.savez("answers.npz", pictures=pictures, features=pooled, answers=network(pictures).numpy())

class Odd(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32)])
    def __call__(self, pictures):
        return tf.nn.fractional_max_pool(pictures, [1.0, 1.4, 1.4, 1.0])[0]

tf.saved_model.save(Odd(), "odd")
"""


def network(data: Path, name: str, **options: str) -> Backbone:
    """One of TensorFlow's own quantised networks."""
    return load(data / "weights" / f"{name}.tflite", **options)


def decoded(backbone: Backbone, photos: list[Path]) -> torch.Tensor:
    """Photos as the backbone is fed."""
    modality = catalog.modality("image")
    items = [modality.decode(photo.read_bytes(), backbone.preprocess) for photo in photos]
    result: torch.Tensor = modality.collate(items, backbone.preprocess)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_macaw_is_a_macaw(shared_data: Path, name: str) -> None:
    backbone = network(shared_data, name)
    assert backbone.origin.reference.endswith(f"?output={NETWORKS[name]}")
    assert isinstance(backbone.head, torch.nn.Linear)
    labels = (shared_data / "weights" / "imagenet_labels_1001.txt").read_text().splitlines()
    photo = decoded(backbone, [shared_data / "images" / "parrot.jpg"])
    scores = backbone.head(features(backbone, photo))[0]
    assert "macaw" in [labels[place] for place in scores.topk(3).indices]


@pytest.mark.slow
def test_a_tensor_by_name_has_the_same_values(shared_data: Path) -> None:
    own = network(shared_data, SMALL)
    model = network(shared_data, SMALL, output=NETWORKS[SMALL])
    values = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert torch.equal(features(model, values), features(own, values))
    with pytest.raises(HeadstartError, match=NETWORKS[SMALL]):
        network(shared_data, SMALL, output="nothing")


@pytest.mark.slow
def test_random_weights_shuffle_whole_numbers_too(shared_data: Path) -> None:
    torch.manual_seed(0)
    own, bare = network(shared_data, SMALL), network(shared_data, SMALL, pretrained="false")
    values = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(features(bare, values), features(own, values), rtol=0.1)
    assert features(bare, values).isfinite().all()
    changed = own.stages["graph"].get_buffer("constants") != bare.stages["graph"].get_buffer(
        "constants"
    )
    assert changed.float().mean() > 0.5  # nearly all of its constants are whole numbers


@pytest.mark.slow
def test_features_are_those_of_the_same_network_in_torch(shared_data: Path) -> None:
    photos = sorted((shared_data / "images" / "hymenoptera" / "val").rglob("*.jpg"))[::20]
    quantised = network(shared_data, "mobilenet_v2_1.0_224_quant")
    weights = shared_data / "weights" / "mobilenetv2_100.imagenet.safetensors"
    real = catalog.load_backbone(f"timm:mobilenetv2_100@{weights}?pad_type=same")
    inputs = decoded(quantised, photos)
    rows, plain = features(quantised, inputs), features(real, (inputs - 0.5) / 0.5)
    assert torch.cosine_similarity(rows, plain).min() >= 0.99
    stages = torch.nn.Sequential(*quantised.prefix())
    for precision in available():
        engine = OpenVinoEngine(stages, inputs, precision, None)
        assert error(engine.run(inputs), rows.numpy()) <= TOLERANCE[precision]


@pytest.mark.slow
def test_ants_and_bees(shared_data: Path, tmp_path: Path) -> None:
    result = hs.fit(
        shared_data / "images" / "hymenoptera",
        f"graph:{shared_data}/weights/mobilenet_v2_1.0_224_quant.tflite",
        tmp_path / "model",
        strategy="feature-extraction",
        settings=hs.Settings(scratch=False, evidence="none"),
    )
    assert result.to_json()["arms"]["chosen"]["value"] >= 0.93


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What TensorFlow itself wrote and answered, in an environment of its own."""
    folder = tmp_path_factory.mktemp("tensorflow")
    venv.create(folder / "environment", with_pip=True)
    python = str(folder / "environment" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "tensorflow-cpu"]
    if subprocess.run(install, capture_output=True, timeout=1800).returncode:
        pytest.skip(f"needs pip to install tensorflow-cpu for Python {sys.version_info[:2]}")
    process = subprocess.run(
        [python, "-c", TENSORFLOW], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert process.returncode == 0, process.stderr
    return folder


@pytest.mark.slow
@pytest.mark.network
def test_a_saved_model_answers_as_tensorflow_says(tensorflow: Path) -> None:
    arrays = np.load(tensorflow / "answers.npz")
    inputs = torch.from_numpy(arrays["pictures"]).permute(0, 3, 1, 2).contiguous()
    backbone = load(tensorflow / "saved")
    assert backbone.preprocess["height"] == 32
    assert backbone.preprocess["mean"] == [0.5, 0.5, 0.5]
    assert "/pool" in backbone.origin.reference
    rows = features(backbone, inputs)
    assert np.allclose(rows.numpy(), arrays["features"], atol=1e-5)
    assert isinstance(backbone.head, torch.nn.Linear)
    answers = backbone.head(rows).softmax(1).detach().numpy()
    assert np.allclose(answers, arrays["answers"], atol=1e-5)
    assert (answers.argmax(1) == arrays["answers"].argmax(1)).all()
    with pytest.raises(HeadstartError, match="OpenVINO can't run: FractionalMaxPool"):
        load(tensorflow / "odd")
