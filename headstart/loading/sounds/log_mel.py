"""The same spectrograms as a layer of torch, which converts and exports as convolutions do."""

from __future__ import annotations

import math
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.loading.sounds.mel import MelRecipe, cosines, filters, taper


@final
class LogMel(nn.Module):
    """Samples (R, S) -> a spectrogram (R, frames, bands), of values as `mel.log_mel` has them.

    Nothing of it is learned or saved: all of it follows from the recipe.
    """

    basis: Tensor
    bank: Tensor
    turn: Tensor

    def __init__(self, recipe: MelRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        angles = (
            2
            * np.pi
            / recipe.fft
            * np.outer(np.arange(recipe.fft // 2 + 1), np.arange(recipe.frame))
        )
        waves = np.concatenate([np.cos(angles), np.sin(angles)]) * taper(recipe)
        waves = waves @ _before(recipe)
        fixed = {"basis": waves[:, None], "bank": filters(recipe)}
        fixed["turn"] = cosines(recipe) if recipe.cepstra else np.zeros((0, 0))
        for name, values in fixed.items():
            self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """(R, S) -> (R, frames, bands)."""
        recipe, length = self.recipe, samples.shape[1]
        if recipe.centred:
            half = recipe.fft // 2
            samples = functional.pad(samples[:, None], (half, half), mode="reflect")[:, 0]
            if recipe.fft > recipe.frame:  # the frame lies in the middle of the transform
                samples = samples[:, (recipe.fft - recipe.frame) // 2 :]
        parts = functional.conv1d(samples[:, None], self.basis, stride=recipe.hop)
        if recipe.centred and recipe.fft > recipe.frame:
            parts = parts[:, :, : recipe.frames(length)]
        real, imaginary = parts.chunk(2, dim=1)
        power = real.square() + imaginary.square()
        if recipe.power == 1:
            power = power.clamp(min=1e-20).sqrt()
        bands = (power.transpose(1, 2) @ self.bank + recipe.offset).clamp(min=recipe.floor)
        scale = {"natural": 1.0, "decimal": 1 / math.log(10), "decibel": 10 / math.log(10)}
        bands = bands.log() * scale[recipe.logarithm]
        return bands @ self.turn if recipe.cepstra else bands


def _before(recipe: MelRecipe) -> np.ndarray:
    """What is done to a frame before its window, as one matrix (frame, frame)."""
    size = recipe.frame
    matrix = np.eye(size)
    if recipe.emphasis:
        matrix -= recipe.emphasis * np.eye(size, k=-1)
        matrix[0, 0] -= recipe.emphasis
    return matrix @ (np.eye(size) - 1 / size) if recipe.level else matrix
