"""A tiny network for sounds: convolutions on a log-mel spectrogram."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.seeded.design import Design, Stages, without_pool
from headstart.loading.sounds.log_mel import LogMel
from headstart.loading.sounds.mel import MelRecipe
from headstart.loading.sounds.options import SoundInput, heard
from headstart.loading.sounds.windows import windowed
from headstart.loading.spec import resolve

_BANDS: Final = 32


@final
@dataclass(frozen=True)
class SoundOptions(SoundInput):
    """The options of a network for sounds; `width` counts the first channels."""

    seed: int = 0
    width: int = 8
    pretrained: bool = True


@final
class _Spectrogram(nn.Module):
    """A log-mel spectrogram with one channel, about as large as normed numbers are."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        fft = 1 << max(6, (rate // 40 - 1).bit_length())  # a frame of a fortieth of a second
        high = min(7_500.0, rate / 2)
        recipe = MelRecipe(rate, fft, rate // 40, rate // 100, _BANDS, high / 60, high)
        self.mel = LogMel(recipe)

    def forward(self, samples: Tensor) -> Tensor:
        """(R, S) -> (R, 1, bands, frames)."""
        bands: Tensor = self.mel(samples)
        return (bands.transpose(1, 2)[:, None] + 4) / 2


def design(name: str, reference: Reference) -> Design:
    """The network of this name. Raises HeadstartError for options that it can't have."""
    options = resolve(SoundOptions, reference, what=f"seeded:{name}")
    if options.width < 1 or options.rate < 2_000 or options.window * options.rate < 1_000:
        raise HeadstartError(
            f"{reference} has a width below 1, a rate below 2,000 Hz or a window below 1,000 "
            "samples. Give for example rate=16000&window=1&width=8."
        )
    samples = round(options.window * options.rate)
    preprocess = heard(reference, options.rate, samples, (options.hop, options.fill))

    def cut(network: nn.Module) -> tuple[Stages, nn.Module, int]:
        stages, pool = without_pool(network)
        return windowed(stages, pool, torch.zeros(2, samples))

    return Design(
        modality="audio",
        input=f"{options.rate} Hz, {options.window:g} s",
        preprocess=preprocess,
        seed=options.seed,
        pretrained=options.pretrained,
        options=options.changed(("seed", "pretrained")),
        make=lambda: NETWORKS[name](options),
        cut=cut,
    )


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _network(options: SoundOptions) -> nn.Module:
    width = options.width
    sides = [(1, width), (width, width * 2), (width * 2, width * 4)]
    parts: dict[str, nn.Module] = {
        f"block{place}": _block(*each) for place, each in enumerate(sides, 1)
    }
    parts["block1"] = nn.Sequential(_Spectrogram(options.rate), *parts["block1"].children())
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(OrderedDict(parts, pool=pool))


NETWORKS: Final[Mapping[str, Callable[[SoundOptions], nn.Module]]] = {"audio": _network}
