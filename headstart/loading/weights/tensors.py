"""Tensors by name: copied into a network, hashed, and written whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.loading import arrays
from headstart.loading.refusals import misfit

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor, nn

State = dict[str, "Tensor"]
COUNTER = "num_batches_tracked"  # of batch normalisation, which older files lack
_SHOWN = 3


def load_into(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Copy `state` into a network that must want exactly these names and shapes.

    Counts of batches may be missing: nothing is computed with them. `what` names the file in the
    message. Raises WeightsError saying which tensors miss, are left over, or differ in shape or
    kind; the network is then unchanged.
    """
    own = network.state_dict()
    state = {name: tensor for name, tensor in own.items() if name.endswith(COUNTER)} | dict(state)
    missing = [f"{_label(name)} {shape(own[name])}" for name in own if name not in state]
    unknown = [f"{_label(name)} {shape(state[name])}" for name in state if name not in own]
    differing = [
        f"{name} ({shape(state[name])} in the file, {shape(own[name])} in the network)"
        for name in own
        if name in state and own[name].shape != state[name].shape
    ]
    whole = [
        f"{name} ({state[name].dtype} in the file)".replace("torch.", "")
        for name in own
        if name in state and own[name].is_floating_point() and not state[name].is_floating_point()
    ]
    faults = [
        _some(differing, "differ in shape"),
        _some(whole, "not real numbers"),
        _some(missing, "missing"),
        _some(unknown, "left over"),
    ]
    if any(faults):
        raise misfit(what, "; ".join(filter(None, faults)))
    network.load_state_dict(state)


def digest(state: Mapping[str, Tensor]) -> str:
    """The hash "sha256:…" of names, types, shapes and bytes, whatever file they came in."""
    import torch

    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        flat = tensor.as_strided((tensor.numel(),), (1,))  # a single number may have any stride
        total.update(flat.view(torch.uint8).numpy().data)
    return f"sha256:{total.hexdigest()}"


def save(state: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors: the file appears whole, or the old one stays.

    Raises WeightsError where the disk is full or the folder can't be written.
    """
    from safetensors.torch import save_file

    with arrays.whole(Path(path)) as beside:
        save_file(_separate(state), beside, metadata=dict(metadata))


def _label(name: str) -> str:
    """A tensor's name, fit for a message whatever is in it."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:80])


def _some(entries: list[str], fault: str) -> str:
    if not entries:
        return ""
    rest = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return f"{len(entries)} {fault}: {', '.join(entries[:_SHOWN])}{rest}"


def shape(tensor: Tensor) -> str:
    """The sides of a tensor, as messages show them."""
    return "×".join(map(str, tensor.shape)) or "scalar"


def _separate(state: Mapping[str, Tensor]) -> State:
    """Contiguous tensors of which no two share memory, as the format demands."""
    addresses: set[int] = set()
    result = {}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in addresses or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        addresses.add(tensor.untyped_storage().data_ptr())
        result[name] = tensor
    return result
