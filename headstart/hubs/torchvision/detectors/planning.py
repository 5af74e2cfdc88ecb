"""A reference to a torchvision detector, with all settled before the network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.torchvision.library import models
from headstart.hubs.torchvision.listing import DETECTED, usual_size
from headstart.hubs.torchvision.planning import fetched
from headstart.loading import refusals
from headstart.loading.preprocess import WIDEST
from headstart.loading.spec import HubOptions, LoadSpec, resolve
from headstart.loading.weights import Weights, names_file, read

_LEAST: Final = 64
_BOXES_OF: Final = ("maskrcnn", "keypointrcnn")  # which hold a Faster R-CNN
_LICENCE: Final = "BSD-3-Clause"


@final
@dataclass(frozen=True)
class DetectorOptions(HubOptions):
    """The options of a reference: `size` in pixels, of a square that pictures are fed in."""

    pretrained: bool = True
    size: int = 512
    ema: bool = True


@final
@dataclass(frozen=True)
class DetectorSpec(LoadSpec[DetectorOptions]):
    """What to build, from which weights. `builder` is torchvision's name of what is built."""

    builder: str
    file: Weights | None
    source: str  # how messages call the weights
    terms: tuple[str | None, str | None]

    @property
    def size(self) -> int:
        """The side of a picture in pixels."""
        return self.options.size

    @property
    def first(self) -> int:
        """The number of the first class: some have the background as theirs."""
        return int(self.builder.startswith(("fasterrcnn", "ssd")))

    @property
    def preprocess(self) -> dict[str, Any]:
        """How pictures are fed: in their own shape, on a square."""
        mean, std = _LEVELS.get(self.builder, _USUAL)
        return {
            "channels": 3,
            "height": self.size,
            "width": self.size,
            "crop": 1.0,
            "crop_mode": "letterbox",
            "interpolation": "bilinear",
            "mean": list(mean),
            "std": list(std),
        }


_USUAL: Final = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LEVELS: Final = {  # as torchvision's builders say them
    "ssdlite320_mobilenet_v3_large": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "ssd300_vgg16": ((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
}


def settle(reference: Reference) -> DetectorSpec:
    """Look the weights up, read these, and sort the options.

    Raises WeightsError for weights that are not known, not there or another network's, and
    HeadstartError for bad options.
    """
    name = reference.name
    builder = name
    for kind in _BOXES_OF:
        builder = builder.replace(kind, "fasterrcnn")
    usual = usual_size(name)
    options = resolve(DetectorOptions, reference, {"size": str(usual)})
    if not _LEAST <= options.size <= WIDEST:
        raise HeadstartError(
            f"{reference} says size={options.size}, which is not from {_LEAST} to {WIDEST}. "
            f"Give for example size={usual}."
        )
    file, source, terms = _weights(reference, options)
    return DetectorSpec(reference, options, builder, file, source, terms)


def _weights(
    reference: Reference, options: DetectorOptions
) -> tuple[Weights | None, str, tuple[str | None, str | None]]:
    tag = reference.weights
    if tag is not None and names_file(tag):
        file = read(tag, options.ema)
        stated = file.metadata.get("torchvision", reference.name)
        if stated != reference.name:
            raise refusals.other_network(tag, stated, reference)
        return file, tag, file.terms
    if not options.pretrained:
        return None, "", (None, None)
    entry = _entry(reference.name, tag or "DEFAULT")
    path = fetched(entry.url, f"torchvision:{reference.name}")
    return read(path), str(path), (_LICENCE, DETECTED)


def entries(name: str) -> Mapping[str, Any]:
    """The sets of weights of a detector by their name."""
    return {entry.name: entry for entry in models.get_model_weights(name)}


def _entry(name: str, tag: str) -> Any:
    tags = entries(name)
    if tag == "DEFAULT":
        return models.get_model_weights(name)[tag]
    if tag not in tags:
        raise WeightsError(
            f"torchvision:{name} has no weights {tag!r}. It has {', '.join(tags)}; or give a file."
        )
    return tags[tag]
