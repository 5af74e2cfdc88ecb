"""What torchvision has, told without building a network or opening a connection."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import torch

from headstart.contracts import Card
from headstart.hubs.torchvision.library import models

_LICENCE: Final = "BSD-3-Clause"
DETECTED: Final = "COCO"  # what detectors are trained on
_LARGE, _SIDES = 512, (320, 300)  # px, the latter of those whose name says so
_SWAG: Final = "SWAG"  # weights of Singh et al. 2022, which have their own terms and training data
_PUBLISHED: Final = {  # families and ways of training, by the year of their paper or release
    2014: "alexnet googlenet vgg",  # AlexNet as Krizhevsky varied it for several machines
    2015: "fasterrcnn inception_v3 resnet",
    2016: "densenet resnext squeezenet ssd300 wide_resnet",
    2017: "keypointrcnn maskrcnn retinanet",
    2018: "mnasnet mobilenet_v2 shufflenet_v2",
    2019: "efficientnet fcos mobilenet_v3 ssdlite320",
    2020: "regnet vit",
    2021: "efficientnet_v2 swin IMAGENET1K_V2",
    2022: f"convnext maxvit IMAGENET1K_{_SWAG}",
}
_YEARS: Final = {word: year for year, words in _PUBLISHED.items() for word in words.split()}


def names() -> list[str]:
    """The classification networks."""
    return list(models.list_models(module=models))


def detectors() -> list[str]:
    """The detectors of objects."""
    return list(models.list_models(module=models.detection))


def entries(name: str) -> dict[str, Any]:
    """The sets of weights of a network by their name, the default one first.

    Those that torchvision says can't classify are left out: the layers below their head are empty.
    """
    kind = models.get_model_weights(name)
    ordered = sorted(kind, key=lambda entry: entry is not kind.DEFAULT)
    return {entry.name: entry for entry in ordered if not math.isnan(accuracy(entry))}


def cards(pattern: str) -> Iterator[Card]:
    """Describe what matches, by the network's name or with @ and the name of its weights."""
    for name in names():
        for place, (tag, entry) in enumerate(entries(name).items()):
            if fnmatchcase(name, pattern) or fnmatchcase(f"{name}@{tag}", pattern):
                side = entry.transforms().crop_size[0]
                yield Card(
                    reference=f"torchvision:{name}@{tag}" if place else f"torchvision:{name}",
                    modality="image",
                    parameters=entry.meta["num_params"],
                    input=f"3x{side}x{side}",
                    licence=licence(entry),
                    trained_on=trained_on(entry),
                    at_hand=stored(entry.url).is_file(),
                    accuracy=accuracy(entry),
                    year=year(name, tag),
                    path=escape(str(stored(entry.url))),
                )
    for name in detectors():
        yield from _detector_cards(name, pattern)


def _detector_cards(name: str, pattern: str) -> Iterator[Card]:
    kind = models.get_model_weights(name)
    side = usual_size(name)
    for place, entry in enumerate(sorted(kind, key=lambda each: each is not kind.DEFAULT)):
        if fnmatchcase(name, pattern) or fnmatchcase(f"{name}@{entry.name}", pattern):
            yield Card(
                reference=f"torchvision:{name}@{entry.name}" if place else f"torchvision:{name}",
                modality="image",
                parameters=entry.meta["num_params"],
                input=f"3x{side}x{side}",
                licence=_LICENCE,
                trained_on=DETECTED,
                at_hand=stored(entry.url).is_file(),
                year=year(name, ""),
                path=escape(str(stored(entry.url))),
            )


def usual_size(name: str) -> int:
    """The side of the square, in pixels, that a detector is fed unless told otherwise."""
    return next((side for side in _SIDES if str(side) in name), _LARGE)


def accuracy(entry: Any) -> float:
    """The published share of right first answers on ImageNet-1k, in percent."""
    metrics: Mapping[str, float] = entry.meta["_metrics"]["ImageNet-1K"]
    return metrics["acc@1"]


def year(name: str, tag: str) -> int | None:
    """When the network or the way its weights were trained was published, whichever is later."""
    years = (year for word, year in _YEARS.items() if name.startswith(word) or tag.startswith(word))
    return max(years, default=None)


def licence(entry: Any) -> str:
    """The terms of the weights: torchvision's, save where they say others."""
    stated = entry.meta.get("license")
    if stated is None:
        return _LICENCE
    return "CC-BY-NC-4.0" if f"/{_SWAG}/" in stated else str(stated)


def trained_on(entry: Any) -> str:
    """The data sets, in the order of training."""
    return f"{'Instagram-3.6B, then ' if _SWAG in entry.name else ''}ImageNet-1k"


def stored(url: str) -> Path:
    """Where torch keeps the file of this address on this machine, whether it is there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
