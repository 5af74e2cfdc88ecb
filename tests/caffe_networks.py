"""Networks of Caffe written for tests: descriptions as text, weights byte by byte."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.hubs.caffe import reading
from headstart.hubs.caffe.graph import select
from headstart.hubs.caffe.network import build, draw, load, state_of

Blobs = Mapping[str, Sequence[np.ndarray]]


# --- descriptions ---


def layer(name: str, kind: str, bottom: str, settings: str = "", top: str = "") -> str:
    """A layer; `bottom` and `top` may be several with spaces, `top` is its name otherwise."""
    edges = [f'bottom: "{b}"' for b in bottom.split()]
    edges += [f'top: "{t}"' for t in (top or name).split()]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(edges)} {settings} }}\n'


def pictures(size: int = 16, channels: int = 3) -> str:
    """An input, as descriptions for deploying have it."""
    return f'input: "data" input_dim: 1 input_dim: {channels} input_dim: {size} input_dim: {size}\n'


def convolution(name: str, bottom: str, width: int, kernel: int, more: str = "") -> str:
    """A convolution and a ReLU in its place."""
    settings = f"num_output: {width} kernel_size: {kernel} {more}"
    return layer(name, "Convolution", bottom, f"convolution_param {{ {settings} }}") + relu(name)


def relu(blob: str) -> str:
    """A ReLU in place."""
    return layer(f"{blob}/relu", "ReLU", blob, top=blob)


def linear(name: str, bottom: str, width: int) -> str:
    """An inner product."""
    return layer(name, "InnerProduct", bottom, f"inner_product_param {{ num_output: {width} }}")


def pool(name: str, bottom: str, settings: str = "pool: MAX kernel_size: 3 stride: 2") -> str:
    """A pooling layer."""
    return layer(name, "Pooling", bottom, f"pooling_param {{ {settings} }}")


def dropout(blob: str) -> str:
    """Dropout in place."""
    return layer(f"{blob}/drop", "Dropout", blob, "dropout_param { dropout_ratio: 0.5 }", blob)


GLOBAL = "pool: AVE global_pooling: true"
TINY = (
    pictures(8)
    + convolution("conv1", "data", 6, 3, "stride: 2")
    + convolution("conv2", "conv1", 5, 3)
    + linear("fc", "conv2", 4)
    + layer("prob", "Softmax", "fc")
)


def alexnet() -> str:
    """Krizhevsky et al. 2012 in small: groups, response normalisation, dropout."""
    norm = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
    text = pictures(35) + convolution("conv1", "data", 8, 5, "stride: 2")
    text += pool("pool1", "conv1") + layer("norm1", "LRN", "pool1", norm)
    text += convolution("conv2", "norm1", 12, 3, "pad: 1 group: 2")
    text += pool("pool2", "conv2") + layer("norm2", "LRN", "pool2", norm)
    text += linear("fc6", "norm2", 20) + relu("fc6") + dropout("fc6")
    text += linear("fc7", "fc6", 18) + relu("fc7") + dropout("fc7")
    return text + linear("fc8", "fc7", 9) + layer("prob", "Softmax", "fc8")


def vgg() -> str:
    """Simonyan and Zisserman 2014 in small."""
    text, bottom, two = pictures(16), "data", "pool: MAX kernel_size: 2 stride: 2"
    for block, width in enumerate((4, 6), start=1):
        for number in (1, 2):
            name = f"conv{block}_{number}"
            text, bottom = text + convolution(name, bottom, width, 3, "pad: 1"), name
        text, bottom = text + pool(f"pool{block}", bottom, two), f"pool{block}"
    text += linear("fc6", bottom, 12) + relu("fc6") + dropout("fc6")
    return text + linear("fc8", "fc6", 5) + layer("prob", "Softmax", "fc8")


def inception(name: str, bottom: str) -> str:
    """A block of Szegedy et al. 2014 in small."""
    text = convolution(f"{name}/1x1", bottom, 3, 1)
    text += convolution(f"{name}/3x3_reduce", bottom, 2, 1)
    text += convolution(f"{name}/3x3", f"{name}/3x3_reduce", 4, 3, "pad: 1")
    same = "pool: MAX kernel_size: 3 stride: 1 pad: 1"
    text += pool(f"{name}/pool", bottom, same)
    text += convolution(f"{name}/pool_proj", f"{name}/pool", 2, 1)
    joined = f"{name}/1x1 {name}/3x3 {name}/pool_proj"
    return text + layer(f"{name}/output", "Concat", joined)


def googlenet() -> str:
    """Szegedy et al. 2014 in small, with an auxiliary head before the main one."""
    text = pictures(20) + convolution("conv1/3x3", "data", 6, 3, "stride: 2")
    text += inception("3a", "conv1/3x3") + inception("3b", "3a/output")
    text += pool("loss1/pool", "3a/output", "pool: AVE kernel_size: 5 stride: 3")
    text += linear("loss1/classifier", "loss1/pool", 7)
    text += layer("loss1/loss", "SoftmaxWithLoss", "loss1/classifier label")
    text += pool("pool5", "3b/output", GLOBAL) + dropout("pool5")
    return (
        text + linear("loss3/classifier", "pool5", 7) + layer("prob", "Softmax", "loss3/classifier")
    )


def squeezenet() -> str:
    """Iandola et al. 2016 in small: it classifies every position."""
    text = pictures(20) + convolution("conv1", "data", 6, 3, "stride: 2") + pool("pool1", "conv1")
    bottom = "pool1"
    for name in ("fire2", "fire3"):
        text += convolution(f"{name}/squeeze1x1", bottom, 3, 1)
        text += convolution(f"{name}/expand1x1", f"{name}/squeeze1x1", 4, 1)
        text += convolution(f"{name}/expand3x3", f"{name}/squeeze1x1", 4, 3, "pad: 1")
        bottom = f"{name}/concat"
        text += layer(bottom, "Concat", f"{name}/expand1x1 {name}/expand3x3")
    text += dropout(bottom) + convolution("conv10", bottom, 7, 1)
    return text + pool("pool10", "conv10", GLOBAL) + layer("prob", "Softmax", "pool10")


def normed(name: str, bottom: str, width: int, more: str) -> str:
    """A convolution without bias, batch normalisation and scale, both in place."""
    settings = f"convolution_param {{ num_output: {width} bias_term: false {more} }}"
    text = layer(name, "Convolution", bottom, settings)
    text += layer(
        f"bn_{name}", "BatchNorm", name, "batch_norm_param { use_global_stats: true }", name
    )
    return text + layer(f"scale_{name}", "Scale", name, "scale_param { bias_term: true }", name)


def resnet() -> str:
    """He et al. 2015 in small: two blocks, one with a projection."""
    text, bottom = pictures(16) + normed("conv1", "data", 6, "kernel_size: 3 stride: 2"), "conv1"
    text += relu("conv1")
    for block, width in (("res2a", 6), ("res2b", 8)):
        shortcut = bottom
        if width != 6:
            shortcut = f"{block}_branch1"
            text += normed(shortcut, bottom, width, "kernel_size: 1")
        text += normed(f"{block}_branch2a", bottom, width, "kernel_size: 3 pad: 1")
        text += relu(f"{block}_branch2a")
        text += normed(f"{block}_branch2b", f"{block}_branch2a", width, "kernel_size: 3 pad: 1")
        text += layer(block, "Eltwise", f"{shortcut} {block}_branch2b") + relu(block)
        bottom = block
    text += pool("pool5", bottom, GLOBAL) + linear("fc1000", "pool5", 10)
    return text + layer("prob", "Softmax", "fc1000")


OLD_TYPES = {
    "Concat": "CONCAT",
    "Convolution": "CONVOLUTION",
    "Dropout": "DROPOUT",
    "InnerProduct": "INNER_PRODUCT",
    "LRN": "LRN",
    "Pooling": "POOLING",
    "ReLU": "RELU",
    "Softmax": "SOFTMAX",
    "SoftmaxWithLoss": "SOFTMAX_LOSS",
}
ARCHITECTURES = {
    "alexnet": alexnet,
    "vgg": vgg,
    "googlenet": googlenet,
    "squeezenet": squeezenet,
    "resnet": resnet,
}


def old_format(text: str) -> str:
    """The same description as Caffe's second format has it."""
    text = text.replace("layer {", "layers {")
    return re.sub(r'type: "(\w+)"', lambda result: f"type: {OLD_TYPES[result[1]]}", text)


# --- files of weights ---


def varint(number: int) -> bytes:
    """An unsigned number as protobuf writes it."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def entry(number: int, content: bytes | str | int) -> bytes:
    """A field of a message: numbers by themselves, all else with its length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(values: np.ndarray, old: bool = False, double: bool = False) -> bytes:
    """Numbers with their shape, or with the four dimensions of old files."""
    raw = values.astype("<f8" if double else "<f4").tobytes()
    data = entry(8 if double else 5, raw)
    if not old:
        return entry(7, entry(1, b"".join(map(varint, values.shape)))) + data
    four = (1,) * (4 - values.ndim) + values.shape
    return b"".join(entry(number, size) for number, size in enumerate(four, start=1)) + data


def caffemodel(path: Path, blobs: Blobs, old: bool = False, before: bytes = b"") -> Path:
    """Write weights by layer, in the present format or that of old files."""
    content = before
    for name, values in blobs.items():
        parts = b"".join(entry(6 if old else 7, blob(each, old)) for each in values)
        content += entry(2, entry(4, name) + parts) if old else entry(100, entry(1, name) + parts)
    path.write_bytes(content)
    return path


def random_blobs(shapes: Mapping[str, Iterable[Sequence[int]]], seed: int = 0) -> dict[str, Any]:
    """Weights for layers, from the shapes of their blobs."""
    rng = np.random.default_rng(seed)
    return {
        name: [rng.normal(0, 0.3, shape).astype(np.float32) for shape in each]
        for name, each in shapes.items()
    }


TINY_BLOBS = random_blobs(
    {
        "conv1": [(6, 3, 3, 3), (6,)],
        "conv2": [(5, 6, 3, 3), (5,)],
        "fc": [(4, 5), (4,)],
    }
)


# --- single layers ---


def network(text: str, shape: Sequence[int], folder: Path, blobs: Blobs | None = None) -> nn.Module:
    """The whole network of a description for items of this shape, in eval mode."""
    path = folder / "layers.prototxt"
    net, layers = reading.parse(text.encode(), path)
    selection = select(net, layers, False, str(path))
    built = build(selection, tuple(shape), False, str(path))
    if blobs is None:
        draw(built)
    else:
        weights = reading.read_weights(caffemodel(folder / "layers.caffemodel", blobs))
        result = state_of(reading.blobs_by_layer(weights), selection.nodes, path)
        load(built, result, "head", "layers.caffemodel")
    return built.network.eval()


def answers(text: str, inputs: np.ndarray, folder: Path, blobs: Blobs | None = None) -> np.ndarray:
    """What the last layer of a description computes, a row an item; its input is `data`."""
    top = text.rpartition('top: "')[2].partition('"')[0]
    whole = pictures() + text + layer("all", "Flatten", top)
    with torch.no_grad():
        result: Tensor = network(whole, inputs.shape[1:], folder, blobs)(torch.from_numpy(inputs))
    return result.numpy()


def weighted(text: str, size: int, folder: Path, seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """The whole network of a description up to its last inner product, and all its weights."""
    whole = network(text, (3, size, size), folder)
    rng = np.random.default_rng(seed)
    blobs: dict[str, Any] = {}
    for name, module in whole.named_children():
        if isinstance(module, nn.BatchNorm2d):
            mean = rng.normal(0, 0.1, module.num_features).astype(np.float32)
            spread = rng.uniform(0.5, 2, module.num_features).astype(np.float32)
            blobs[name] = [mean * 900, spread * 900, np.array([900], np.float32)]
        elif any(True for _ in module.parameters()):
            blobs[name] = [
                rng.normal(0, 0.3, parameter.shape).astype(np.float32)
                for parameter in module.parameters()
            ]
    return network(text, (3, size, size), folder, blobs), blobs
