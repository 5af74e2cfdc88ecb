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

    `rate` is in Hz; `window` and `hop` are in seconds: what the network hears at a time, and how
    far apart that is, which is a window unless said otherwise.
    """

    rate: int = RATE
    window: float = 1.0
    hop: float = 0.0


def heard(
    what: object, rate: int, window: int, hop: float = 0.0, scale: float = 1.0, **others: Any
) -> dict[str, Any]:
    """The declarative recipe: a window of so many samples, a hop of so many seconds or 0.

    Raises HeadstartError for values that can't be.
    """
    step = round(hop * rate) or window
    if not _RATES[0] <= rate <= _RATES[1] or not 1 <= step <= window <= _LONGEST:
        raise HeadstartError(
            f"{what} is fed windows of {window} samples at {rate} Hz, {step} apart, which can't "
            "be. Give for example rate=16000&window=1&hop=0.5, the hop no longer than the window."
        )
    recipe = {"rate": rate, "window": window, "hop": step, "resampler": RESAMPLER, "pad": "centre"}
    return recipe | ({"scale": scale} if scale != 1.0 else {}) | others
