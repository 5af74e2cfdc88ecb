"""Narrow strided pointwise convolutions are trained by way of ones without a stride."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import write_pictures
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

import headstart as hs
from headstart.features.engine import converting
from headstart.features.engine.converting import as_graph
from headstart.training.convolutions import SoundGradients


class NoNarrowStride(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch has no types
    """Refuses the convolutions whose weight gradients are unsound, before they are computed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.convolutions = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.aten.convolution.default and torch.is_grad_enabled():
            inputs, weight, _, stride = args[:4]
            pointwise = tuple(weight.shape[2:]) == (1, 1)
            assert not (pointwise and max(stride) > 1 and inputs.shape[1] % 16), inputs.shape
            self.convolutions += 1
        return func(*args, **(kwargs or {}))


def by_definition(inputs: Tensor, weight: Tensor, stride: Sequence[int]) -> Tensor:
    """A pointwise convolution as one product over channels, (N, C, H, W) -> (N, D, H', W')."""
    picked = inputs[:, :, :: stride[0], :: stride[1]]
    return torch.einsum("nchw,dc->ndhw", picked, weight[:, :, 0, 0])


@given(
    channels=st.integers(1, 33),
    width=st.integers(1, 9),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    last=st.booleans(),
)
def test_it_computes_the_same(
    channels: int, width: int, size: tuple[int, int], stride: tuple[int, int], last: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    layout = torch.channels_last if last else torch.contiguous_format
    inputs = torch.randn(2, channels, *size, generator=generator).to(memory_format=layout)
    layer = nn.Conv2d(channels, width, 1, stride, bias=False).to(memory_format=layout)
    slopes = []
    for convolve in (layer, lambda x: by_definition(x, layer.weight, stride)):
        layer.zero_grad()
        own = inputs.clone().requires_grad_(True)
        with SoundGradients():
            outputs = convolve(own)
        (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum().backward()
        assert own.grad is not None and layer.weight.grad is not None
        slopes.append((outputs.detach(), own.grad, layer.weight.grad.clone()))
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", [0, "valid", (0, 0), 1])
@pytest.mark.parametrize("groups", [1, 2])
def test_padding_and_groups_stay(padding: Any, groups: int) -> None:
    layer = nn.Conv2d(4, 6, 1, 2, padding, groups=groups)
    inputs = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), SoundGradients():
        ours = layer(inputs)
    with torch.no_grad():
        torch.testing.assert_close(ours, layer(inputs), rtol=1e-4, atol=1e-5)


def converted(*arguments: Any) -> Any:
    """A network as a graph, which can't be traced while operations are watched."""
    with _disable_current_modes():
        return as_graph(*arguments)


@pytest.mark.parametrize("strategy", ["full-fine-tuning", "lora", "few-shot"])
def test_no_training_meets_them(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "as_graph", converted)
    data = write_pictures(tmp_path / "data", {"a": 12, "b": 12})
    settings = hs.Settings(epochs=1, evidence="none")
    with NoNarrowStride() as watch:
        hs.fit(
            data, "seeded:residual?width=4", tmp_path / "out", strategy=strategy, settings=settings
        )
    assert watch.convolutions > 0
    assert np.isfinite(hs.load(tmp_path / "out").predict([data])[0].probability or 0.0)
