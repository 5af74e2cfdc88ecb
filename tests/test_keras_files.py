"""Networks in files that Keras saved: translated layer by layer, trained, kept, and never run."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_networks import answers, own, write
from PIL import Image
from torch import nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.contracts.references import parse
from headstart.hubs.keras import applications
from headstart.hubs.keras.weighted import WEIGHTED
from headstart.hubs.keras.weightless import WEIGHTLESS
from headstart.loading.weights import save
from headstart.strategies.freezing import LastStages

DATA = Path(__file__).resolve().parents[2] / "shared/data"
REAL = DATA / "weights/keras_resnet8_cifar10.h5"
CIFAR = DATA / "images/cifar10_test.parquet"
NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def branched(keras: Any) -> Any:
    """A network with branches that uses most kinds of layers, on maps of odd and even sides."""
    layers = keras.layers
    inputs = layers.Input((12, 12, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.6, 0.7])(x)
    x = layers.RandomFlip()(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="train")(x)
    x = layers.BatchNormalization()(x)
    first = layers.LeakyReLU()(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x))
    second = layers.PReLU()(layers.SeparableConv2D(16, (5, 3), padding="same")(x))
    third = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(16, 1, groups=2)(x))
    x = layers.Add()([first, layers.SpatialDropout2D(0.2)(second), third])
    x = layers.Subtract()([x, layers.Average()([first, second])])
    gate = layers.Reshape((1, 1, 16))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Dense(16, activation="hard_sigmoid")(
        layers.Conv2D(16, 1, activation="silu")(gate)
    )
    x = layers.Multiply()([x, gate * 0.5 + 1.0 - 0.25])
    x = layers.LayerNormalization()(layers.ZeroPadding2D(((1, 0), (0, 1)))(x))
    x = layers.Concatenate()(
        [
            layers.MaxPooling2D(2, padding="same")(x),
            layers.AveragePooling2D(3, strides=2, padding="same")(x),
            layers.UpSampling2D(2, interpolation="bilinear")(layers.MaxPooling2D(3)(x)),
        ]
    )
    x = layers.GroupNormalization(4)(layers.Cropping2D(((0, 1), (1, 0)))(x))
    x = layers.Activation("gelu")(layers.Conv2D(6, 2, dilation_rate=2, padding="same")(x))
    x = layers.Maximum()([x, layers.Minimum()([x * 0.1, layers.ReLU(6.0)(x)])])
    x = layers.Dropout(0.5)(layers.Dense(20, activation="tanh")(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="answer")(x))


def nested(keras: Any) -> Any:
    """A network of a user who put a new head on another one that does not train."""
    layers = keras.layers
    inner = layers.Input((12, 12, 3))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2, use_bias=False)(inner))
    base = keras.Model(inner, layers.Activation("relu")(x), name="base")
    base.trainable = False
    after = keras.Sequential([layers.Input((5, 5, 6)), layers.Conv2D(4, 3), layers.PReLU()])
    inputs = layers.Input((12, 12, 3))
    x = layers.GlobalMaxPooling2D()(after(base(inputs, training=False)))
    return keras.Model(inputs, layers.Dense(3)(x))


def plain(keras: Any) -> Any:
    """A sequential network that classifies by a convolution of one position."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(6, 3, padding="same", strides=2),
            layers.BatchNormalization(scale=False),
            layers.ReLU(),
            layers.Conv2D(8, 3),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Dropout(0.9),
            layers.Conv2D(4, 1, use_bias=False),
            layers.Flatten(),
            layers.Softmax(),
        ]
    )


MAKERS = [branched, nested, plain]


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    """Each of Keras' own networks here, made once."""
    return {make.__name__: own(make) for make in MAKERS}


def compare(network: Any, backbone: Backbone, softmax: bool) -> None:
    """Hold a network of Keras, and the same translated, against each other within 1e-5."""
    pictures = np.random.default_rng(0).uniform(0, 255, (3, 12, 12, 3)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(pictures), training=False).numpy()
    result = torch.from_numpy(answers(backbone, pictures))
    assert expected.std(0).max() > 1e-3
    np.testing.assert_allclose(
        result.softmax(1) if softmax else result, expected, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("file", ["own.keras", "own.h5", "own.json@own.weights.h5"])
@pytest.mark.parametrize("name", [make.__name__ for make in MAKERS])
def test_an_own_network_answers_as_in_keras(
    name: str, file: str, networks: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for each in file.split("@"):
        write(networks[name], Path(each))
    backbone = catalog.load_backbone(f"keras:{file}")
    assert (backbone.preprocess["height"], backbone.preprocess["mean"]) == (12, [0.0] * 3)
    assert backbone.origin.pretrained
    compare(networks[name], backbone, softmax=name != "nested")


@pytest.fixture
def backbone(networks: dict[str, Any], tmp_path: Path) -> Backbone:
    write(networks["plain"], tmp_path / "own.keras")
    return catalog.load_backbone(f"keras:{tmp_path}/own.keras")


def test_it_is_saved_and_opened_without_keras_file(backbone: Backbone, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    for name, content in backbone.files.items():
        (folder / name).write_bytes(content)
    assert isinstance(backbone.head, nn.Linear)
    tensors = Model.of(backbone, nn.Identity()).backbone_state()
    tensors |= {f"{backbone.head_name}.weight": backbone.head.weight}
    save(tensors, folder / "model.safetensors", {})
    architecture = str(replace(backbone.architecture, name="."))
    record = {"format": 1, "architecture": architecture, "origin": {}, "modality": "image"}
    (folder / "headstart.json").write_text(json.dumps(record))
    (tmp_path / "own.keras").unlink()
    again = catalog.load_backbone(f"checkpoint:{folder}")
    assert again.origin.weights_hash == backbone.origin.weights_hash
    assert again.preprocess == backbone.preprocess
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 12, 12, 3)).astype(np.float32)
    assert np.array_equal(answers(again, pictures), answers(backbone, pictures))


def test_random_weights_and_other_inputs(backbone: Backbone) -> None:
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(catalog.load_backbone(backbone.architecture).origin)
    assert results[0] == results[1] != results[2]
    assert not results[0].pretrained
    name = backbone.architecture.name
    other = catalog.load_backbone(f"keras:{name}?size=20&mean=0.5&std=0.25&head=false")
    assert (other.preprocess["height"], other.preprocess["std"]) == (20, [0.25] * 3)
    assert (other.feature_dim, other.head) == (4, None)


def test_training_the_last_stage_leaves_the_others_alone(backbone: Backbone) -> None:
    model = Model.of(backbone, nn.Linear(backbone.feature_dim, 2))
    strategy = LastStages(count=1, probe=False)
    before = deepcopy(model.state_dict())
    model.train()
    strategy.on_epoch_start(0, model)
    moving = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(moving, 0.1)
    # of fewer pictures dropout may let nothing of its layer by
    pictures = torch.rand(32, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 255
    nn.functional.cross_entropy(model(pictures), torch.arange(32) % 2).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    last = f"stages.{len(model.stages) - 1}."
    for name, tensor in model.state_dict().items():
        same = torch.equal(tensor, before[name])
        assert same != name.startswith((last, "head.")), name


def test_norms_and_dropout_keep_to_the_mode(backbone: Backbone) -> None:
    model = Model.of(backbone, nn.Identity())
    pictures = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 255
    statistics = {n: b.clone() for n, b in model.named_buffers() if b.is_floating_point()}
    assert statistics
    model.eval()
    assert torch.equal(model(pictures), model(pictures))
    assert all(torch.equal(b, statistics[n]) for n, b in model.named_buffers() if n in statistics)
    model.train()
    assert not torch.equal(model(pictures), model(pictures))
    entries = dict(model.named_buffers())
    assert not any(torch.equal(entries[name], old) for name, old in statistics.items())


@settings(max_examples=40, deadline=None)
@given(
    sides=st.tuples(st.integers(5, 11), st.integers(5, 11)),
    window=st.integers(1, 5),
    step=st.integers(1, 3),
    gap=st.integers(1, 2),
    kind=st.sampled_from(["Conv2D", "DepthwiseConv2D", "MaxPooling2D"]),
)
def test_same_padding_is_keras_own(
    sides: tuple[int, int], window: int, step: int, gap: int, kind: str
) -> None:
    common: dict[str, Any] = {"padding": "same", "strides": step}
    pooling = "Pooling" in kind
    common |= {"pool_size": window} if pooling else {"kernel_size": window}
    if not pooling and step == 1:  # Keras wants one of the two to be 1
        common["dilation_rate"] = gap
    with applications.library() as keras:
        layer = getattr(keras.layers, kind)(
            **common, **({"filters": 2} if kind == "Conv2D" else {})
        )
        maps = torch.rand(1, *sides, 3, generator=torch.Generator().manual_seed(0)) - 0.5
        with torch.no_grad():
            expected = layer(maps).permute(0, 3, 1, 2)
        config, kernel = layer.get_config(), [torch.tensor(v) for v in layer.get_weights()]
    turned = maps.permute(0, 3, 1, 2)
    if pooling:
        module = WEIGHTLESS[kind](config, [turned])
    else:
        result = WEIGHTED[kind](config, [turned])
        module = result.module
        for variable, values in zip(result.variables, kernel, strict=True):
            module.get_parameter(variable.target).data.copy_(variable.to_torch(values))
    torch.testing.assert_close(module(turned), expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(side=st.integers(3, 9), window=st.integers(1, 5), step=st.integers(1, 3))
def test_same_average_is_of_what_is_there(side: int, window: int, step: int) -> None:
    """By hand, since Keras on torch repeats the edges where it has to pad only one of them."""
    maps = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    config = {"pool_size": window, "strides": step, "padding": "same"}
    count = -(-side // step)
    before = max((count - 1) * step + window - side, 0) // 2
    reach = [slice(max(n * step - before, 0), n * step - before + window) for n in range(count)]
    expected = torch.stack([torch.stack([maps[0, 0, r, c].mean() for c in reach]) for r in reach])
    result = WEIGHTLESS["AveragePooling2D"](config, [maps])(maps)
    torch.testing.assert_close(result[0, 0], expected)


@pytest.mark.parametrize("maps", ["features", "maps"])
def test_networks_without_a_head_are_features(maps: str, tmp_path: Path) -> None:
    def make(keras: Any) -> Any:
        convolution = [keras.layers.Input((12, 12, 3)), keras.layers.Conv2D(7, 3)]
        dense = [keras.layers.Flatten(), keras.layers.Dense(5, activation="relu")]
        return keras.Sequential(convolution + (dense if maps == "features" else []))

    write(own(make), tmp_path / "own.keras")
    backbone = catalog.load_backbone(f"keras:{tmp_path}/own.keras")
    assert backbone.head is None
    assert backbone.feature_dim == (5 if maps == "features" else 7)


def test_the_real_network_is_right_on_three_quarters() -> None:
    if not REAL.exists() or not CIFAR.exists():
        pytest.skip("the shared weights and images are not on this machine")
    backbone = catalog.load_backbone(f"keras:{REAL}")
    table = pq.read_table(CIFAR).slice(0, 1000).to_pydict()
    decoded = [Image.open(io.BytesIO(picture["bytes"])) for picture in table["image"]]
    pictures = np.stack([np.asarray(picture.convert("RGB")) for picture in decoded])
    best = answers(backbone, pictures.astype(np.float32)).argmax(1)
    right = np.mean(
        [NAMES[guess] == label for guess, label in zip(best, table["label"], strict=True)]
    )
    assert 0.7 < right < 0.85
    assert list(backbone.stages) == ["conv2d", "conv2d_1", "conv2d_3", "conv2d_6"]
    assert parse(str(backbone.architecture)) == backbone.architecture
