"""The tensors of a saved model, from torch or, where no network was made, from the cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headstart.contracts import Backbone
from headstart.contracts.frozen import FrozenModel, LinearHead, Network, as_model, is_native
from headstart.features import prepared
from headstart.loading import arrays

WEIGHTS: Final = "model.safetensors"


def tensors_of(model: Network) -> tuple[Any, dict[str, Any], Mapping[str, Any]]:
    """What stores tensors, those of the backbone, and those of the head, each by name.

    Of a frozen backbone whose network isn't there they are arrays, as the cache keeps them.
    """
    if isinstance(model, FrozenModel) and isinstance(model.head, LinearHead):
        cached_weights = prepared.weights(model.backbone) if model.backbone.is_late else None
        if cached_weights is not None:
            return arrays, cached_weights, model.head.arrays()
    from headstart.loading import weights

    network = as_model(model)
    return weights, network.backbone_state(), network.head.state_dict()


def heads_prefix(model: Network, name: str) -> str:
    """What stands before the names of a head's tensors, which the backbone's library calls so."""
    return "" if is_native(model.head) else f"{name}."


def write_folders(
    folder: Path, state: Mapping[str, Any], backbone: Backbone, storing: Any = None
) -> None:
    """Write tensors once more where the backbone's own library looks for them."""
    if storing is None:
        from headstart.loading import weights as storing

    for prefix, place in backbone.folders.items():
        own = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
        (folder / place).mkdir(exist_ok=True)
        storing.save(own, folder / place / WEIGHTS, {"format": "pt"})
