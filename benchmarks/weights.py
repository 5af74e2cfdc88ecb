"""A weights file for networks of which none are at hand: random, from a seed, for speed alone."""

from __future__ import annotations

from pathlib import Path


def random_weights(place: Path, network: str = "resnet50") -> Path:
    """Write timm's network with weights from seed 0, unless the file is there already."""
    if not place.exists():
        import timm
        import torch
        from safetensors.torch import save_file

        torch.manual_seed(0)
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_suffix(".part")
        save_file(timm.create_model(network, pretrained=False).state_dict(), draft)
        draft.replace(place)
    return place
