"""Networks for pictures that hear: each window of a sound is a picture of its spectrogram."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.loading.sounds.log_mel import LogMel
from headstart.loading.sounds.mel import MelRecipe
from headstart.loading.sounds.options import SoundInput, heard
from headstart.loading.sounds.presets import recipe
from headstart.loading.sounds.windows import windowed
from headstart.loading.spec import resolve

_STILL, _LOUD = -7.0, 3.0  # of log-mel bands, which become black and white


@final
@dataclass(frozen=True)
class PictureOfSound(SoundInput):
    """How a network for pictures hears; `spectrogram` names one, which `mel` changes."""

    spectrogram: str = "log-mel"
    mel: str = ""


@final
class SoundPicture(nn.Module):
    """Samples as a picture of their log-mel bands, normalised as the network wants pictures.

    Time runs along the width; what is as still as silence is black. All channels are alike.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mel: MelRecipe, sides: tuple[int, int], levels: Mapping[str, Any]) -> None:
        super().__init__()
        self.mel = LogMel(mel)
        self.sides = sides
        for name in ("mean", "std"):
            values = torch.tensor(levels[name], dtype=torch.float32)[:, None, None]
            self.register_buffer(name, values, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """(R, S) -> (R, C, H, W)."""
        bands: Tensor = self.mel(samples)
        level = ((bands - _STILL) / (_LOUD - _STILL)).clamp(0, 1)
        picture = level.transpose(1, 2).flip(1)[:, None]
        picture = functional.interpolate(
            picture, size=self.sides, mode="bilinear", align_corners=False
        )
        return (picture - self.mean) / self.std


def hearing(backbone: Backbone, options: Mapping[str, str], reference: Reference) -> Backbone:
    """A backbone for pictures as one for sounds; its own preprocessing goes into its first stage.

    Raises HeadstartError for a backbone of something else, and options that can't be.
    """
    fed = backbone.preprocess
    if backbone.modality != "image" or not fed.keys() >= {"height", "width", "mean", "std"}:
        raise HeadstartError(
            f"{reference} is made for {backbone.modality}, and sounds=true lets networks for "
            "pictures hear. Leave it out."
        )
    own = resolve(PictureOfSound, Reference(reference.hub, reference.name, options=options))
    mel = recipe(own.spectrogram, own.mel, own.rate, reference)
    samples = round(own.window * own.rate)
    preprocess = heard(reference, own.rate, samples, (own.hop, own.fill))
    if mel.frames(samples) < 2:
        raise HeadstartError(
            f"{reference} hears less than two frames at a time. Give a longer window=."
        )
    stages = backbone.unpooled()
    name, first = next(iter(stages.items()))
    picture = SoundPicture(mel, (int(fed["height"]), int(fed["width"])), fed)
    parts, pool, width = windowed(
        {**stages, name: _Front(picture, first)}, backbone.pool, torch.zeros(2, samples)
    )
    return replace(
        backbone,
        stages=parts,
        pool=pool,
        feature_dim=width,
        modality="audio",
        preprocess=preprocess,
        architecture=backbone.architecture.with_options(sounds="true", **options),
        head=None,
        library="",
        native={},
        folders={},
        layers=(),
    )


@final
class _Front(nn.Sequential):
    """A picture of a sound, and the first stage that sees it."""
