"""Spectrograms by the name of the network that is fed with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Final

from headstart.contracts.references import build
from headstart.errors import UnknownNameError
from headstart.loading.sounds.mel import MelRecipe

_WHISPER: Final = MelRecipe(
    *(16_000, 400, 400, 160, 80, 0.0, 8_000.0),
    scale="slaney",
    even=True,
    power=2,
    centred=True,
    logarithm="decimal",
    offset=0.0,
    floor=1e-10,
)
PRESETS: Final[Mapping[str, MelRecipe]] = {
    "log-mel": MelRecipe(),
    "mlperf-tiny": MelRecipe(  # keyword nets of MLPerf Tiny: 10 cepstra of TensorFlow's
        *(16_000, 512, 480, 320, 40, 20.0, 4_000.0), offset=1e-6, cepstra=10
    ),
    "vggish": MelRecipe(offset=0.01),
    "whisper": _WHISPER,
    "yamnet": MelRecipe(),
}


def recipe(name: str, changes: str, rate: int, what: object) -> MelRecipe:
    """The spectrogram of this name at a rate, with changes such as `bands:128,high:11000`.

    Raises HeadstartError for a name, a change or a recipe that can't be.
    """
    if name not in PRESETS:
        raise UnknownNameError("spectrogram", name, PRESETS)
    usual = at_rate(PRESETS[name], rate)
    pairs = (pair.partition(":") for pair in changes.split(",") if pair)
    values = {each.name: getattr(usual, each.name) for each in fields(usual)}
    texts = {key: str(value).lower() for key, value in values.items()}
    changed = build(MelRecipe, texts | {key: value for key, _, value in pairs}, f"{what} mel=")
    return changed.checked(what)


def of_kaldi(rate: int, bands: int, window: str) -> MelRecipe:
    """The filter banks as Kaldi computes them, from 20 Hz on."""
    return MelRecipe(
        *(rate, 512, 400, 160, bands, 20.0, rate / 2),
        scale="kaldi",
        power=2,
        window=window,
        level=True,
        emphasis=0.97,
        offset=0.0,
        floor=1.192092955078125e-07,
    )


def at_rate(usual: MelRecipe, rate: int) -> MelRecipe:
    """The recipe at another rate: frames as long in seconds, edges within what there is to hear."""
    if rate == usual.rate:
        return usual
    share = rate / usual.rate
    frame, hop = max(2, round(usual.frame * share)), max(1, round(usual.hop * share))
    fft = 1 << (frame - 1).bit_length()
    high = min(usual.high, rate / 2)
    return replace(usual, rate=rate, fft=fft, frame=frame, hop=hop, high=high)
