"""The options by which a user says how a network hears: rate, window and hop."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Any, Final

from headstart.errors import HeadstartError
from headstart.loading.spec import HubOptions

RATE: Final = 16_000
RESAMPLER: Final = "soxr-hq"
_RATES: Final = (1_000, 384_000)
_LONGEST: Final = 1 << 24  # samples of a window


@dataclass(frozen=True)
class SoundInput(HubOptions, ABC):
    """How sounds are fed, for hubs to extend by options of their own.

    `rate` is in Hz; the others are in seconds: `window` is what the network hears at a time, `hop`
    how far apart that is, and `fill` what shorter sounds are filled up to with silence, which both
    are a window unless said otherwise.
    """

    rate: int = RATE
    window: float = 1.0
    hop: float = 0.0
    fill: float = 0.0


def heard(
    what: object,
    rate: int,
    window: int,
    apart: tuple[float, float],
    scale: float = 1.0,
    **others: Any,
) -> dict[str, Any]:
    """The declarative recipe: a window of so many samples; hop and fill in seconds, or 0.

    Raises HeadstartError for values that can't be.
    """
    step, least = (round(seconds * rate) or window for seconds in apart)
    if not window <= least <= _LONGEST:
        raise HeadstartError(
            f"{what} fills sounds up to {least} samples, below its window of {window}. "
            "Give a longer fill=, in seconds, or none."
        )
    if not _RATES[0] <= rate <= _RATES[1] or not 1 <= step <= window <= _LONGEST:
        raise HeadstartError(
            f"{what} is fed windows of {window} samples at {rate} Hz, {step} apart, which can't "
            "be. Give for example rate=16000&window=1&hop=0.5, the hop no longer than the window."
        )
    recipe = {"rate": rate, "window": window, "hop": step, "resampler": RESAMPLER, "pad": "centre"}
    recipe |= {"fill": least} if least != window else {}
    return recipe | ({"scale": scale} if scale != 1.0 else {}) | others
