"""Networks of Keras that scale, pick, quantise and augment inside, as tutorials write them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from keras_networks import answers, own, write

from headstart import catalog
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.keras import applications

SHAPE = (12, 12, 3)
GREY = (12, 12)
Make = Callable[[Any, Any], Any]  # of the module keras and an input
MEANS, DEVIATIONS = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def values(shape: Sequence[int] = SHAPE) -> np.ndarray:
    """Two pictures from 0 to 255."""
    rows: np.ndarray = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype("float32")
    return rows


def network(make: Make, shape: Sequence[int] = SHAPE) -> Any:
    """A classifier of 3 classes behind what `make` does to pictures."""

    def whole(keras: Any) -> Any:
        layers = keras.layers
        inputs = layers.Input(shape)
        x = layers.Conv2D(4, 3, activation="relu")(make(keras, inputs))
        x = layers.BatchNormalization()(x)
        return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))

    return own(whole, shape)


def check(network: Any, file: Path, shape: Sequence[int] = SHAPE, share: float = 1e-4) -> None:
    """Assert that a network reopened gives Keras' own logits, within a share of them."""
    write(network, file)
    pictures = values(shape)
    with applications.library():
        expected = np.asarray(network(torch.from_numpy(pictures), training=False).detach().float())
    backbone = catalog.load_backbone(f"keras:{file}")
    outputs = answers(backbone, pictures if pictures.ndim == 4 else pictures[..., None])
    assert np.linalg.norm(outputs - expected) <= share * np.linalg.norm(expected)


SCALED: dict[str, Make] = {
    "x / 255": lambda keras, x: x / 255.0,
    "x - 127.5": lambda keras, x: x - 127.5,
    "x / 127.5 - 1": lambda keras, x: (x / 127.5) - 1,
    "1 - x / 255": lambda keras, x: 1 - x / 255,
    "255 / (x + 1)": lambda keras, x: 255 / (x + 1),
    "(-x / 255) ** 2": lambda keras, x: (-x / 255) ** 2,
    "an array": lambda keras, x: (x / 255 - np.array(MEANS, "f4")) / np.array(DEVIATIONS, "f4"),
    "functions": lambda keras, x: keras.ops.subtract(keras.ops.divide(x, 127.5), 1.0),
    "cast": lambda keras, x: keras.ops.cast(x, "float32") / 255,
    "tf": lambda keras, x: keras.applications.mobilenet_v2.preprocess_input(x),
    "torch": lambda keras, x: keras.applications.densenet.preprocess_input(x),
    "caffe": lambda keras, x: keras.applications.vgg16.preprocess_input(x),
    "channels picked": lambda keras, x: keras.ops.concatenate(
        [x[..., 2:3], x[..., 1:2], x[..., :1]], axis=-1
    ),
    "resizing": lambda keras, x: keras.layers.Resizing(8, 9)(x),
    "resizing to the nearest": lambda keras, x: keras.layers.Resizing(
        8, 9, interpolation="nearest"
    )(x),
    "centre": lambda keras, x: keras.layers.CenterCrop(8, 9)(x),
    "one mean for all": lambda keras, x: adapted(keras, None)(x),
    "undone": lambda keras, x: keras.layers.Normalization(
        mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0], invert=True
    )(x),
}


def adapted(keras: Any, axis: int | None) -> Any:
    """A normalising layer that has seen pictures."""
    layer = keras.layers.Normalization(axis=axis)
    layer.adapt(values())
    return layer


@pytest.mark.parametrize("name", SCALED)
def test_pictures_are_scaled_inside(name: str, tmp_path: Path) -> None:
    check(network(SCALED[name]), tmp_path / "own.keras")


WITHOUT: dict[str, Make] = {
    "Reshape": lambda keras, x: keras.layers.Reshape((*GREY, 1))(x),
    "expand_dims": lambda keras, x: keras.ops.expand_dims(x / 255, -1),
    "newaxis": lambda keras, x: x[..., None],
}


@pytest.mark.parametrize("name", WITHOUT)
def test_inputs_without_an_axis_of_channels(name: str, tmp_path: Path) -> None:
    check(network(WITHOUT[name], GREY), tmp_path / "own.keras", GREY)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_pictures_that_are_flattened_at_once(suffix: str, tmp_path: Path) -> None:
    def make(keras: Any) -> Any:
        layers = keras.layers
        first = [layers.Input(GREY), layers.Rescaling(1 / 255), layers.Flatten()]
        rest = [layers.Dense(8, activation="relu"), layers.Dropout(0.2), layers.Dense(3)]
        return keras.Sequential([*first, *rest])

    check(own(make, GREY), tmp_path / f"own{suffix}", GREY)


RANGES = [(1, 0), (1 / 255, 0), (2, 300)]


def kinds() -> list[str]:
    """All layers of Keras that may do nothing when used: asked for by their names and classes."""
    with applications.library() as keras:
        base = keras.src.layers.preprocessing.image_preprocessing.base_image_preprocessing_layer
        results = [n for n, kind in vars(keras.layers).items() if isinstance(kind, type)]
        augmenting = [
            n
            for n in results
            if issubclass(vars(keras.layers)[n], base.BaseImagePreprocessingLayer)
        ]
        dropping = [n for n in results if "Dropout" in n and n[-2:] in ("ut", "2D")]
    more = ["GaussianNoise", "ActivityRegularization", "Identity"]
    return sorted({*augmenting, *dropping, *more} - {"Resizing", "CenterCrop"})


def settings(keras: Any, kind: str) -> Any:
    """A layer of this kind, with the first arguments it takes."""
    for arguments in ((), (0.1,), (12, 12), (0.1, 0.1), ((0.0, 1.0),)):
        try:
            return getattr(keras.layers, kind)(*arguments)
        except (TypeError, ValueError):
            continue
    raise AssertionError(f"{kind} takes none of these")


def test_layers_that_do_nothing_are_left_out_and_no_others(tmp_path: Path) -> None:
    layers, refused = [], []
    for kind in kinds():
        with applications.library() as keras:
            try:
                layer = settings(keras, kind)
                attempts = [torch.from_numpy(values() * scale - least) for scale, least in RANGES]
                idle = all(
                    torch.equal(layer(inputs, training=False), inputs) for inputs in attempts
                )
            except (AssertionError, AttributeError, TypeError, ValueError):
                continue  # it needs what pictures alone don't give
            first = [keras.layers.Input(SHAPE), layer, keras.layers.Conv2D(4, 3)]
            result = keras.Sequential([*first, keras.layers.Flatten(), keras.layers.Dense(3)])
            file = tmp_path / f"{kind}.json"
            file.write_text(result.to_json())
        try:
            catalog.load_backbone(f"keras:{file}")
            layers.append(kind)
            assert idle, kind
        except HeadstartError as error:
            refused.append(kind)
            assert not idle, error
            assert f"of the kind {kind}, which Headstart" in str(error)
    assert {"RandomFlip", "GaussianDropout", "RandomErasing", "MixUp"} <= set(layers)
    assert "AutoContrast" in refused  # Keras applies it always


def dense(keras: Any) -> Any:
    layers = keras.layers
    first = [layers.Input(SHAPE), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, strides=3)]
    rest = [layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dense(3)]
    return keras.Sequential([*first, *rest])


def quantised(mode: str) -> Any:
    result = own(dense)
    with applications.library():
        result.quantize(mode)
    return result


def test_whole_numbers_are_read_with_their_scale(tmp_path: Path) -> None:
    result = quantised("int8")
    check(result, tmp_path / "own.keras", share=0.02)  # Keras rounds activations as well
    backbone = catalog.load_backbone(f"keras:{tmp_path}/own.keras")
    layer = result.layers[-1]
    exact = np.asarray(layer._kernel.value) / np.asarray(layer.kernel_scale.value)
    assert backbone.head is not None
    weight = backbone.head.state_dict()["weight"].numpy()
    assert np.allclose(weight, exact.T, rtol=1e-6)
    write(own(dense), tmp_path / "design.json")
    write(result, tmp_path / "own.weights.h5")
    with pytest.raises(WeightsError, match=r"quantised as its design does not say.*quantize"):
        catalog.load_backbone(f"keras:{tmp_path}/design.json@{tmp_path}/own.weights.h5")


@pytest.mark.parametrize("mode", ["int4", "float8"])
def test_other_quantised_layers_are_refused(mode: str, tmp_path: Path) -> None:
    write(quantised(mode), tmp_path / "own.keras")
    with pytest.raises(WeightsError, match=rf"quantised as {mode}.* Save the whole network before"):
        catalog.load_backbone(f"keras:{tmp_path}/own.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("policy", "share"),
    [("mixed_float16", 5e-3), ("float16", 5e-3), ("mixed_bfloat16", 0.05), ("bfloat16", 0.05)],
)
def test_policies_of_less_precision(policy: str, share: float, suffix: str, tmp_path: Path) -> None:
    with applications.library() as keras:
        keras.config.set_dtype_policy(policy)
        try:
            result = own(dense)
        finally:
            keras.config.set_dtype_policy("float32")
    check(result, tmp_path / f"own{suffix}", share=share)
    head = catalog.load_backbone(f"keras:{tmp_path}/own{suffix}").head
    assert head is not None
    expected = torch.as_tensor(result.layers[-1].kernel.value).detach().float()
    assert torch.equal(
        head.state_dict()["weight"], expected.T
    )  # in full: all of them are numbers of float32


def old(*operations: tuple[str, Any]) -> dict[str, Any]:
    """A network as TensorFlow's Keras describes it: functions one after another, then a mean."""

    def entry(kind: str, name: str, config: dict[str, Any], nodes: Any) -> dict[str, Any]:
        return {
            "class_name": kind,
            "name": name,
            "config": {"name": name, **config},
            "inbound_nodes": nodes,
        }

    layers = [entry("InputLayer", "input", {"batch_input_shape": [None, *SHAPE]}, [])]
    before = "input"
    for number, (function, keywords) in enumerate(operations):
        kind = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
        node = [before, 0, 0, keywords]
        if "swapped" in keywords:
            node = ["_CONSTANT_VALUE", -1, keywords["swapped"], {"y": [before, 0, 0]}]
        before = f"tf.{number}"
        layers.append(entry(kind, before, {"function": function}, [node]))
    pool = entry("GlobalAveragePooling2D", "pool", {"keepdims": True}, [[[before, 0, 0, {}]]])
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [["pool", 0, 0]]}
    return {
        "class_name": "Functional",
        "config": {"name": "old", "layers": [*layers, pool], **ends},
    }


TURN = [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]
OLD: dict[str, tuple[list[tuple[str, Any]], Callable[[np.ndarray], np.ndarray]]] = {
    "divided": ([("math.truediv", {"y": 255.0, "name": None})], lambda x: x / 255),
    "tf": (
        [("math.truediv", {"y": 127.5}), ("math.subtract", {"y": 1.0})],
        lambda x: x / 127.5 - 1,
    ),
    "torch": (
        [
            ("math.truediv", {"y": 255.0}),
            ("nn.bias_add", {"bias": [-m for m in MEANS], "data_format": "NHWC"}),
            ("math.truediv", {"y": DEVIATIONS, "name": None}),
        ],
        lambda x: (x / 255 - MEANS) / DEVIATIONS,
    ),
    "caffe": (
        [
            ("__operators__.getitem", {"slice_spec": TURN}),
            ("nn.bias_add", {"bias": [-103.9, -116.7, -123.6]}),
        ],
        lambda x: x[..., ::-1] - [103.9, 116.7, 123.6],
    ),
    "from one": ([("math.subtract", {"swapped": 1.0})], lambda x: 1 - x),
    "cast": ([("cast", {"dtype": "float32"})], lambda x: x),
}


@pytest.mark.parametrize("name", OLD)
def test_functions_of_tensorflows_keras(name: str, tmp_path: Path) -> None:
    operations, expected = OLD[name]
    (tmp_path / "own.json").write_text(json.dumps(old(*operations)))
    backbone = catalog.load_backbone(f"keras:{tmp_path}/own.json?head=false&mean=0&std=1")
    pictures = values()
    rows: Any = torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())
    for stage in backbone.prefix():
        rows = stage(rows)
    assert np.allclose(rows.numpy(), expected(pictures).mean((1, 2)), rtol=1e-4)


def pick(key: list[Any]) -> dict[str, Any]:
    """A description that picks by this key."""
    return old(("__operators__.getitem", {"slice_spec": key}))


WRONG: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "another picture": (lambda: pick([0]), "picks among pictures"),
    "some pictures": (lambda: pick([{"start": 0, "stop": 1, "step": None}]), "among pictures"),
    "no step": (lambda: pick([..., {"start": 0, "stop": 1, "step": 0}]), "step cannot be zero"),
    "text": (lambda: pick([{"class_name": "__ellipsis__"}, "x"]), "can't be built"),
    "huge": (lambda: old(("image.resize", {"size": [10**6, 10**6]})), r"answers 3,000,000,000,000"),
    "whole": (lambda: old(("cast", {"dtype": "int32"})), "dtype=int32 is not one of real numbers"),
    "unknown": (lambda: old(("linalg.inv", {})), "of the kind TFOpLambda linalg.inv"),
    "ragged": (lambda: old(("math.add", {"y": [[1], [1, 2]]})), "can't be read"),
    "words": (lambda: old(("math.add", {"y": "abc"})), "can't be read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_functions_that_can_not_be_followed(name: str, tmp_path: Path) -> None:
    make, message = WRONG[name]
    text = json.dumps(make(), default=lambda _: {"class_name": "__ellipsis__"})
    (tmp_path / "own.json").write_text(text)
    with pytest.raises(HeadstartError, match=message) as caught:
        catalog.load_backbone(f"keras:{tmp_path}/own.json?head=false")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "changed", "message"),
    [
        (0, {"batch_shape": [None, 10**6, 10**6, 3]}, "which are no pictures"),
        (0, {"batch_shape": [None, "a", 8, 3]}, "can't be read"),
        (0, {"batch_shape": [None, 784]}, "takes 784 an item, which are no pictures"),
        (1, {"filters": 10**9}, "it has 28,000,000,000 weights"),
        (1, {"filters": 10**7}, "it answers 360,000,000 numbers an item"),
        (1, {"filters": -3}, "negative"),
        (1, {"activation": {"config": {"a": 1}}}, "activation="),
    ],
)
def test_sizes_that_no_picture_needs(
    layer: int, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with applications.library() as keras:
        layers = keras.layers
        first = [layers.Input((8, 8, 3)), layers.Conv2D(4, 3)]
        model = json.loads(keras.Sequential([*first, layers.Flatten(), layers.Dense(3)]).to_json())
    model["config"]["layers"][layer]["config"].update(changed)
    (tmp_path / "own.json").write_text(json.dumps(model))
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(f"keras:{tmp_path}/own.json")


@pytest.mark.parametrize("depth", [400, 100_000])
def test_nesting_without_end(depth: int, tmp_path: Path) -> None:
    start = '{"class_name":"Sequential","config":{"name":"s","layers":['
    (tmp_path / "own.json").write_text(start * depth + "]}}" * depth)
    with pytest.raises(HeadstartError, match=r"can't be read|no pictures"):
        catalog.load_backbone(f"keras:{tmp_path}/own.json")


def test_bfloat16_of_another_length_is_refused(tmp_path: Path) -> None:
    write(own(dense), tmp_path / "own.weights.h5")
    write(own(dense), tmp_path / "own.json")
    with h5py.File(tmp_path / "own.weights.h5", "r+") as tree:
        group = tree["layers/dense/vars"]
        del group["1"]
        group.create_dataset("1", data=np.zeros(16, "V3"))
    with pytest.raises(WeightsError, match="something else than numbers"):
        catalog.load_backbone(f"keras:{tmp_path}/own.json@{tmp_path}/own.weights.h5")


def test_a_file_says_nothing_of_what_keras_left_out_itself(tmp_path: Path) -> None:
    """Keras drops Equalization from functional models, so that its file lacks it as well."""
    model = network(lambda keras, x: keras.layers.Equalization()(x))
    check(model, tmp_path / "own.keras")
    with zipfile.ZipFile(tmp_path / "own.keras") as archive:
        assert b"Equalization" not in archive.read("config.json")
