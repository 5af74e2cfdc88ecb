"""Tiny random encoders of pictures saved by transformers, with an image processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

_VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 32,
    "patch_size": 8,
}
_SWIN = {
    "embed_dim": 8,
    "depths": [1, 2],
    "num_heads": [2, 2],
    "window_size": 4,
    "image_size": 32,
    "patch_size": 2,
}
_STAGES = {"hidden_sizes": [8, 16], "depths": [1, 2]}
_CNN = {**_STAGES, "embedding_size": 8}
_TOWER = {**_VIT, "projection_dim": 12}
_TEXT = {
    **{name: _VIT[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")},
    "intermediate_size": 24,
    "vocab_size": 40,
    "max_position_embeddings": 16,
}
KINDS: dict[str, dict[str, Any]] = {  # by model type, with a word after it for another shape of it
    "clip": {"vision_config": _TOWER, "text_config": _TEXT, "projection_dim": 12},
    "clip_vision_model": _TOWER,
    "convnext": {**_STAGES, "num_stages": 2},
    "convnextv2": {**_STAGES, "num_stages": 2},
    "deit": _VIT,
    "dinov2": {**_VIT, "mlp_ratio": 2},
    "dinov2 larger": {**_VIT, "mlp_ratio": 2, "image_size": 56, "use_swiglu_ffn": True},
    "dinov2_with_registers": {**_VIT, "mlp_ratio": 2, "num_register_tokens": 3},
    "regnet": {**_CNN, "groups_width": 8},
    "resnet": _CNN,
    "resnet bottleneck": {**_CNN, "layer_type": "bottleneck", "downsample_in_first_stage": True},
    "siglip": {"vision_config": _VIT, "text_config": _TEXT},
    "siglip_vision_model": _VIT,
    "swin": _SWIN,
    "swin small windows": {**_SWIN, "depths": [2, 2], "window_size": 3, "image_size": 30},
    "swinv2": _SWIN,
    "vit": _VIT,
}
PROCESSOR = {  # a size, a crop and levels that no default has
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 40},
    "crop_size": {"height": 32, "width": 32},
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.3, 0.4],
}


def side(kind: str) -> int:
    """The side of the pictures that a kind takes, in pixels."""
    return 30 if kind == "swin small windows" else 32


def network(kind: str, classifier: bool = False, labels: int = 3) -> Any:
    """transformers' own network in eval mode, every tensor of it random."""
    from transformers import CONFIG_MAPPING, AutoModel, AutoModelForImageClassification

    config = CONFIG_MAPPING[kind.split()[0]](**{**KINDS[kind], "num_labels": labels})
    make: Any = AutoModelForImageClassification if classifier else AutoModel
    if kind == "deit":  # transformers 5.23 fails on several classes where none is named
        config.architectures = ["DeiTForImageClassification" if classifier else "DeiTModel"]
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(1)
        model = make.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
            for name, buffer in model.named_buffers():
                if name.endswith("running_var"):
                    buffer.uniform_(0.5, 2)
                elif name.endswith("running_mean"):
                    buffer.normal_()
    return model.eval()


def save_pictures(folder: Path, network: Any, processor: dict[str, Any] | None = None) -> Path:
    """Write a network as its library does, and a processor for its pictures beside it."""
    import json

    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call] # the library has no types
    network.save_pretrained(folder)
    settings = {**PROCESSOR, **(processor or {})}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def pictures(kind: str = "vit", items: int = 3) -> torch.Tensor:
    """A batch of random pictures."""
    generator = torch.Generator().manual_seed(items)
    return torch.randn(items, 3, side(kind), side(kind), generator=generator)
