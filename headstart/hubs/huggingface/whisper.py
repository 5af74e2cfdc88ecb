"""Whisper's front end (Radford et al. 2022), which its encoder and what it writes down share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.loading.sounds.log_mel import LogMel
from headstart.loading.sounds.presets import PRESETS

_LAYERS = ("conv1", "conv2", "embed_positions")


@final
@dataclass(frozen=True)
class Front:
    """Samples (N, T) at `rate`, `samples` of them a window, to `states` states (N, S, D).

    `names` are the layers in it, behind the encoder's own `prefix`.
    """

    mel: LogMel
    rate: int
    states: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, config: Any, fed: Mapping[str, Any], prefix: str) -> Front:
        """As a folder's settings say; `fed` are those of its feature extractor."""
        usual = {"sampling_rate": 16_000, "n_fft": 400, "hop_length": 160}
        rate, fft, hop = (int(fed.get(name, number)) for name, number in usual.items())
        sizes: dict[str, Any] = {"rate": rate, "fft": fft, "frame": fft, "hop": hop}
        recipe = replace(PRESETS["whisper"], bands=config.num_mel_bins, high=rate / 2, **sizes)
        names = tuple(f"{prefix}.{name}" for name in _LAYERS)
        return cls(LogMel(recipe), rate, int(config.max_source_positions), names)

    @property
    def samples(self) -> int:
        """How many samples are heard at once: two frames make a state."""
        return self.states * 2 * self.mel.recipe.hop

    def __call__(self, stage: nn.Module, samples: Tensor) -> Tensor:
        """The states before the first block, which say where they are."""
        bands = self.mel.to(samples.device)(samples)[:, :-1].transpose(1, 2)
        bands = torch.maximum(bands, bands.amax((1, 2), keepdim=True) - 8.0)
        hidden = (bands + 4.0) / 4.0
        for name in self.names[:2]:
            hidden = functional.gelu(stage.get_submodule(name)(hidden))
        positions: Any = stage.get_submodule(self.names[2])
        placed: Tensor = hidden.transpose(1, 2) + positions.weight
        return placed
