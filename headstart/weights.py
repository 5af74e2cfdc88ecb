"""Weight files: read without running code, checked, hashed, and written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from headstart.errors import WeightsError

State = dict[str, Tensor]
TORCH_SUFFIXES = frozenset({".pth", ".pt", ".th", ".bin"})
_WRAPPERS = ("state_dict", "model", "model_state")
_SHOWN = 3


@dataclass(frozen=True)
class Weights:
    """Tensors by name, and what the file's header says of them."""

    state: State
    metadata: dict[str, str] = field(default_factory=dict)


def read(path: str | Path) -> Weights:
    """Read a .safetensors file or a .pth/.pt/.th/.bin state dict, on the CPU.

    A state dict under "state_dict", "model" or "model_state" is unwrapped, and a "module." prefix
    is dropped. Nothing in the file is executed: a pickle that wants more than tensors is refused.
    Raises WeightsError where the file is missing, damaged, unsafe or not a weights file.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} is not a file. Give a .safetensors or .pth file of weights.")
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    if path.suffix.lower() in TORCH_SUFFIXES:
        return Weights(_unwrap(_read_torch(path), path))
    known = ", ".join([".safetensors", *sorted(TORCH_SUFFIXES)])
    raise WeightsError(f"{path} is not a weights file. Give one of {known}.")


def header(path: str | Path) -> dict[str, str]:
    """What the header of a .safetensors file says besides its tensors; nothing of another file."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return {}


def load_into(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Copy `state` into a network that must want exactly these names and shapes.

    `what` names the file in the message. Raises WeightsError saying which tensors miss, are left
    over, or differ in shape; the network is then unchanged.
    """
    own = network.state_dict()
    missing = [f"{name} {_shape(own[name])}" for name in own if name not in state]
    left = [f"{name} {_shape(state[name])}" for name in state if name not in own]
    differing = [
        f"{name} ({_shape(state[name])} in the file, {_shape(own[name])} in the network)"
        for name in own
        if name in state and own[name].shape != state[name].shape
    ]
    faults = [
        _some(differing, "differ in shape"),
        _some(missing, "missing"),
        _some(left, "left over"),
    ]
    if any(faults):
        raise WeightsError(
            f"{what} does not fit the network: {'; '.join(filter(None, faults))}. "
            "Give the weights of this architecture."
        )
    network.load_state_dict(dict(state))


def digest(state: Mapping[str, Tensor]) -> str:
    """The hash "sha256:…" of names, types, shapes and bytes, whatever file they came in."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{total.hexdigest()}"


def save(state: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors: the file appears whole, or the old one stays.

    Raises WeightsError where the disk is full or the folder can't be written.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(_separate(state), beside, metadata=dict(metadata))
        os.chmod(beside, 0o666 & ~_umask())  # the library writes for the owner's eyes alone
        _flush(beside)
        os.replace(beside, path)
        _flush(path.parent)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} can't be written: {error}. Check the folder and its disk."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _read_safetensors(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            return Weights(
                {name: file.get_tensor(name) for name in file.keys()},
                dict(file.metadata() or {}),
            )
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a whole safetensors file ({error}). Copy or download it again."
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "global" in str(error).lower():
            raise WeightsError(
                f"{path} wants to run code when opened, so it was not opened. "
                "Give a plain state dict, best as .safetensors."
            ) from None
        raise _damaged(path) from None
    except Exception:  # damaged archives raise nearly anything
        raise _damaged(path) from None


def _damaged(path: Path) -> WeightsError:
    return WeightsError(f"{path} can't be read as a state dict. Copy or download it again.")


def _unwrap(content: Any, path: Path) -> State:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    items = content.items() if isinstance(content, Mapping) else ()
    state = {str(name): value for name, value in items if isinstance(value, Tensor)}
    if not state:
        raise WeightsError(f"{path} holds no tensors by name. Give a saved state dict.")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state


def _some(entries: list[str], fault: str) -> str:
    if not entries:
        return ""
    rest = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return f"{len(entries)} {fault}: {', '.join(entries[:_SHOWN])}{rest}"


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"


def _separate(state: Mapping[str, Tensor]) -> State:
    """Contiguous tensors of which no two share memory, as the format demands."""
    seen: set[int] = set()
    result = {}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
        result[name] = tensor
    return result


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
