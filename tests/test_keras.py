"""The networks of Keras Applications: translated, filled, fed and listed as Keras does it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from keras_networks import answers, application, awaken, write

from headstart import catalog
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.hubs.keras import applications, listing
from headstart.hubs.keras.variables import draw
from headstart.loading.refusals import demand_package

SMALL = "MobileNetV2"
TOLERANCE = 1e-3  # of the largest logit: both are fp32, and norms over few numbers amplify
FAMILIES = [  # name, the module of its preprocessing, the smallest size it takes
    ("ConvNeXtTiny", "convnext", 32),
    ("DenseNet121", "densenet", 32),
    ("EfficientNetB0", "efficientnet", 32),
    ("EfficientNetV2B0", "efficientnet_v2", 32),
    ("InceptionResNetV2", "inception_resnet_v2", 75),
    ("InceptionV3", "inception_v3", 75),
    ("MobileNet", "mobilenet", 33),
    ("MobileNetV3Small", "mobilenet_v3", 32),
    ("NASNetMobile", "nasnet", 32),
    ("ResNet50", "resnet", 33),
    ("ResNet50V2", "resnet_v2", 32),
    ("VGG16", "vgg16", 32),
    ("Xception", "xception", 71),
]


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where Keras keeps its downloads."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def noise(size: int) -> np.ndarray:
    """Pictures (N, H, W, C) of values from 0 to 255."""
    values = np.random.default_rng(0).uniform(0, 255, (8, size, size, 3))
    return values.astype(np.float32)


def compare(name: str, module: str, size: int, file: Path, **settings: Any) -> None:
    """Save Keras' own network, load it through the hub, and compare their answers."""
    own, pictures = application(name, size, **settings), noise(size)
    feed = import_module(f"keras.applications.{module}").preprocess_input
    fed = torch.from_numpy(feed(pictures.copy()).copy())
    awaken(own, fed)
    write(own, file)
    query = "".join(f"&{key}={value}" for key, value in settings.items())
    backbone = catalog.load_backbone(f"keras:{name}@{file}?size={size}{query}")
    with torch.no_grad():
        expected = own(fed).numpy()
    outputs = answers(backbone, pictures)
    assert np.abs(expected - expected.mean(0)).max() > 20 * TOLERANCE * np.abs(expected).max()
    assert np.abs(outputs - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("file", ["own.h5", "own.weights.h5"])
def test_a_small_network_answers_as_in_keras(file: str, tmp_path: Path) -> None:
    compare(SMALL, "mobilenet_v2", 32, tmp_path / file, alpha=0.35)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module", "size"), FAMILIES)
def test_every_family_answers_as_in_keras(
    name: str, module: str, size: int, tmp_path: Path
) -> None:
    compare(name, module, size, tmp_path / "own.weights.h5")


@pytest.mark.slow
def test_efficientnets_published_statistics_are_mended(tmp_path: Path) -> None:
    own, pictures = application("EfficientNetB0", 32), noise(32)
    (norm,) = [layer for layer in own.layers if type(layer).__name__ == "Normalization"]
    mean, std = (np.array(value) for value in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    norm.set_weights([mean, std**2, np.array(0)])
    awaken(own, torch.from_numpy(pictures))
    with torch.no_grad():
        expected = own(torch.from_numpy(pictures)).numpy()
    norm.set_weights([mean, std, np.array(0)])  # as in the published files
    write(own, tmp_path / "own.weights.h5")
    backbone = catalog.load_backbone(f"keras:EfficientNetB0@{tmp_path}/own.weights.h5?size=32")
    assert np.abs(answers(backbone, pictures) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_weights_in_keras_own_cache_are_taken(keras_home: Path, no_network: None) -> None:
    file = keras_home / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96.h5"
    write(application(SMALL, 96, alpha=0.35), file)
    backbone = catalog.load_backbone(f"keras:{SMALL}?alpha=0.35&size=96")
    assert backbone.origin.pretrained
    assert (backbone.origin.licence, backbone.origin.trained_on) == ("Apache-2.0", "ImageNet-1k")
    assert isinstance(backbone.head, torch.nn.Linear)
    assert backbone.head.weight.shape == (1000, 1280)
    assert backbone.head_name == "predictions"
    assert len(backbone.stages) > 10


def test_offline_says_which_file_misses(
    keras_home: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    missing = f"{keras_home}/resnet50_weights_tf_dim_ordering_tf_kernels.h5, and HF_HUB_OFFLINE"
    with pytest.raises(WeightsError, match=missing):
        catalog.load_backbone("keras:resnet50")


def test_a_failed_download_is_one_sentence(
    keras_home: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(WeightsError, match=r"MobileNet could not be fetched .*a socket was opened"):
        catalog.load_backbone("keras:MobileNet?alpha=0.25&size=128")


def test_cards_tell_all_without_keras(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)  # importing it would fail
    (keras_home / "efficientnetv2-b0.h5").touch()
    cards = {card.reference: card for card in catalog.hub("keras").cards("*")}
    assert len(cards) == 40
    card = cards["keras:ResNet50"]
    assert (card.parameters, card.input, card.licence) == (25_636_712, "3x224x224", "MIT")
    assert (card.accuracy, card.year, card.at_hand) == (74.9, 2015, False)
    assert [name for name, card in cards.items() if card.at_hand] == ["keras:EfficientNetV2B0"]
    assert all(card.accuracy and card.year and card.parameters for card in cards.values())
    assert len(list(catalog.hub("keras").cards("efficientnetb*"))) == 8


def test_keras_has_no_network_that_is_not_listed() -> None:
    with applications.library() as keras:
        names = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(listing.APPLICATIONS) == names


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Large", "DenseNet201", "EfficientNetV2B1"])
def test_listed_parameters_are_keras_own_count(name: str) -> None:
    with applications.library() as keras:
        count = getattr(keras.applications, name)(weights=None).count_params()
    assert listing.APPLICATIONS[name].parameters == count


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("keras:MobilNetV2", "Did you mean .*'MobileNetV2'"),
        ("keras:MobileNetV2?size=16&pretrained=false", "3x16x16 .*at least 32x32"),
        ("keras:VGG16?alpha=0.5", "takes no alpha="),
        ("keras:MobileNet?pretrained=false&alpha=100", r"alpha=100\.0 can't be"),
        ("keras:MobileNet?pretrained=false&size=100000", "below 1 or above 8192"),
        ("keras:VGG16?head=false", "takes no network= or head="),
        ("keras:MobileNetV2@missing.h5", "missing.h5 can't be read"),
    ],
)
def test_mistakes_are_one_sentence(reference: str, message: str) -> None:
    with pytest.raises((UnknownNameError, HeadstartError), match=message):
        catalog.load_backbone(reference)


def test_other_preprocessing_and_grey_pictures() -> None:
    grey = "keras:mobilenetv2?pretrained=false&alpha=0.35&size=32&channels=1&mean=0.1&crop=1"
    backbone = catalog.load_backbone(grey)
    assert backbone.architecture.name == SMALL
    assert (backbone.preprocess["channels"], backbone.preprocess["mean"]) == (1, [0.1])
    assert (backbone.preprocess["std"], backbone.preprocess["crop"]) == ([0.5], 1.0)


def test_names_do_not_depend_on_what_keras_built_before() -> None:
    first = applications.description("InceptionV3", 75, 3, ())
    applications.description.cache_clear()
    assert applications.description("InceptionV3", 75, 3, ()) == first


@pytest.mark.parametrize(
    ("kind", "deviation"),
    [("glorot_uniform", (2 / 300) ** 0.5), ("HeNormal", 0.1), ("lecun_normal", 200**-0.5)],
)
def test_weights_are_drawn_as_keras_draws_them(kind: str, deviation: float) -> None:
    values = draw(kind, (200, 100))
    assert values.std().item() == pytest.approx(deviation, rel=0.03)
    assert abs(values.mean().item()) < deviation / 20


def test_a_missing_package_is_named() -> None:
    with pytest.raises(HeadstartError, match=r"keras:VGG16 needs the package nokeras.*\[keras\]"):
        demand_package("nokeras", "keras:VGG16", "keras")


@pytest.mark.slow
def test_keras_on_another_backend_is_refused() -> None:
    script = (
        "import keras; from headstart import catalog\n"
        "try: catalog.load_backbone('keras:MobileNetV2?pretrained=false&size=32')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KERAS_BACKEND": "openvino"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.startswith("HeadstartError Keras is in use here on openvino")
