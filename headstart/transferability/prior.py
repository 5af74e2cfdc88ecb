"""The prior: how good candidates are taken to be before anything is computed on the user's data."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from headstart.transferability.history import Past

CENTRE, SIZE, YEAR = 79.4, 6.9, 0.9  # the line: at 20M parameters in 2020, per tenfold, per year
LEAST = 40.0  # no estimate is lower; a table of vectors is taken to be as good as that
LEAST_TRAINED = 1.0  # points that trained weights always have; random ones have none
TABLE = 2  # stages of word vectors: look each word up, then pool
_DOUBT = 2.0  # data sets' worth of doubt about what past runs say
_LEVEL = 0.05  # points; a smaller lead is printed as none


@dataclass(frozen=True)
class Facts:
    """What a hub tells of a candidate without running it.

    `weights` is their hash, `accuracy` the published top-1 on ImageNet-1k in percent, `stages` the
    number of stages of the backbone, 0 where it isn't known.
    """

    reference: str
    weights: str
    pretrained: bool
    parameters: int | None
    accuracy: float | None
    year: int | None
    trained_on: str | None
    stages: int = 0


@dataclass(frozen=True)
class Prior:
    """What a candidate is taken to be worth: points of top-1 on ImageNet-1k, and why in words."""

    reference: str
    value: float
    reasons: tuple[str, ...]


def prior(candidates: Sequence[Facts], past: Sequence[Past]) -> list[Prior]:
    """Value candidates of one modality, best first, whatever the order they are given in.

    The value begins with the published accuracy. Better ImageNet models transfer better (Kornblith,
    Shlens and Le 2019), and a ranking by accuracy alone is hard to beat. Where none is published it
    is estimated: 79.4 + 6.9 log10(parameters / 20M) + 0.9 (year - 2020), and at least 40. That is
    the least-squares line, rounded, through the weights of a million parameters or more in the
    table of `headstart.hubs.timm.listing` (182 of them; half of the errors are below 2 points,
    left out one at a time). Size or year, where not known, count as 20M and 2020. Encoders of
    texts have no such accuracy: for them the number only orders.

    A table of word vectors is as large as its vocabulary, of which a text uses a few rows, so that
    size says nothing: with two stages (look up, pool) and no published accuracy it gets the 40
    points that every estimate has at least, and so never precedes an encoder for its size.

    Past runs shift the value. On each data set where these weights were scored beside others, their
    lead over the others' mean is taken, in points, scores counting from 0 to 1; the mean of n leads
    is shrunk by n / (n + 2). Random weights are worth 0, and trained ones at least 1.
    """
    leads = _leads(past)
    priors = [_valued(each, leads.get(each.weights, [])) for each in candidates]
    return sorted(priors, key=lambda each: (-each.value, each.reference, each.reasons))


def _valued(candidate: Facts, leads: Sequence[float]) -> Prior:
    if not candidate.pretrained:
        if candidate.parameters == 0:
            return Prior(candidate.reference, 0.0, ("no network",))
        return Prior(candidate.reference, 0.0, ("random weights", *_facts(candidate)))
    value, reasons = _at_first(candidate)
    if candidate.trained_on:
        reasons += (f"trained on {candidate.trained_on}",)
    reasons += _facts(candidate)
    if leads:
        value += fmean(leads) * len(leads) / (len(leads) + _DOUBT)
        reasons += (_sentence(fmean(leads), len(leads)),)
    return Prior(candidate.reference, max(value, LEAST_TRAINED), reasons)


def _at_first(candidate: Facts) -> tuple[float, tuple[str, ...]]:
    """The value without past runs, and what it comes from."""
    if candidate.accuracy is not None and math.isfinite(candidate.accuracy):
        return candidate.accuracy, (f"{candidate.accuracy:.1f} % top-1 on ImageNet-1k (published)",)
    if candidate.stages == TABLE:
        return LEAST, ("a table of vectors, whose size says little",)
    value = CENTRE
    if candidate.parameters:
        value += SIZE * math.log10(candidate.parameters / 2e7)
    if candidate.year is not None:
        value += YEAR * (candidate.year - 2020)
    return max(value, LEAST), (f"no published accuracy; {_basis(candidate)}",)


def _basis(candidate: Facts) -> str:
    if candidate.parameters and candidate.year is not None:
        return "estimated from its size and year"
    if candidate.parameters or candidate.year is not None:
        return f"judged by its {'size' if candidate.parameters else 'year'}"
    return "nothing to judge it by"


def _facts(candidate: Facts) -> tuple[str, ...]:
    size = candidate.parameters
    facts = [] if size is None else [f"{_readable(size)} parameters"]
    return (*facts, *([] if candidate.year is None else [str(candidate.year)]))


def _readable(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 1e5 else f"{count:,}"


def _sentence(lead: float, datasets: int) -> str:
    sets = "1 data set" if datasets == 1 else f"{datasets} data sets"
    if abs(lead) < _LEVEL:
        return f"level with others on {sets} here"
    return f"{'led' if lead > 0 else 'trailed'} others by {abs(lead):.1f} points on {sets} here"


def _leads(past: Sequence[Past]) -> Mapping[str, Sequence[float]]:
    """By weights: on each data set with others, the mean lead over their mean, in points."""
    scores: defaultdict[tuple[str, str, str], defaultdict[str, list[float]]]
    scores = defaultdict(lambda: defaultdict(list))
    for each in past:
        if not math.isnan(each.score):
            score = min(max(each.score, 0.0), 1.0)  # worse than nothing, as r2 may be, is nothing
            scores[each.data, each.task, each.metric][each.weights].append(score)
    leads: defaultdict[str, defaultdict[str, list[float]]]
    leads = defaultdict(lambda: defaultdict(list))
    for (data, _, _), by_weights in scores.items():
        means = {weights: fmean(several) for weights, several in by_weights.items()}
        for weights, mean in means.items():
            others = [other for name, other in means.items() if name != weights]
            if others:
                leads[weights][data].append(100 * (mean - fmean(others)))
    return {name: [fmean(all_) for all_ in by_data.values()] for name, by_data in leads.items()}
