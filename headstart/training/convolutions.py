"""Strided pointwise convolutions of few channels, computed so that their gradients are sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_BLOCK: Final = 16  # channels: floats that fill one AVX-512 register, or two of AVX2


@final
class SoundGradients(TorchFunctionMode):
    """Where this is on, such convolutions pick every n-th pixel first and then go step by step.

    The numbers are the same. oneDNN 3.13.3 (in torch 2.15.0) writes past its memory in the weight
    gradient of a 1x1 convolution without padding, with a stride, and input channels that don't
    fill its registers: fewer than 8 with AVX2, 8 with AVX-512. So this takes any number of channels
    that is no multiple of 16. It is on everywhere, so that all machines compute alike.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The function's answer."""
        if func is torch.conv2d:
            return _convolved(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _convolved(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    *others: Any,
    **keywords: Any,
) -> Tensor:
    """A convolution (N, C, H, W) -> (N, D, H', W'), its parameters named as torch names them."""
    down, right = (stride, stride) if isinstance(stride, int) else (*stride, *stride)[:2]
    pointwise = tuple(weight.shape[2:]) == (1, 1) and padding in (0, (0, 0), [0, 0], (0,), "valid")
    if pointwise and down * right > 1 and input.dim() == 4 and input.shape[1] % _BLOCK:
        input, stride = input[:, :, ::down, ::right], 1
    return torch.conv2d(input, weight, bias, stride, padding, *others, **keywords)
