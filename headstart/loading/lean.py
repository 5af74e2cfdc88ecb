"""Libraries imported without what they only may need later."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, wraps
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, final

from headstart.runtime.lazily import lazily

_COMPILER: Final = "torch._dynamo.utils"
_LATER: Final = {  # parts of the compiler, and what of each is called, and no more than called
    _COMPILER: ("is_compile_supported",),
    "torch._dynamo._trace_wrapped_higher_order_op": ("TransformGetItemToIndex",),
}
_TRACER: Final = "torch._dynamo"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let what is imported meanwhile do without torch's compiler until it is used.

    torchvision imports it for a question that is asked in one operation, timm to keep one function
    from it, and transformers to mark some; that takes longer than to import these themselves.
    """
    import torch

    if _COMPILER in sys.modules:
        yield
        return
    marks, compiler = _Marks(_TRACER), vars(torch.compiler)
    own = {"disable": _disable, "allow_in_graph": marks.allow_in_graph}
    before = {name: compiler[name] for name in own}
    compiler.update(own)
    vars(torch)["_dynamo"] = marks
    try:
        with lazily(_LATER):
            yield
    finally:
        compiler.update(before)
        if vars(torch)["_dynamo"] is marks:
            del vars(torch)["_dynamo"]


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
class _Marks(ModuleType):
    """The compiler by torch's name for it: it marks functions, and is imported for all else."""

    @staticmethod
    def assume_constant_result(function: Any) -> Any:
        """The function, marked as the compiler does."""
        function._dynamo_marked_constant = True
        return function

    @staticmethod
    def allow_in_graph(function: Any) -> Any:
        """The function, which the compiler takes as it is from when it is there."""
        if _TRACER in sys.modules:
            return sys.modules[_TRACER].allow_in_graph(function)
        if not _ALLOWED.functions:
            sys.meta_path.insert(0, _ALLOWED)
        _ALLOWED.functions.append(function)
        return function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(_TRACER), name)


@final
class _Allowed(MetaPathFinder):
    """Tells the compiler, as soon as it is imported, which functions it may take as they are."""

    def __init__(self) -> None:
        self.functions: list[Any] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Of the compiler alone, where it stands, to be told behind its import."""
        if name != _TRACER:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        loader: Any = spec.loader if spec else None

        def execute(module: ModuleType, first: Any = loader.exec_module) -> None:
            first(module)
            for function in self.functions:
                module.allow_in_graph(function)

        loader.exec_module = execute
        return spec


_ALLOWED: Final = _Allowed()
