"""A network's stages and pooling: found once a machine, and cut at the same places from then on.

Finding them takes several passes through the network, cutting it one trace.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

import torch
from torch import Tensor, fx, nn

from headstart.loading.stages import WHOLE, Cut, find_stages, stages_at
from headstart.loading.stages import cut_of as found_cut
from headstart.loading.stages.pooling import pooling_of, split_at, split_pool
from headstart.loading.weights import digest
from headstart.runtime import known

Parts = tuple[dict[str, nn.Module], nn.Module]
_KIND: Final = "stages"
_LIBRARIES: Final = {  # whose version says what their code does
    *("torch", "torchvision", "timm", "transformers", "headstart", "numpy"),
    *sys.stdlib_module_names,
    "builtins",
}
_PLAIN: Final = (bool, int, float, str, type(None), torch.dtype, torch.device)
_DEEPEST: Final = 6
_OWN: Final = ("_parameters", "_buffers", "_modules", "training")  # are in weights and names


def stages_and_pool(network: nn.Module, example: Tensor) -> Parts:
    """The stages of a network by name, and the pooling behind them, as `split_pool` has them.

    `example` is a batch of inputs (N, …). Where they were found before, with the same weights,
    structure, example and libraries on the same processor, they are cut there without a pass
    through the network. Networks with code of others are looked at each time.
    """
    key = _key(network, example)
    if key is None:
        return split_pool(find_stages(network, example), example)
    parts = _cut_again(network, known.recall(_KIND, key))
    if parts is not None:
        return parts
    cut = found_cut(network, example)
    if cut is None:
        return split_pool({WHOLE: network}, example)
    places, stages = cut
    place = pooling_of(stages, example)
    known.remember(_KIND, key, {**vars(places), "pooling": place})
    return split_at(stages, place)


def _cut_again(network: nn.Module, content: Mapping[str, Any] | None) -> Parts | None:
    """The parts that a record describes; None where there is none, or it doesn't fit."""
    try:
        entries = dict(content or {})
        place = entries.pop("pooling")
        unread = tuple(map(tuple, entries.pop("unread")))
        cut = Cut(unread=unread, **{name: tuple(values) for name, values in entries.items()})
        stages = stages_at(network, cut)
        return None if stages is None else split_at(stages, place)
    except Exception:  # whatever a damaged record leads to: it is made anew
        return None


def _key(network: nn.Module, example: Tensor) -> dict[str, object] | None:
    """All that the cuts depend on; None where a part of the network is another author's code."""
    try:
        structure = known.digest(list(_structure(network)))
    except _OthersCodeError:
        return None
    tensors = dict(network.named_buffers(remove_duplicate=False)) | network.state_dict()
    return {
        "structure": structure,
        "weights": digest(tensors),
        "example": digest({"example": example}),
    }


class _OthersCodeError(Exception):
    """Something in a network is of none of the libraries whose version says what it does."""


def _structure(network: nn.Module) -> Iterator[str]:
    """What each module is, by name, and how it is set."""
    for name, module in network.named_modules(remove_duplicate=False):
        own = {key: value for key, value in vars(module).items() if key not in _OWN}
        code = own.pop("_code", "") if isinstance(module, fx.GraphModule) else ""
        own.pop("_graph", None)
        yield f"{name} {_dotted_name(type(module))} {code} {_plain(own)}"


def _dotted_name(what: Any) -> str:
    module = str(what.__module__)
    if module.partition(".")[0] not in _LIBRARIES:
        raise _OthersCodeError(module)
    return f"{module}.{what.__qualname__}"


def _plain(value: Any, depth: int = 0) -> str:
    """A setting as text: the same in each process, and other where it is another."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Tensor):
        return digest({"": value})
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return _joined(f"{_plain(k, depth + 1)}: {_plain(v, depth + 1)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return _joined(_plain(each, depth + 1) for each in value)
    if isinstance(value, set | frozenset):
        return _joined(sorted(_plain(each, depth + 1) for each in value))
    if isinstance(value, partial):
        return _joined(_plain(e, depth + 1) for e in (value.func, value.args, value.keywords))
    if isinstance(value, MethodType):
        return _dotted_name(value.__func__)
    if isinstance(value, FunctionType | BuiltinFunctionType | type):
        return _dotted_name(value)
    return _dotted_name(type(value))


def _joined(parts: Iterable[str]) -> str:
    return f"({', '.join(parts)})"
