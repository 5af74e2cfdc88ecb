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
from headstart.loading import downloads
from headstart.loading.spec import HubOptions, LoadSpec, resolve
from headstart.loading.weights import Weights, names_file, read

_FILTERS: Final = ("nearest", "box", "bilinear", "bicubic", "lanczos")
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
class _Found:
    """Weights, what messages call them, and what is known of them."""

    file: Weights | None = None
    source: str = ""
    licence: str | None = None
    trained_on: str | None = None


@final
@dataclass(frozen=True)
class TorchvisionSpec(LoadSpec[TorchvisionOptions]):
    """What to build, from which weights, fed with what."""

    preprocess: Mapping[str, Any]
    changes: Mapping[str, str]  # the options that turn the default preprocessing into this one
    resized: bool  # whether the user asked for this size
    file: Weights | None
    source: str  # how messages call the weights
    licence: str | None
    trained_on: str | None

    @property
    def size(self) -> int:
        """The side of a picture in pixels."""
        return int(self.preprocess["height"])


def settle(reference: Reference) -> TorchvisionSpec:
    """Look the name and its weights up, read these, and sort the options.

    Raises UnknownNameError for a name, WeightsError for weights that are not known, not there or
    another network's, and HeadstartError for bad options.
    """
    name = reference.name
    if name not in listing.names():
        raise UnknownNameError("torchvision network", name, listing.names())
    known = listing.entries(name)
    default = next(iter(known.values()))
    entry = _entry(reference, known)
    base = recipe(entry or default)
    options = resolve(TorchvisionOptions, reference, _options(base))
    _check(options, reference)
    weights = _weights(reference, entry) if options.pretrained or entry is None else _Found()
    resized = "size" in reference.options
    side = (None if resized else _side(weights.file)) or options.size
    changed = {"crop": options.crop, "interpolation": options.interpolation}
    sides = {"channels": options.channels, "height": side, "width": side}
    preprocess = {**base, **sides, **changed, **_scale(base, options.channels, name)}
    plain = _options(recipe(default))
    changes = {key: text for key, text in _options(preprocess).items() if text != plain[key]}
    return TorchvisionSpec(reference, options, preprocess, changes, resized, **vars(weights))


def _entry(reference: Reference, known: Mapping[str, Any]) -> Any:
    """The set of weights that the reference names, or None where it names a file."""
    tag = reference.weights
    if tag is None or tag == "DEFAULT":
        return next(iter(known.values()))
    if names_file(tag):
        return None
    if tag not in known:
        raise WeightsError(
            f"torchvision:{reference.name} has no weights {tag!r}. "
            f"It has {', '.join(known)}; or give a file."
        )
    return known[tag]


def _weights(reference: Reference, entry: Any) -> _Found:
    """The weights of an entry, or of the reference's file where it is None."""
    if entry is not None:
        path = _fetched(entry.url, f"torchvision:{reference.name}")
        return _Found(read(path), str(path), listing.licence(entry), listing.trained_on(entry))
    file = read(str(reference.weights), reference.option("ema", True))
    header = file.metadata
    stated = header.get("torchvision", reference.name)
    if stated != reference.name:
        raise WeightsError(
            f"{reference.weights} holds the weights of torchvision:{stated}, not of "
            f"torchvision:{reference.name}. Write torchvision:{stated}@{reference.weights}."
        )
    licence = header.get("licence") or header.get("license")
    return _Found(file, str(reference.weights), licence, header.get("trained_on"))


def _fetched(url: str, what: str) -> Path:
    """The file of this address, downloaded where it is not at hand, and compared with its hash.

    Raises WeightsError where it is neither here nor to be had.
    """
    path = listing.stored(url)
    named = _HASH.search(path.name)
    return downloads.fetch(
        url,
        path,
        sha256=named[1] if named else "",
        what=f"The file of weights of {what}",
        advice=f"Give a local file with {what}@FILE, or take random weights with "
        f"{what}?pretrained=false.",
    )


def recipe(entry: Any) -> dict[str, Any]:
    """The preprocessing that goes with a set of weights."""
    asked = entry.transforms()
    (side,), (resized,) = asked.crop_size, asked.resize_size
    return {
        "channels": len(asked.mean),
        "height": side,
        "width": side,
        "crop": side / resized,
        "crop_mode": "center",
        "interpolation": asked.interpolation.value,
        "mean": list(asked.mean),
        "std": list(asked.std),
    }


def _scale(base: Mapping[str, Any], channels: int, name: str) -> dict[str, list[float]]:
    """Mean and deviation for so many channels: the mean of three for grey, else again and again."""
    if channels == base["channels"]:
        return {}
    if name in _SCALING:
        return {"mean": [0.5] * channels, "std": [0.5] * channels}
    if channels == 1:
        return {key: [math.fsum(base[key]) / len(base[key])] for key in ("mean", "std")}
    return {
        key: [base[key][channel % len(base[key])] for channel in range(channels)]
        for key in ("mean", "std")
    }


def _options(recipe: Mapping[str, Any]) -> dict[str, str]:
    values = {**recipe, "size": recipe["height"]}
    return {name: str(values[name]) for name in _CHANGEABLE}


def _check(options: TorchvisionOptions, reference: Reference) -> None:
    sides_fit = min(options.size, options.channels) >= 1
    if not sides_fit or not 0 < options.crop <= 1 or options.interpolation not in _FILTERS:
        raise HeadstartError(
            f"{reference} has a size below 1, channels below 1, a crop that is not between 0 and "
            "1, or an unknown interpolation. Give for example size=224&crop=0.875, and for the "
            f"interpolation one of {', '.join(_FILTERS)}."
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
