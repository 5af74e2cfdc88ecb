"""A reference to a torchvision network, with all settled before the network is built."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.hubs.torchvision import listing
from headstart.loading import downloads, refusals
from headstart.loading.preprocess import INTERPOLATIONS, difference, with_options
from headstart.loading.spec import HubOptions, LoadSpec, resolve
from headstart.loading.weights import Weights, names_file, read

_HASH: Final = re.compile(r"-([0-9a-f]{8,})\.\w+$")  # the start of the file's sha256, in its name
_CHANGEABLE: Final = ("size", "channels", "crop", "interpolation")
_SCALING: Final = ("googlenet", "inception_v3")  # by themselves, where there are three channels


@final
@dataclass(frozen=True)
class TorchvisionOptions(HubOptions):
    """The options of a reference: `size` in pixels, `crop` a share of the resized picture."""

    pretrained: bool = True
    size: int = 224
    crop: float = 0.875
    interpolation: str = "bilinear"
    channels: int = 3
    ema: bool = True


@final
@dataclass(frozen=True)
class TorchvisionSpec(LoadSpec[TorchvisionOptions]):
    """What to build, from which weights, fed with what."""

    preprocess: Mapping[str, Any]
    changes: Mapping[str, str]  # the options that turn the default preprocessing into this one
    file: Weights | None
    source: str  # how messages call the weights
    terms: tuple[str | None, str | None]  # their licence, and what they were trained on

    @property
    def size(self) -> int:
        """The side of a picture in pixels."""
        return int(self.preprocess["height"])

    @property
    def channels(self) -> int:
        """How many channels a picture has."""
        return int(self.preprocess["channels"])


def settle(reference: Reference) -> TorchvisionSpec:
    """Look the name and its weights up, read these, and sort the options.

    Raises UnknownNameError for a name, WeightsError for weights that are not known, not there or
    another network's, and HeadstartError for bad options.
    """
    name = reference.name
    if name not in listing.names():
        raise UnknownNameError(
            "torchvision network", name, [*listing.names(), *listing.detectors()]
        )
    entries = listing.entries(name)
    default = next(iter(entries.values()))
    entry = _entry(reference, entries)
    options = resolve(TorchvisionOptions, reference)
    _check(options, reference)
    file: Weights | None = None
    source, terms = "", Weights({}).terms
    if options.pretrained or entry is None:
        file, source, terms = _weights(reference, entry)
    own = recipe(entry or default)
    preprocess = _with_options(own, reference)
    side = None if "size" in reference.options else _side(file)
    preprocess |= {"height": side, "width": side} if side else {}
    changes = difference(preprocess, recipe(default))
    changes = {option: value for option, value in changes.items() if option in _CHANGEABLE}
    return TorchvisionSpec(reference, options, preprocess, changes, file, source, terms)


def _with_options(own: dict[str, Any], reference: Reference) -> dict[str, Any]:
    changes = {n: value for n, value in reference.options.items() if n in _CHANGEABLE}
    preprocess = with_options(own, changes, f"torchvision:{reference.name}")
    channels = preprocess["channels"]
    if reference.name in _SCALING and channels != own["channels"]:
        preprocess |= {"mean": [0.5] * channels, "std": [0.5] * channels}
    return preprocess


def _entry(reference: Reference, entries: Mapping[str, Any]) -> Any:
    """The set of weights that the reference names, or None where it names a file."""
    tag = reference.weights
    if tag is None or tag == "DEFAULT":
        return next(iter(entries.values()))
    if names_file(tag):
        return None
    if tag not in entries:
        raise WeightsError(
            f"torchvision:{reference.name} has no weights {tag!r}. "
            f"It has {', '.join(entries)}; or give a file."
        )
    return entries[tag]


def _weights(
    reference: Reference, entry: Any
) -> tuple[Weights, str, tuple[str | None, str | None]]:
    """The weights of an entry, or of the reference's file where it is None, and their terms."""
    if entry is not None:
        path = fetched(entry.url, f"torchvision:{reference.name}")
        return read(path), str(path), (listing.licence(entry), listing.trained_on(entry))
    file = read(str(reference.weights), reference.option("ema", True))
    header = file.metadata
    stated = header.get("torchvision", reference.name)
    if stated != reference.name:
        raise refusals.other_network(reference.weights, stated, reference)
    return file, str(reference.weights), file.terms


def fetched(url: str, what: str) -> Path:
    """The file of this address, downloaded where it is not at hand, and compared with its hash.

    Raises WeightsError where it is neither here nor to be had.
    """
    path = listing.stored(url)
    match = _HASH.search(path.name)
    return downloads.fetch(
        url,
        path,
        sha256=match[1] if match else "",
        what=f"The file of weights of {what}",
        advice=refusals.without_download(what),
    )


def recipe(entry: Any) -> dict[str, Any]:
    """The preprocessing that goes with a set of weights."""
    transforms = entry.transforms()
    (side,), (resized,) = transforms.crop_size, transforms.resize_size
    return {
        "channels": len(transforms.mean),
        "height": side,
        "width": side,
        "crop": side / resized,
        "crop_mode": "center",
        "interpolation": transforms.interpolation.value,
        "mean": list(transforms.mean),
        "std": list(transforms.std),
    }


def _check(options: TorchvisionOptions, reference: Reference) -> None:
    sides_fit = min(options.size, options.channels) >= 1
    if not sides_fit or not 0 < options.crop <= 1 or options.interpolation not in INTERPOLATIONS:
        raise HeadstartError(
            f"{reference} has a size below 1, channels below 1, a crop that is not between 0 and "
            "1, or an unknown interpolation. Give for example size=224&crop=0.875, and for the "
            f"interpolation one of {', '.join(INTERPOLATIONS)}."
        )


def _side(file: Weights | None) -> int | None:
    """The side of the pictures that a vision transformer has positions for."""
    state = {} if file is None else file.state
    positions, patches = (
        next((tensor for name, tensor in state.items() if name.endswith(end)), None)
        for end in ("encoder.pos_embedding", "conv_proj.weight")
    )
    if positions is None or patches is None or positions.dim() != 3 or patches.dim() != 4:
        return None
    return patches.shape[-1] * math.isqrt(positions.shape[1] - 1)
