"""What is asked of every network for texts, and batches of texts to ask it with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.features.engine.openvino import OpenVinoEngine
from headstart.loading.weights import save

Inputs = Mapping[str, Tensor]


def batch(backbone: Backbone, texts: Sequence[str]) -> Inputs:
    """Texts as the backbone's own tokenizer cuts them."""
    modality = catalog.modality("text").fitted(backbone)
    items = [modality.decode(text.encode(), backbone.preprocess) for text in texts]
    result: Inputs = modality.collate(items, backbone.preprocess)
    return result


def random_batch(lengths: Sequence[int], tokens: int, more: int = 0, seed: int = 0) -> Inputs:
    """Texts of so many random tokens each, with some more padding than they need."""
    width = max(lengths) + more
    draw = np.random.default_rng(seed)
    ids = np.zeros((len(lengths), width), dtype=np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = draw.integers(tokens, size=length)
    mask = np.arange(width) < np.array(lengths)[:, None]
    return {"input_ids": torch.from_numpy(ids), "mask": torch.from_numpy(mask.astype(np.int64))}


def features(backbone: Backbone, inputs: Inputs) -> Tensor:
    """Pooled features in evaluation mode."""
    with torch.inference_mode():
        result: Tensor = Model.of(backbone, nn.Identity()).eval()(inputs)
    return result


def errors_when_converted(backbone: Backbone, tokens: int) -> list[float]:
    """How far every front of the network is off in OpenVINO, on batches of two shapes."""
    results = []
    stages = list(backbone.prefix())
    for stop in range(1, len(stages) + 1):
        front = nn.Sequential(*stages[:stop]).eval()
        engine = OpenVinoEngine(front, random_batch([3, 5], tokens), "fp32", None)
        for lengths in ([3, 5], [1, 9, 4]):
            inputs = random_batch(lengths, tokens, seed=1)
            with torch.no_grad():
                answer = front(inputs)
            expected = answer if isinstance(answer, Tensor) else answer["hidden"]
            results.append(float(np.abs(engine.run(inputs) - expected.numpy()).max()))
    return results


def saved(folder: Path, backbone: Backbone, own_files: bool = True) -> Path:
    """A folder as Headstart leaves it, under a head of three labels.

    With its own files the folder is all that the backbone is made from.
    """
    folder.mkdir()
    head = nn.Linear(backbone.feature_dim, 3).state_dict()
    tensors = Model.of(backbone, nn.Identity()).backbone_state()
    tensors |= {f"{backbone.head_name}.{name}": tensor for name, tensor in head.items()}
    save(tensors, folder / "model.safetensors", {})
    for name, content in backbone.files.items():
        (folder / name).write_bytes(content)
    architecture = backbone.architecture
    if own_files:
        architecture = replace(architecture, name=".")
    record = {"format": 1, "architecture": str(architecture), "modality": backbone.modality}
    (folder / "headstart.json").write_text(json.dumps(record))
    return folder
