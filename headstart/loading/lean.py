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
_TRACER: Final = "torch._dynamo"


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


@contextmanager
def eager() -> Iterator[None]:
    """Let torch's optimisers do without the compiler, which they only ask to leave them alone.

    To import it takes as long as a small training. It is for calls of an optimiser, no more: what
    imports parts of the compiler meanwhile would have them twice.
    """
    if _TRACER in sys.modules:
        yield
        return
    stand_in = sys.modules[_TRACER] = _NothingTraced(_TRACER)
    try:
        yield
    finally:
        if sys.modules.get(_TRACER) is stand_in:
            del sys.modules[_TRACER]


@final
class _NothingTraced(ModuleType):
    """What the compiler answers optimisers where nothing has been compiled."""

    @staticmethod
    def graph_break() -> None:
        """End a graph: there is none."""

    @staticmethod
    def disable(function: Any, recursive: bool = True, wrapping: bool = True) -> Any:
        """The function, which the compiler itself leaves alone once it is there."""
        disabled: list[Any] = []

        def call(*args: Any, **keywords: Any) -> Any:
            compiler = sys.modules.get(_TRACER)
            if compiler is None or isinstance(compiler, _NothingTraced):
                return function(*args, **keywords)
            if not disabled:
                disabled.append(compiler.disable(function, recursive, wrapping=wrapping))
            return disabled[0](*args, **keywords)

        return call


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
