"""The network, its weights and its photos, as torch peers use them: timm, torchvision, ImageFolder.

Every peer gets the same pixels: the shorter side resized to `side` by bicubic interpolation, the
centre cut out at 224 px, and values normalised as the weights want. Full fine-tuning sees a random
part of half to all of the area, mirrored half of the time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
from contract import BATCH
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

SIZE = 224
WORKERS = min(8, os.cpu_count() or 1)  # torch warns above the number of cores


@dataclass(frozen=True)
class Recipe:
    """What one backbone needs: its classes, its construction, its pixels, its last stage."""

    classes: int
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    last_stage: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


RECIPES = {
    "mobilenetv2_100": Recipe(
        1001,
        256,
        (0.5, 0.5, 0.5),
        (0.5, 0.5, 0.5),
        ("blocks.6", "conv_head", "bn2"),
        {"pad_type": "same"},
    ),
    "resnet50": Recipe(1000, 235, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), ("layer4",)),
}


def state(weights: Path) -> dict[str, Tensor]:
    """The tensors of a weights file."""
    tensors: dict[str, Tensor] = load_file(weights)
    return tensors


def network(backbone: str, weights: Path, classes: int) -> nn.Module:
    """timm's network with its pretrained weights; a new head where `classes` is above 0."""
    recipe = RECIPES[backbone]
    model = timm.create_model(backbone, num_classes=recipe.classes, **recipe.options)
    model.load_state_dict(state(weights))
    model.reset_classifier(classes)
    return model


def trained(model: nn.Module, backbone: str, work: str) -> list[nn.Module]:
    """Free what this work trains and freeze the rest; answers with the modules that train."""
    if work == "full":
        return [model]
    model.requires_grad_(False)
    stages = RECIPES[backbone].last_stage if work == "last-stage" else ()
    modules = [model.get_submodule(name) for name in stages]
    modules.append(model.get_classifier())
    for module in modules:
        module.requires_grad_(True)
    return modules


def view(backbone: str, augmented: bool) -> transforms.Compose:
    """The transform of one photo."""
    recipe, how = RECIPES[backbone], transforms.InterpolationMode.BICUBIC
    chosen = (
        [
            transforms.RandomResizedCrop(SIZE, scale=(0.5, 1.0), interpolation=how),
            transforms.RandomHorizontalFlip(),
        ]
        if augmented
        else [transforms.Resize(recipe.side, interpolation=how), transforms.CenterCrop(SIZE)]
    )
    return transforms.Compose(
        [*chosen, transforms.ToTensor(), transforms.Normalize(recipe.mean, recipe.std)]
    )


def photos(folder: Path, backbone: str, work: str) -> datasets.ImageFolder:
    """One split as an ImageFolder; its training part is augmented for full fine-tuning alone."""
    return datasets.ImageFolder(folder, view(backbone, work == "full" and folder.name == "train"))


def loader(dataset: Any, shuffle: bool, collate: Any = None) -> DataLoader[Any]:
    """A DataLoader with one worker a core."""
    return DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=shuffle,
        num_workers=WORKERS,
        persistent_workers=shuffle,  # the training one is read once an epoch, the others once
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
    )
