"""Networks made without values: on torch's device meta, where nothing is drawn either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_DRAWS: Final = ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_")


@contextmanager
def without_values() -> Iterator[None]:
    """Make the tensors of what is built meanwhile without memory for their values."""
    with torch.device("meta"), _Undrawn():
        yield


@final
class _Undrawn(TorchFunctionMode):
    """Draws nothing where there is no place for it: torch would import its compiler for that."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What a function of torch answers."""
        keywords = kwargs or {}
        tensor = args[0] if args else keywords.get("tensor")
        is_draw = getattr(func, "__name__", "") in _DRAWS
        if is_draw and isinstance(tensor, Tensor) and tensor.is_meta:
            return tensor
        return func(*args, **keywords)
