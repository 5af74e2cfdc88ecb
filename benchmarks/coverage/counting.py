"""What is counted over the draws: coverage, wrong verdicts, and what chance allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Final

import numpy as np

from benchmarks.coverage.simulated import MISTAKEN, WANTED
from headstart.evidence.labels import Curve, saved

Row = Mapping[str, Any]
SURE: Final = 0.01  # chance by which a right method may fail one count
FEWEST: Final = 10  # draws of which a share is worth a judgement


@dataclass(frozen=True)
class Count:
    """How often something held in so many draws, and how wide intervals were in the mean."""

    what: str
    draws: int
    times: int
    width: float = 0.0

    @property
    def share(self) -> float:
        """Of the draws."""
        return self.times / max(1, self.draws)

    @property
    def holds(self) -> bool:
        """Whether the share is in the bounds wanted, up to chance by the binomial distribution."""
        from scipy.stats import binom

        if self.draws < FEWEST:
            return True
        if self.what == "wrong verdicts":
            return bool(self.times <= binom.ppf(1 - SURE, self.draws, MISTAKEN))
        low = binom.ppf(SURE, self.draws, WANTED[0])
        high = binom.ppf(1 - SURE, self.draws, WANTED[1])
        return bool(low <= self.times <= high)


def counts(rows: Sequence[Row]) -> dict[tuple[str, str, str, int], list[Count]]:
    """What is counted, by tier, condition, set and size."""
    cells: defaultdict[tuple[str, str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        cells[row["tier"], row["condition"], row["set"], row["size"]].append(row)
    curves = {cell[:3]: _curves([row for row in rows if _cell(row) == cell[:3]]) for cell in cells}
    return {cell: _counted(cells[cell], curves[cell[:3]]) for cell in sorted(cells)}


def _cell(row: Row) -> tuple[str, str, str]:
    return row["tier"], row["condition"], row["set"]


def _counted(
    rows: Sequence[Row], curves: Mapping[str, Sequence[tuple[float, float]]]
) -> list[Count]:
    counts = [_covered("accuracy", [(row["accuracy"], row["truth"]) for row in rows])]
    proven = [row for row in rows if row.get("true_gain") is not None and row["gain"]]
    if proven:
        counts.append(_covered("gain", [(row["gain"], row["true_gain"]) for row in proven]))
        wrong = sum(_wrong(row) for row in proven)
        counts.append(Count("wrong verdicts", len(proven), wrong))
    cases = [
        (row["labels"], row["size"]) for row in proven if (row.get("labels") or {}).get("saved")
    ]
    if cases and len(curves["scratch"]) > 1:
        rightly = [_saved_rightly(labels, size, curves) for labels, size in cases]
        counts.append(Count("labels saved", len(cases), sum(rightly)))
    return counts


def _covered(what: str, pairs: Sequence[tuple[Mapping[str, float], float]]) -> Count:
    inside = [
        interval["low"] - 1e-9 <= truth <= interval["high"] + 1e-9 for interval, truth in pairs
    ]
    width = float(np.mean([interval["high"] - interval["low"] for interval, _ in pairs]))
    return Count(what, len(pairs), sum(inside), width)


def _wrong(row: Row) -> bool:
    """Whether a verdict claims what is not so; where labels are mixed up any claim is wrong."""
    sign = {"helps": 1, "hurts": -1}.get(row["verdict"], 0)
    return bool(sign and (row["condition"] == "shuffled" or sign * row["true_gain"] <= 0))


def _curves(rows: Iterable[Row]) -> dict[str, list[tuple[float, float]]]:
    """The mean truth of both arms by size, over all draws."""
    by_size: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row.get("true_gain") is not None:
            by_size[row["size"]].append((row["truth"], float(np.mean(row["scratch"]))))
    means = {size: np.mean(pairs, axis=0) for size, pairs in sorted(by_size.items())}
    return {
        who: [(size, float(pair[place])) for size, pair in means.items()]
        for place, who in enumerate(("transfer", "scratch"))
    }


def _saved_rightly(
    labels: Mapping[str, Any], size: int, curves: Mapping[str, Sequence[tuple[float, float]]]
) -> bool:
    """Whether an interval of labels saved holds what the true curves say at the same counts.

    Between the sizes drawn the curves are interpolated in the logarithm of the labels. Where even
    they hold only a bound, an interval that allows for it is right.
    """
    total = labels["counts"][-1]
    arms = []
    for who, counts in (("transfer", labels["counts"]), ("scratch", labels["scratch"])):
        sizes, scores = zip(*curves[who], strict=True)
        spots = [log(count * size / total) for count in counts]
        means = np.interp(spots, np.log(sizes), scores)
        arms.append(Curve(tuple(counts), means.reshape(1, -1, 1)))
    true, claimed = saved(*arms), labels["saved"]
    least, most, low, high = true.low or 0.0, true.high, claimed["low"] or 0.0, claimed["high"]
    below = most is not None and most < low * (1 - 1e-6)
    above = high is not None and least > high * (1 + 1e-6)
    return not (below or above)
