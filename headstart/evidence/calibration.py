"""Whether the probabilities of classes mean what they say, and one number that mends them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contracts.frozen import FrozenModel, LinearHead, Network, as_module, is_linear
from headstart.contracts.standardisation import label_shares
from headstart.contracts.targets import Encoding
from headstart.data.targets import USUAL, kind_named
from headstart.evidence.intervals import LEVEL, RESAMPLES, Interval

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

    from headstart.contracts.model import Model
    from headstart.evidence.experiment import Experiment
    from headstart.evidence.record import Arm

BINS = 15
LEAST, MOST = 0.05, 20.0  # temperatures
_IN_A_BIN = 10  # items; with fewer in a bin its accuracy is mostly chance
_HALVINGS = 50
_AT_ONCE = 4_000  # numbers of resamples; more are no faster
_PRIOR = 3.0  # items; of 0 to 10 the best on simulated outputs and on probes of few photos


def temperature(
    outputs: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None
) -> float:
    """What to divide outputs (N, labels) by so that their softmax fits the targets (N,) best.

    The minimum of the cross-entropy, which is convex in the inverse b of the temperature (Guo et
    al. 2017), from 0.05 to 20. To the sum over the items 3 (b - 1 - log b) is added, which is
    convex too: a gamma prior, as strong as three items that call for 1. So few items move it
    little, and items that are all right don't call for certainty. Rounded to five digits, lest a
    rounding error of the outputs show. `counts` (N,) says how much each item counts, 1 on average.
    """
    counts = np.ones(len(targets)) if counts is None else counts
    shifted = outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True)
    target_logit = counts @ shifted[np.arange(len(shifted)), targets]
    low, high = 1 / MOST, 1 / LEAST
    for _ in range(_HALVINGS):  # the slope grows with the inverse
        middle = (low * high) ** 0.5
        expected = counts @ (shares(shifted * middle) * shifted).sum(axis=1)
        if expected - target_logit + _PRIOR * (1 - 1 / middle) < 0:
            low = middle
        else:
            high = middle
    return float(f"{1 / low:.5g}")


def shares(outputs: np.ndarray) -> np.ndarray:
    """The softmax of outputs, (N, labels) float64."""
    shifted = np.exp(outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def folded(model: Network, temperature: float) -> Network | None:
    """The same network with a head whose outputs are divided by the temperature.

    The stages are shared, the head is a copy with its weights and bias divided, so that whoever
    opens the saved model, its own library too, gets calibrated probabilities. None where the head
    is no linear layer.
    """
    if not is_linear(model.head):
        return None
    if isinstance(model, FrozenModel):
        return model.with_head(scaled(model.head, temperature))
    return model.with_head(as_module(scaled(model.head, temperature)))


def scaled(head: nn.Module | LinearHead, temperature: float) -> nn.Module | LinearHead:
    """A copy of a linear layer with its weights and bias divided."""
    if isinstance(head, LinearHead):
        return head.divided(temperature)
    import torch

    head = copy.deepcopy(head)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.div_(temperature)
    return head


def calibration(
    outputs: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    scratch: np.ndarray | None = None,
    kind: str = USUAL,
    seed: int = 0,
    balanced: bool = False,
) -> dict[str, Any] | None:
    """Expected calibration error on test, before and after scaling; None where nothing is a class.

    `outputs` (N, labels) and `targets` (N,) are those of `validation`, which picks the temperature,
    and of `test`; without validation nothing is scaled. `scratch` holds the scratch arm's outputs
    on test. `bins` are the parts of a reliability diagram before scaling, `bins_scaled` after it.
    Where it is `balanced` each label counts as much as another in all of this, as in fitting.
    """
    if kind_named(kind).encoding is not Encoding.INDEX:
        return None
    test, truth = outputs["test"].astype(np.float64), targets["test"]
    counts = {name: label_shares(own) if balanced else None for name, own in targets.items()}
    record: dict[str, Any] = {}
    variants = [("", test)]
    if "validation" in outputs:
        validation = outputs["validation"], targets["validation"], counts["validation"]
        record["temperature"] = temperature(*validation)
        variants.append(("_scaled", test / record["temperature"]))
    for name, scaled in variants:
        confidence, right = _confidence(scaled, truth)
        record[f"ece{name}"] = calibration_error(confidence, right, seed, counts["test"]).to_json()
        record[f"bins{name}"] = reliability(confidence, right, counts["test"])
    record["scratch_ece"] = None
    if scratch is not None:
        theirs = _confidence(scratch, truth)
        record["scratch_ece"] = calibration_error(*theirs, seed, counts["test"]).to_json()
    return record


def calibration_error(
    confidence: np.ndarray, right: np.ndarray, seed: int = 0, counts: np.ndarray | None = None
) -> Interval:
    """The mean distance of confidence from accuracy over bins of equally many items, both (N,).

    At most 15 bins (Naeini et al. 2015), with ten items each at least. Chance alone gives few items
    an error (Roelofs et al. 2022), and resampled ones a larger one still. The interval is therefore
    the basic bootstrap's, which mirrors the resamples at the value (Davison and Hinkley 1997). It
    begins at 0 where a model whose confidences were right would err as much (Bröcker and Smith
    2007), and is widened by 3/N where all answers or none are right (the rule of three). `counts`
    (N,) says how much each item counts, 1 on average.
    """
    counts = np.ones(len(right)) if counts is None else counts
    count, places = len(right), bins_of(confidence)
    rng = np.random.default_rng(seed % 2**32)
    gaps = counts * (confidence - right)
    everything = np.arange(count)[None]
    value = float(_errors(gaps[None], everything, places, counts)[0])
    again, by_chance = [], []
    for size in _blocks(count):
        resamples = rng.integers(0, count, (size, count))
        again.append(_errors(gaps[resamples], resamples, places, counts))
    for size in _blocks(count):
        missed = counts * (confidence - (rng.random((size, count)) < confidence))
        by_chance.append(_errors(missed, everything, places, counts))
    least, most = np.quantile(np.concatenate(again), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    room = 3.0 / count if right.min() == right.max() else 0.0
    low = max(2 * value - float(most) - room, 0.0)
    if value <= np.quantile(np.concatenate(by_chance), (1 + LEVEL) / 2):
        low = 0.0
    high = min(2 * value - float(least) + room, 1.0)
    return Interval(value, min(value, low), max(value, high))


def _errors(
    gaps: np.ndarray, items: np.ndarray, places: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """The error of each row of `gaps` (R, N), of `items` that lie in the bins `places`."""
    bins, rows = int(places.max()) + 1, len(gaps)
    cells = places[items] + bins * np.arange(rows)[:, None]
    sums = np.bincount(cells.ravel(), gaps.ravel(), bins * rows).reshape(rows, bins)
    return np.asarray(np.abs(sums).sum(axis=1) / counts[items].sum(axis=1))


def _blocks(count: int) -> Iterator[int]:
    """How many resamples of so many items to draw at a time."""
    size = max(1, _AT_ONCE // count)
    for start in range(0, RESAMPLES, size):
        yield min(size, RESAMPLES - start)


def reliability(
    confidence: np.ndarray, right: np.ndarray, counts: np.ndarray | None = None
) -> list[dict[str, float]]:
    """For each bin its bounds, mean confidence, accuracy and items, the least confident first."""
    counts = np.ones(len(right)) if counts is None else counts
    places = bins_of(confidence)
    diagram = []
    for place in np.unique(places):
        own, hits, weights = (each[places == place] for each in (confidence, right, counts))
        means = {
            "from": own.min(),
            "to": own.max(),
            "confidence": np.average(own, weights=weights),
            "accuracy": np.average(hits, weights=weights),
        }
        diagram.append(
            {name: round(float(share), 5) for name, share in means.items()} | {"items": len(own)}
        )
    return diagram


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """Each item's bin, (N,): equally many items a bin, but equal confidences in the same one."""
    count = len(confidence)
    bins = min(BINS, max(1, count // _IN_A_BIN))
    before = np.searchsorted(np.sort(confidence), confidence)
    return np.asarray(before * bins // count)


def _confidence(outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probability of the likeliest label, and whether it is right: (N,) each."""
    return shares(outputs).max(axis=1), (outputs.argmax(axis=1) == targets).astype(np.float64)


def settled(model: Model | FrozenModel, experiment: Experiment, arm: Arm) -> Model | FrozenModel:
    """The model, whose head now says what its answers on validation decide, such as thresholds."""
    validation, head = experiment.dataset.targets("validation"), model.head
    if len(validation) and experiment.task.reads_maps and not isinstance(head, LinearHead):
        experiment.task.settled(head, arm.outputs["validation"], validation)
    return model
