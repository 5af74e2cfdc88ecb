"""Libraries imported without what they only may need later."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, wraps
from importlib import import_module
from types import ModuleType
from typing import Any, Final, final

_COMPILER: Final = "torch._dynamo.utils"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let what is imported meanwhile do without torch's compiler until it is used.

    torchvision imports it for a question that is asked in one operation, and timm to keep one
    function from it; that takes longer than to import both.
    """
    import torch

    if _COMPILER in sys.modules:
        yield
        return
    stand_in, disable = _StandIn(_COMPILER), torch.compiler.disable
    sys.modules[_COMPILER], torch.compiler.disable = stand_in, _disable
    try:
        yield
    finally:
        torch.compiler.disable = disable
        if sys.modules.get(_COMPILER) is stand_in:
            del sys.modules[_COMPILER]


def _disable(function: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """What `torch.compiler.disable` answers, without the compiler until the function is called."""
    if function is None:
        return partial(_disable, recursive=recursive, reason=reason)
    disabled: list[Any] = []

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        if not disabled:
            import torch

            disable: Any = torch.compiler.disable  # which has no types
            disabled.append(disable(function, recursive, reason=reason))
        return disabled[0](*args, **keywords)

    return call


@final
class _StandIn(ModuleType):
    """Asks the module itself, once something of it is used."""

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        """Whether torch can compile for a kind of device."""
        return bool(import_module(_COMPILER).is_compile_supported(device_type))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(_COMPILER) is self:
            del sys.modules[_COMPILER]
        return getattr(import_module(_COMPILER), name)
