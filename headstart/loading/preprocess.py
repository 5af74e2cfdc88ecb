"""The options by which a user says how a network's pictures are to be fed."""

from __future__ import annotations

import math
from abc import ABC
from dataclasses import dataclass
from typing import Any, Final

from headstart.errors import HeadstartError, UnknownNameError
from headstart.loading.spec import HubOptions

INTERPOLATIONS: Final = ("nearest", "box", "bilinear", "bicubic", "lanczos")
WIDEST: Final = 8192  # pixels of a side
CROP_MODES: Final = ("center", "squash", "border")
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
        if self.interpolation not in INTERPOLATIONS:
            raise UnknownNameError("interpolation", self.interpolation, INTERPOLATIONS)
        if self.crop_mode not in CROP_MODES:
            raise UnknownNameError("crop mode", self.crop_mode, CROP_MODES)
        found = {name: self._numbers(name, what) for name in IMAGENET}
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
            **found,
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
