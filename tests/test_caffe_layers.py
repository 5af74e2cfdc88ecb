"""Layers of Caffe against plain numpy, each computed as Caffe's definition reads."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from caffe_networks import answers, layer, network, pictures
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import HeadstartError


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers around 0."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def rows(maps: np.ndarray) -> np.ndarray:
    """One row an item."""
    return maps.reshape(len(maps), -1)


def close(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two results differ by rounding only."""
    return actual.shape == expected.shape and np.allclose(actual, expected, rtol=1e-4, atol=1e-5)


# --- convolutions and inner products ---


def convolved(
    maps: np.ndarray,
    weight: np.ndarray,
    stride: tuple[int, int],
    pad: tuple[int, int],
    dilation: int,
    groups: int,
) -> np.ndarray:
    """A convolution, one output position after another."""
    items, channels, height, width = maps.shape
    count, inner, high, wide = weight.shape
    padded = np.zeros((items, channels, height + 2 * pad[0], width + 2 * pad[1]))
    padded[:, :, pad[0] : pad[0] + height, pad[1] : pad[1] + width] = maps
    reach = dilation * (high - 1) + 1, dilation * (wide - 1) + 1
    rows_out = (padded.shape[2] - reach[0]) // stride[0] + 1
    columns_out = (padded.shape[3] - reach[1]) // stride[1] + 1
    result = np.zeros((items, count, rows_out, columns_out))
    for channel in range(count):
        first = channel // (count // groups) * inner
        for row in range(rows_out):
            for column in range(columns_out):
                top, left = row * stride[0], column * stride[1]
                part = padded[
                    :,
                    first : first + inner,
                    top : top + reach[0] : dilation,
                    left : left + reach[1] : dilation,
                ]
                result[:, channel, row, column] = (part * weight[channel]).sum((1, 2, 3))
    return result


@pytest.mark.parametrize(
    ("settings", "window", "stride", "pad", "dilation", "groups"),
    [
        ("kernel_size: 3", (3, 3), (1, 1), (0, 0), 1, 1),
        ("kernel_size: 3 stride: 2 pad: 1 group: 2", (3, 3), (2, 2), (1, 1), 1, 2),
        ("kernel_size: 3 dilation: 2 pad: 2", (3, 3), (1, 1), (2, 2), 2, 1),
        ("kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1", (1, 3), (1, 1), (0, 1), 1, 1),
        ("kernel_size: 2 kernel_size: 4 stride_h: 1 stride_w: 2", (2, 4), (1, 2), (0, 0), 1, 1),
        ("kernel_size: 2 stride: 1 stride: 3 pad: 0 pad: 1", (2, 2), (1, 3), (0, 1), 1, 1),
    ],
)
def test_convolution(
    settings: str,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    dilation: int,
    groups: int,
    tmp_path: Path,
) -> None:
    weight, bias = noise(6, 4 // groups, *window), noise(6, seed=1)
    maps = noise(2, 4, 7, 9, seed=2)
    text = layer("c", "Convolution", "data", f"convolution_param {{ num_output: 6 {settings} }}")
    expected = convolved(maps, weight, stride, pad, dilation, groups) + bias[:, None, None]
    assert close(answers(text, maps, tmp_path, {"c": [weight, bias]}), rows(expected))
    bare = text.replace("num_output", "bias_term: false num_output")
    assert close(
        answers(bare, maps, tmp_path, {"c": [weight]}), rows(expected - bias[:, None, None])
    )


def test_deconvolution_adds_up_what_each_position_spreads(tmp_path: Path) -> None:
    maps, weight = noise(2, 3, 4, 5), noise(3, 2, 3, 3, seed=1)
    settings = "convolution_param { num_output: 2 kernel_size: 3 stride: 2 bias_term: false }"
    expected = np.zeros((2, 2, 9, 11))
    for row in range(4):
        for column in range(5):
            spread = np.einsum("nc,cdij->ndij", maps[:, :, row, column], weight)
            expected[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += spread
    text = layer("d", "Deconvolution", "data", settings)
    assert close(answers(text, maps, tmp_path, {"d": [weight]}), rows(expected))


def test_inner_product_reads_whole_items(tmp_path: Path) -> None:
    maps, weight, bias = noise(3, 2, 3, 4), noise(5, 24, seed=1), noise(5, seed=2)
    text = layer("ip", "InnerProduct", "data", "inner_product_param { num_output: 5 }")
    expected = rows(maps) @ weight.T + bias
    assert close(answers(text, maps, tmp_path, {"ip": [weight, bias]}), expected)
    turned = text.replace("num_output", "transpose: true num_output")
    assert close(answers(turned, maps, tmp_path, {"ip": [weight.T, bias]}), expected)


# --- pooling ---


def pooled(maps: np.ndarray, size: int, stride: int, pad: int, largest: bool) -> np.ndarray:
    """Pooling with Caffe's rounding up, and the rule that clips the last window."""
    sides = maps.shape[2:]
    counts = []
    for side in sides:
        count = math.ceil((side + 2 * pad - size) / stride) + 1
        if pad and (count - 1) * stride >= side + pad:
            count -= 1
        counts.append(count)
    result = np.zeros((*maps.shape[:2], *counts))
    for row in range(counts[0]):
        for column in range(counts[1]):
            starts = [row * stride - pad, column * stride - pad]
            ends = [min(s + size, side + pad) for s, side in zip(starts, sides, strict=True)]
            area = (ends[0] - starts[0]) * (ends[1] - starts[1])
            top, left = (max(start, 0) for start in starts)
            part = maps[:, :, top : min(ends[0], sides[0]), left : min(ends[1], sides[1])]
            value = part.max((2, 3)) if largest else part.sum((2, 3), dtype=np.float64) / area
            result[:, :, row, column] = value
    return result


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], int, int, int]:
    """Sides, and a window, stride and padding that Caffe takes."""
    size = draw(st.integers(1, 5))
    pad = draw(st.integers(0, size - 1))
    # beyond the window, Caffe's last one may lie outside the picture and is empty
    stride = draw(st.integers(1, size))
    least = max(1, size - 2 * pad)
    return (draw(st.integers(least, 11)), draw(st.integers(least, 11))), size, stride, pad


@given(windows(), st.booleans())
def test_pooling(given_: tuple[tuple[int, int], int, int, int], largest: bool) -> None:
    sides, size, stride, pad = given_
    maps = noise(2, 2, *sides)
    method = "MAX" if largest else "AVE"
    settings = f"pool: {method} kernel_size: {size} stride: {stride} pad: {pad}"
    text = layer("p", "Pooling", "data", f"pooling_param {{ {settings} }}")
    with tempfile.TemporaryDirectory() as folder:
        outputs = answers(text, maps, Path(folder))
    assert close(outputs, rows(pooled(maps, size, stride, pad, largest)))


def test_pooling_over_everything(tmp_path: Path) -> None:
    maps = noise(2, 3, 4, 5)
    for method, expected in (("MAX", maps.max((2, 3))), ("AVE", maps.mean((2, 3)))):
        settings = f"pooling_param {{ pool: {method} global_pooling: true }}"
        assert close(answers(layer("p", "Pooling", "data", settings), maps, tmp_path), expected)


# --- normalisation ---


@pytest.mark.parametrize(("channels", "size"), [(7, 5), (2, 5), (6, 3), (4, 1)])
def test_response_norm_across_channels(channels: int, size: int, tmp_path: Path) -> None:
    maps = noise(2, channels, 3, 4) * 5
    settings = f"lrn_param {{ local_size: {size} alpha: 0.3 beta: 0.6 k: 2 }}"
    expected = np.zeros(maps.shape)
    for channel in range(channels):
        near = maps[:, max(0, channel - size // 2) : channel + size // 2 + 1]
        scale = 2 + 0.3 / size * (near.astype(np.float64) ** 2).sum(1)
        expected[:, channel] = maps[:, channel] / scale**0.6
    assert close(answers(layer("n", "LRN", "data", settings), maps, tmp_path), rows(expected))


def test_response_norm_within_a_channel(tmp_path: Path) -> None:
    maps = noise(2, 3, 5, 6) * 5
    settings = "lrn_param { local_size: 3 alpha: 0.3 beta: 0.6 norm_region: WITHIN_CHANNEL }"
    around = np.pad(maps.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1))) ** 2
    expected = np.zeros(maps.shape)
    for row in range(5):
        for column in range(6):
            near = around[:, :, row : row + 3, column : column + 3].sum((2, 3))
            expected[:, :, row, column] = maps[:, :, row, column] / (1 + 0.3 / 9 * near) ** 0.6
    assert close(answers(layer("n", "LRN", "data", settings), maps, tmp_path), rows(expected))


@pytest.mark.parametrize("total", [999.5, 1.0, 0.0])
def test_batch_norm_with_scale(total: float, tmp_path: Path) -> None:
    maps, mean, spread = noise(2, 4, 3, 3), noise(4, seed=1), np.abs(noise(4, seed=2))
    weight, bias = noise(4, seed=3), noise(4, seed=4)
    text = layer("bn", "BatchNorm", "data", "batch_norm_param { eps: 0.001 }")
    text += layer("scale", "Scale", "bn", "scale_param { bias_term: true }")
    entries = [mean * total, spread * total, np.array([total], np.float32)]
    outputs = answers(text, maps, tmp_path, {"bn": entries, "scale": [weight, bias]})
    mean, spread = (mean, spread) if total else (mean * 0, spread * 0)
    each = (slice(None), slice(None), None, None)
    normed = (maps - mean[None][each]) / np.sqrt(spread[None][each] + 0.001)
    assert close(outputs, rows(normed * weight[None][each] + bias[None][each]))


def test_batch_norm_learns_while_training(tmp_path: Path) -> None:
    text = pictures() + layer("bn", "BatchNorm", "data") + layer("all", "Flatten", "bn")
    model = network(text, (3, 4, 4), tmp_path)
    maps = torch.from_numpy(noise(8, 3, 4, 4) * 3 + 1)
    before = model(maps)
    trained = model.train()(maps).reshape(8, 3, -1)
    assert trained.mean((0, 2)).abs().max() < 1e-5
    assert not torch.equal(model.eval()(maps), before)


# --- the rest ---


def test_activations(tmp_path: Path) -> None:
    maps, slopes = noise(2, 3, 4, 4), np.array([0.1, 0.2, 0.3], np.float32)
    below = np.minimum(maps, 0)
    above = np.maximum(maps, 0)
    for kind, settings, expected in (
        ("ReLU", "", above),
        ("ReLU", "relu_param { negative_slope: 0.1 }", above + 0.1 * below),
        ("Sigmoid", "", 1 / (1 + np.exp(-maps))),
        ("TanH", "", np.tanh(maps)),
        ("ELU", "elu_param { alpha: 0.5 }", above + 0.5 * np.expm1(below)),
        ("Power", "power_param { power: 3 scale: 2 shift: 1 }", (1 + 2 * maps) ** 3),
        ("Power", "power_param { scale: -2 }", -2 * maps),
        ("Dropout", "", maps),
        ("PReLU", "", above + 0.25 * below),
    ):
        assert close(answers(layer("a", kind, "data", settings), maps, tmp_path), rows(expected))
    expected = above + slopes[:, None, None] * below
    text = layer("a", "PReLU", "data")
    assert close(answers(text, maps, tmp_path, {"a": [slopes]}), rows(expected))
    shared = layer("a", "PReLU", "data", "prelu_param { channel_shared: true }")
    outputs = answers(shared, maps, tmp_path, {"a": [np.array(0.5)]})
    assert close(outputs, rows(above + 0.5 * below))


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    maps = noise(2, 4, 3, 3)
    two = layer("s", "Slice", "data", "slice_param { slice_point: 1 }", top="a b")
    assert close(
        answers(two + layer("c", "Concat", "b a"), maps, tmp_path), rows(np.roll(maps, -1, 1))
    )
    halves = layer("s", "Slice", "data", top="a b")
    a, b = maps[:, :2], maps[:, 2:]
    for settings, expected in (
        ("", a + b),
        ("eltwise_param { operation: SUM coeff: 1 coeff: -2 }", a - 2 * b),
        ("eltwise_param { operation: PROD }", a * b),
        ("eltwise_param { operation: MAX }", np.maximum(a, b)),
    ):
        text = halves + layer("e", "Eltwise", "a b", settings)
        assert close(answers(text, maps, tmp_path), rows(expected))
    rowwise = layer("c", "Concat", "a b", "concat_param { axis: 2 }")
    assert close(answers(halves + rowwise, maps, tmp_path), rows(np.concatenate([a, b], 2)))


def test_split_and_layers_in_place_keep_their_order(tmp_path: Path) -> None:
    maps = noise(2, 3, 2, 2)
    text = layer("double", "Power", "data", "power_param { scale: 2 }")
    text += layer("early", "Power", "double", "power_param { shift: 1 }")
    text += layer("r", "ReLU", "double", top="double")
    text += layer("split", "Split", "double", top="one two")
    text += layer("e", "Eltwise", "early one two")
    expected = 2 * maps + 1 + 2 * np.maximum(2 * maps, 0)
    assert close(answers(text, maps, tmp_path), rows(expected))


def test_scale_and_bias_along_any_axes(tmp_path: Path) -> None:
    maps, weight = noise(2, 3, 4, 5), noise(4, 5, seed=1)
    scaled = layer("s", "Scale", "data", "scale_param { axis: 2 num_axes: -1 }")
    assert close(answers(scaled, maps, tmp_path, {"s": [weight]}), rows(maps * weight))
    text = layer("b", "Bias", "data")
    expected = maps + weight[:3, 0, None, None]
    assert close(answers(text, maps, tmp_path, {"b": [weight[:3, 0]]}), rows(expected))
    squeeze = layer("p", "Pooling", "data", "pooling_param { pool: AVE global_pooling: true }")
    squeeze += layer("f", "Flatten", "p") + layer("s", "Scale", "data f", "scale_param { axis: 0 }")
    assert close(answers(squeeze, maps, tmp_path), rows(maps * maps.mean((2, 3), keepdims=True)))


def test_shapes_change_within_items(tmp_path: Path) -> None:
    maps = noise(2, 3, 4, 5)
    for shape in ("dim: 0 dim: 12 dim: 5", "dim: 0 dim: -1 dim: 0 dim: 5", "dim: 10 dim: 60"):
        text = layer("r", "Reshape", "data", f"reshape_param {{ shape {{ {shape} }} }}")
        assert close(answers(text, maps, tmp_path), rows(maps))
    merged = layer("f", "Flatten", "data", "flatten_param { axis: 2 }")
    merged += layer("s", "Softmax", "f", "softmax_param { axis: -1 }") + layer("x", "Power", "s")
    exps = np.exp(maps.reshape(2, 3, 20))
    assert close(answers(merged, maps, tmp_path), rows(exps / exps.sum(2, keepdims=True)))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("ROIPooling", "", "'x' of type 'ROIPooling', which is not supported"),
        ("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }", "stochastic pooling"),
        ("Pooling", "pooling_param { kernel_size: 2 pad: 2 }", "padding is as large as its window"),
        ("Pooling", "", "how large its window is"),
        ("Pooling", "pooling_param { kernel_size: 9 }", "'x' of type 'Pooling' that can't be"),
        ("Convolution", "convolution_param { num_output: 4 kernel_size: 7 }", "that can't be"),
        ("Convolution", "convolution_param { num_output: 4 kernel_size: 1 group: 2 }", "divisible"),
        ("Convolution", "convolution_param { num_output: 4 kernel_size: [1, 1, 1] }", "dimensions"),
        ("LRN", "lrn_param { local_size: 4 }", "local_size of 4 is even"),
        ("Reshape", "reshape_param { shape { dim: 0 dim: 7 } }", "can't give an item of 48"),
        ("Slice", "slice_param { slice_point: 5 }", "can't cut 3 into 1 parts"),
        ("Eltwise", "eltwise_param { coeff: 1 coeff: 2 }", "2 coefficients"),
        ("InnerProduct", "inner_product_param { num_output: 3 axis: 2 }", "its axis is 2"),
        ("Softmax", "softmax_param { axis: 0 }", "works along axis 0"),
        ("Scale", "scale_param { axis: 0 }", "along items"),
    ],
)
def test_layers_that_can_not_be_are_named(
    kind: str, settings: str, message: str, tmp_path: Path
) -> None:
    text = layer("x", kind, "data", settings)
    with pytest.raises(HeadstartError, match=message) as raised:
        answers(text, noise(1, 3, 4, 4), tmp_path)
    assert "'x'" in str(raised.value)
