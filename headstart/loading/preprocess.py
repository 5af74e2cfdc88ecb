"""How a network's pictures are fed: its own recipe, and the options by which a user changes it."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headstart.errors import HeadstartError, UnknownNameError
from headstart.loading.spec import HubOptions

INTERPOLATIONS: Final = ("nearest", "box", "bilinear", "bicubic", "lanczos")
WIDEST: Final = 8192  # pixels of a side
CROP_MODES: Final = ("center", "squash", "border")
Recipe = dict[str, Any]  # channels, height, width, crop, crop_mode, interpolation, mean, std
_CHOICES: Final = {"crop_mode": CROP_MODES, "interpolation": INTERPOLATIONS}
IMAGENET: Final = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True)
class PictureInput(HubOptions, ABC):
    """How pictures are fed, for hubs to extend by options of their own.

    `size` is in pixels, `crop` the share of the resized picture that is kept; `mean` and `std` are
    one number or one a channel with commas, for values from 0 to 1, those of ImageNet where none
    are given.
    """

    size: int = 224
    channels: int = 3
    crop: float = 1.0
    crop_mode: str = "center"
    interpolation: str = "bilinear"
    mean: str = ""
    std: str = ""

    def preprocess(self, what: object) -> dict[str, Any]:
        """The declarative recipe. `what` is how a message calls the reference.

        Raises HeadstartError for values that can't be.
        """
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UnknownNameError(name.replace("_", " "), getattr(self, name), choices)
        levels = {name: self._numbers(name, what) for name in IMAGENET}
        if not 1 <= self.size <= WIDEST or self.channels not in (1, 3) or not 0 < self.crop <= 1:
            raise HeadstartError(
                f"{what} has a size below 1 or above {WIDEST}, a crop that is not in 0 to 1, or "
                "channels other than 1 or 3. Give for example size=224&channels=3&crop=0.875."
            )
        return {
            "channels": self.channels,
            "height": self.size,
            "width": self.size,
            "crop": self.crop,
            "crop_mode": self.crop_mode,
            "interpolation": self.interpolation,
            **levels,
        }

    def _numbers(self, name: str, what: object) -> list[float]:
        """One finite number a channel; standard deviations above 0."""
        text: str = getattr(self, name)
        usual = IMAGENET[name]
        if not text:
            return usual if self.channels == len(usual) else [math.fsum(usual) / len(usual)]
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        values = values * self.channels if len(values) == 1 else values
        wrong = [v for v in values if not math.isfinite(v) or (name == "std" and v <= 0)]
        if wrong or len(values) != self.channels:
            raise HeadstartError(
                f"{what} says {name}={text}, which is not one number, or one for each of "
                f"{self.channels} channels with commas{', above 0' if name == 'std' else ''}. "
                f"Give for example {name}=0.5."
            )
        return values


def with_options(own: Recipe, options: Mapping[str, str], what: str) -> Recipe:
    """A network's own preprocessing with options put in. Raises HeadstartError for a bad value."""
    recipe = dict(own)
    if "channels" in options:
        recipe["channels"] = int(_numbers(options, "channels", what)[0])
    if "size" in options:
        sides = _numbers(options, "size", what)  # one number, or two with an x between
        recipe["height"], recipe["width"] = int(sides[0]), int(sides[-1])
    if "crop" in options:
        recipe["crop"] = _numbers(options, "crop", what)[0]
    for name, choices in _CHOICES.items():
        recipe[name] = options.get(name, own[name])
        if recipe[name] not in choices:
            raise UnknownNameError(name.replace("_", " "), str(recipe[name]), choices)
    for name in ("mean", "std"):
        values = _numbers(options, name, what) if name in options else own[name]
        recipe[name] = _spread(values, recipe["channels"], again=name not in options)
        if len(recipe[name]) != recipe["channels"]:
            raise HeadstartError(
                f"{what}?{name}={options.get(name)!r} has not one number for each of "
                f"{recipe['channels']} channels. Give one number, or one a channel with commas."
            )
    above = [recipe[side] for side in ("height", "width", "channels", "crop")] + recipe["std"]
    if not all(math.isfinite(v) for v in [*above, *recipe["mean"]]) or min(above) <= 0:
        raise HeadstartError(
            f"{what} has a size, crop, channels or std that is not above 0. Give a number above 0."
        )
    return recipe


def difference(recipe: Recipe, own: Recipe) -> dict[str, str]:
    """The options that turn a network's own preprocessing into this one."""
    options = {
        name: str(recipe[name])
        for name in ("channels", "crop", "crop_mode", "interpolation")
        if recipe[name] != own[name]
    }
    height, width = recipe["height"], recipe["width"]
    if (height, width) != (own["height"], own["width"]):
        options["size"] = str(height) if height == width else f"{height}x{width}"
    plain = with_options(own, {"channels": str(recipe["channels"])}, "")
    for name in ("mean", "std"):
        if recipe[name] != plain[name]:
            options[name] = ",".join(map(str, recipe[name]))
    return options


def _spread(values: list[float], channels: int, again: bool) -> list[float]:
    """One number for all channels, or the mean of three for a grey picture.

    More channels than values get them `again` from the first, as timm gives them weights.
    """
    if len(values) == 1:
        return values * channels
    if channels == 1:
        return [math.fsum(values) / len(values)]
    return [values[n % len(values)] for n in range(channels)] if again else values


def _numbers(options: Mapping[str, str], name: str, what: str) -> list[float]:
    try:
        between = "x" if name == "size" and "x" in options[name] else ","
        return [float(part) for part in options[name].strip("()[] ").split(between)]
    except ValueError:
        raise HeadstartError(
            f"{what}?{name}={options[name]!r} is not a number. "
            f"Give one, such as {name}={'0.5' if name in ('mean', 'std', 'crop') else '224'}."
        ) from None
