"""What an explanation says: which output it explains, and what in the input spoke for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from PIL import Image

from headstart.contracts.targets import Encoding
from headstart.data.targets import kind_named
from headstart.serve import Predictor

if TYPE_CHECKING:  # so that some models are explained without torch
    from torch import Tensor

_SMALLEST = 224  # px of an overlay's shorter side: smaller pictures are enlarged
_OPAQUE = 0.65  # of the picture is covered where the heat is 1


@dataclass(frozen=True)
class Output:
    """The output that is explained: its place, its label, and the value before any softmax."""

    place: int
    label: str
    value: float

    @classmethod
    def of(cls, predictor: Predictor, outputs: Tensor | np.ndarray) -> Output:
        """The largest output for labels, the first for numbers. `outputs` is (1, labels)."""
        row = outputs[0]
        if not isinstance(row, np.ndarray):
            row = row.detach().float().cpu().numpy()
        amounts = kind_named(predictor.task.kind).encoding is Encoding.AMOUNTS
        place = 0 if amounts else int(row.argmax())
        return cls(place, predictor.labels[place], float(row[place]))


@dataclass(frozen=True)
class Explanation(ABC):
    """What spoke for one output; `path` is the file or the text, `method` a sentence."""

    path: str
    output: Output
    method: str

    @property
    def label(self) -> str:
        """The label, or the name of the number, that is explained."""
        return self.output.label

    def to_json(self) -> dict[str, Any]:
        """{"path", "label", "output", "method"} and what the kind of input adds."""
        return {
            "path": self.path,
            "label": self.label,
            "output": round(self.output.value, 5),
            "method": self.method,
            **self._details(),
        }

    @abstractmethod
    def _details(self) -> dict[str, Any]: ...


@final
@dataclass(frozen=True)
class PictureExplanation(Explanation):
    """A heat map (h, w), 0 to 1, over the picture as the network saw it, (h, w, 3) uint8."""

    heat: np.ndarray
    picture: np.ndarray

    def overlay(self) -> Image.Image:
        """The picture under its heat, from red to yellow; small ones are enlarged."""
        heat = self.heat[..., None].astype(np.float32)
        colour = np.concatenate([np.ones_like(heat), heat, np.zeros_like(heat)], axis=-1) * 255
        share = _OPAQUE * heat
        mixed = self.picture * (1 - share) + colour * share
        picture = Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))
        times = ceil(_SMALLEST / min(picture.size))
        size = picture.width * times, picture.height * times
        return picture.resize(size, Image.Resampling.NEAREST) if times > 1 else picture

    def save(self, path: Path) -> None:
        """Write the overlay as a PNG."""
        self.overlay().save(path, "PNG")

    def _details(self) -> dict[str, Any]:
        return {"heat": [[round(value, 4) for value in row] for row in self.heat.tolist()]}


@dataclass(frozen=True)
class Weight:
    """How much a word or a piece of one added to the output; negative where it spoke against."""

    text: str
    weight: float

    def to_json(self) -> dict[str, Any]:
        """Both, the number rounded to five places."""
        return {"text": self.text, "weight": round(self.weight, 5)}


@final
@dataclass(frozen=True)
class TextExplanation(Explanation):
    """Words in the order of the text, and the pieces that the network saw, special ones included.

    All weights together are `difference`, the output minus that for a text of padding, but for the
    error `delta` of the integral, in `steps` steps.
    """

    words: tuple[Weight, ...]
    pieces: tuple[Weight, ...]
    difference: float
    delta: float
    steps: int

    def _details(self) -> dict[str, Any]:
        return {
            "words": [word.to_json() for word in self.words],
            "pieces": [piece.to_json() for piece in self.pieces],
            "difference": round(self.difference, 5),
            "delta": round(self.delta, 5),
            "steps": self.steps,
        }
