"""What a model answered to items that it had not learned from: its yardstick for new ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

import numpy as np

from headstart.errors import WeightsError

FILE: Final = "reference.safetensors"
MOST: Final = 500  # items
TOKENS_A_WORD: Final = "tokens a word"
_LARGEST_FILE: Final = 256 * 2**20  # bytes; 500 items of 100,000 features are 100 MB
_HALF: Final = float(np.finfo(np.float16).max)
_MEASURE: Final = "measure: "  # what the names of measures begin with in the file
_NAMES: Final = ("features", "outputs", "targets")


@final
@dataclass(frozen=True)
class Reference:
    """Held-out items as numbers: no picture, no text, no name.

    `features` (N, D) are what the head read, kept in half precision where that holds them;
    `outputs` (N, labels) the model's answers, calibrated as it is; `targets` the truth, (N,) int64
    for classes, else (N, outputs) float32; (N, 0) for items of classes that nobody has labelled.
    `measures` are numbers about the items by name, each (N,), such as tokens a word. At most 500.
    """

    features: np.ndarray
    outputs: np.ndarray
    targets: np.ndarray
    measures: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        outputs: np.ndarray,
        targets: np.ndarray,
        measures: Mapping[str, np.ndarray] | None = None,
    ) -> Reference:
        """That of at most 500 items."""
        fits = np.abs(features).max(initial=0.0) <= _HALF
        return cls(
            features.astype(np.float16 if fits else np.float32),
            outputs.astype(np.float32),
            targets.astype(np.int64 if targets.ndim == 1 else np.float32),
            {name: values.astype(np.float32) for name, values in (measures or {}).items()},
        )

    @property
    def labelled(self) -> bool:
        """Whether the truth of its items is known."""
        return self.targets.ndim == 1 or self.targets.shape[1] > 0

    @property
    def answers_classes(self) -> bool:
        """Whether the model answers with classes."""
        return self.targets.ndim == 1 or not self.labelled

    def __len__(self) -> int:
        return len(self.targets)

    def write(self, folder: Path) -> str:
        """Write the file into a folder; answer with its sha256. Raises OSError."""
        from safetensors.numpy import save

        measures = {_MEASURE + name: values for name, values in self.measures.items()}
        every = {name: getattr(self, name) for name in _NAMES} | measures
        arrays = {name: np.ascontiguousarray(array) for name, array in every.items()}
        content = save(arrays)
        (folder / FILE).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    @classmethod
    def read(cls, folder: Path, sha256: str) -> Reference:
        """The reference that a folder holds.

        Raises WeightsError where it is not there, has changed, or is none.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = folder / FILE
        if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
            raise _unusable(path)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise _unusable(path)
        try:
            arrays = load(content)
            parts = {name: arrays[name] for name in _NAMES}
            reference = cls(**parts, measures=_measures(arrays))
        except (SafetensorError, KeyError, ValueError, TypeError):
            raise _unusable(path) from None
        if not reference.is_sound():
            raise _unusable(path)
        return reference

    def is_sound(self) -> bool:
        """Whether the arrays belong together and hold finite numbers."""
        arrays = (self.features, self.outputs, self.targets, *self.measures.values())
        plain = all(array.dtype.kind in "fi" for array in arrays)
        shaped = self.features.ndim == self.outputs.ndim == 2 and self.targets.ndim in (1, 2)
        return (
            plain
            and shaped
            and 0 < len(self.features) == len(self.outputs) == len(self.targets) <= MOST
            and all(bool(np.isfinite(array).all()) for array in arrays)
            and all(values.shape == (len(self),) for values in self.measures.values())
            and (self.targets.ndim == 2 or self._names_outputs())
        )

    def _names_outputs(self) -> bool:
        whole = self.targets.dtype.kind == "i"
        return whole and 0 <= self.targets.min() and self.targets.max() < self.outputs.shape[1]


def _measures(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    own = (name for name in arrays if name.startswith(_MEASURE))
    return {name.removeprefix(_MEASURE): arrays[name] for name in own}


def chosen(count: int, seed: int = 0, most: int = MOST) -> np.ndarray:
    """The places of the items that a reference keeps: all, of more than 500 a random part."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed % 2**32).choice(count, most, replace=False))


def _unusable(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is missing or has changed since it was saved. "
        "Copy it again, or make the model again."
    )
