"""Why a gain over scratch can't be judged: there is no such network, or it learned nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from headstart.evidence.intervals import Interval, gained

UNENDED = "the proof has not come to its end, and `headstart prove` goes on with it"
NO_SOURCES = "no other table was named with --from to learn from"
NO_SCRATCH = "no network was trained from scratch for comparison"
OF_COLUMNS = "columns"  # plain ones of rows, which stand in the place of scratch


class Yardstick(NamedTuple):
    """What a transfer is compared with, and why there may be none."""

    name: str
    missing: str


YARDSTICKS: Final[Mapping[bool | str, Yardstick]] = {
    False: Yardstick("network from scratch", NO_SCRATCH),
    True: Yardstick("rows alone", NO_SOURCES),
    OF_COLUMNS: Yardstick(
        "columns alone", "there are no plain columns to compare its texts and pictures with"
    ),
}


def doubt(
    steps: int, due: int, over_naive: Interval, metric: str, less_is_better: bool = False
) -> str:
    """Why the network from scratch is no yardstick, empty where it is one.

    It must have taken as many steps as are `due`, and beaten the naive model by its interval: a
    network that never learned is beaten by anything, whatever the pretrained weights are worth.
    """
    if steps < due:
        return (
            f"the network from scratch took {steps} steps, and {due} are the least to compare with"
        )
    if over_naive.low <= 0:
        gain, low, high = gained(over_naive, metric, less_is_better)
        return (
            f"the network from scratch does not clearly beat the naive model ({gain}, "
            f"95 % interval {low} to {high})"
        )
    return ""
