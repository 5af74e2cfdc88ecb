"""Where in a checkpoint the network is, and its names without what trainers put in front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headstart.errors import WeightsError
from headstart.loading.weights.tensors import State

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor

AVERAGED: Final = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "params_ema"),
    *("ema_model", "ema_model_state_dict", "ema", "swa_model", "swa_state_dict", "teacher"),
)
_RAW: Final = (
    *("state_dict", "model_state_dict", "model", "model_state", "net", "network", "weights"),
    *("params", "module", "student"),
)
_NO_NETWORK: Final = ("opt", "sched", "scal", "loss", "crit", "amp", "rng", "callback", "loop")
_WRAPPERS: Final = frozenset(  # modules that torch puts around others, in any place of a name
    {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
)
_PARALLEL: Final = "module."
_AVERAGES: Final = "n_averaged"  # what AveragedModel counts
_COUNTED: Final = ("total_ops", "total_params")  # what profilers leave behind
_DEEPEST: Final = 6
_MOST: Final = 200  # mappings looked at for a network


def unwrap(content: Any, path: Path, averaged: bool = True) -> tuple[State, tuple[str, ...]]:
    """The network's tensors in what a file holds, and what is worth saying of them.

    Of averaged weights beside raw ones the `averaged` are taken, or the raw ones. Raises
    WeightsError where there is no network, or no telling which.
    """
    from torch import Tensor

    keys: list[str] = []
    raw = False  # whether raw weights stood beside those that were taken
    while isinstance(content, Mapping) and len(keys) < _DEEPEST:
        within = dict.fromkeys(_within(content, averaged))
        if not within:
            break
        key = next(iter(within))
        raw |= key in AVERAGED and any(other in _RAW for other in within)
        keys.append(key)
        content = content[key]
    averages = [key for key in keys if key in AVERAGED]
    if averages and not averaged:
        raise WeightsError(
            f"{path} holds averaged weights alone ({averages[0]}), no raw ones. Leave out "
            "ema=false."
        )
    items = content.items() if isinstance(content, Mapping) else ()
    state = _cleaned({n: t for n, t in items if isinstance(n, str) and isinstance(t, Tensor)})
    if all(tensor.dim() == 0 for tensor in state.values()):  # a score and the like, if anything
        several = _several(content)
        if len(several) > 1:
            raise WeightsError(
                f"{path} holds several networks: {', '.join(several[:5])}. Save the one that you "
                f"mean alone: torch.save(checkpoint[{several[0]!r}], 'weights.pth')."
            )
        if several:
            return unwrap(content[several[0]], path, averaged)
        raise WeightsError(f"{path} holds no tensors by name. Give a saved state dict.")
    return state, (note(path, averages[0]),) if averages and raw else ()


def note(path: object, name: str) -> str:
    """What to say where averaged weights were taken."""
    return f"{path} holds averaged weights ({name}), which are used; ema=false takes the raw ones."


def _within(content: Mapping[Any, Any], averaged: bool) -> Iterator[str]:
    """The keys that hold a network, the one to take first."""
    for key in (*AVERAGED, *_RAW) if averaged else (*_RAW, *AVERAGED):
        if _holds(content.get(key)):
            yield key


def _is_new(content: Any, visited: set[int]) -> bool:
    """Whether it is a mapping not `visited` before: a stranger's may hold one another."""
    if not isinstance(content, Mapping) or id(content) in visited or len(visited) >= _MOST:
        return False
    visited.add(id(content))
    return True


def _holds(content: Any, visited: set[int] | None = None) -> bool:
    """Whether there are tensors by name in a mapping, or in one that it holds as a network."""
    from torch import Tensor

    visited = set() if visited is None else visited
    if not _is_new(content, visited):
        return False
    if any(isinstance(n, str) and isinstance(t, Tensor) and t.dim() for n, t in content.items()):
        return True
    return any(_holds(content.get(key), visited) for key in (*AVERAGED, *_RAW))


def _several(content: Any, visited: set[int] | None = None) -> list[str]:
    """What a checkpoint calls its networks, or what holds them, where no usual name is among it."""
    visited = set() if visited is None else visited
    if not _is_new(content, visited):
        return []
    return [
        key[:80]
        for key, value in content.items()
        if isinstance(key, str)
        and not any(word in key.lower() for word in _NO_NETWORK)
        and isinstance(value, Mapping)
        and (_holds(value) or _several(value, visited))
    ]


def _cleaned(state: Mapping[str, Tensor]) -> State:
    """Names without the wrappers of parallel training, compiling and averaging."""
    cleaned = {
        ".".join(part for part in name.split(".") if part not in _WRAPPERS): tensor
        for name, tensor in state.items()
        if name.rpartition(".")[2] not in _COUNTED
    }
    while cleaned and all(n.startswith(_PARALLEL) or n == _AVERAGES for n in cleaned):
        if set(cleaned) == {_AVERAGES}:
            break
        cleaned = {n.removeprefix(_PARALLEL): t for n, t in cleaned.items() if n != _AVERAGES}
    return cleaned
