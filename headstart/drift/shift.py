"""How far new items are from those that a model was held to: by what, which, and with what harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np

from headstart.drift import two_sample
from headstart.drift.accuracy import Expected, expected
from headstart.drift.familiarity import Familiarity
from headstart.drift.limits import UNFAMILIAR
from headstart.drift.reference import Reference, chosen
from headstart.drift.two_sample import Test

_TAIL = 0.025  # beyond each bound
_STEPS: Final = 100
_ENOUGH: Final = 1e-5
_RESAMPLES: Final = 100
_MANY: Final = 200_000  # probabilities, from which on fewer samples are drawn, as each takes long
_FEW_RESAMPLES: Final = 20
FURTHEST: Final = 10  # items that are named
LEVEL: Final = 0.05
FEWEST: Final = 20  # items of either sample, below which hardly any shift would be seen


@final
@dataclass(frozen=True)
class Answered:
    """New items as a model sees and answers them.

    `names` (M,), `features` (M, D), `outputs` (M, labels), and `predictions` (M, labels), which are
    probabilities where the model answers with classes.
    """

    names: Sequence[str]
    features: np.ndarray
    outputs: np.ndarray
    predictions: np.ndarray
    measures: Mapping[str, np.ndarray] = field(default_factory=dict)

    def part(self, places: np.ndarray) -> Answered:
        """Some of them; the measures, which need not be of all, stay."""
        rows = (self.features[places], self.outputs[places], self.predictions[places])
        return Answered([self.names[place] for place in places.tolist()], *rows, self.measures)


@final
@dataclass(frozen=True)
class Shift:
    """Two samples compared; `inputs` is the test within each answer, `mix` that of the answers.

    `apart` is the AUC of a classifier that tells the samples apart. Without classes there is no
    `mix`, no `shares` and nothing `expected`. `measures` are numbers about items by name, such as
    tokens a word: the means on both sides, with Kolmogorov and Smirnov's test. `repeated` new items
    were held-out ones themselves and are not among `items`.
    """

    items: tuple[int, int]
    apart: Test
    whole: Test
    inputs: Test
    by_dimension: Mapping[str, Any]
    unfamiliar: float
    furthest: Sequence[Mapping[str, Any]]
    mix: Test | None = None
    shares: Sequence[Mapping[str, Any]] = ()
    expected: Expected | None = None
    measures: Sequence[Mapping[str, Any]] = field(default_factory=list)
    repeated: int = 0

    @property
    def inputs_moved(self) -> bool:
        """Whether items look other than before, among those with one answer, too."""
        return self.inputs.p <= LEVEL

    @property
    def mix_moved(self) -> bool:
        """Whether classes come more or less often than before."""
        return self.mix is not None and self.mix.p <= LEVEL and not self._unanswerable

    @property
    def moved(self) -> bool:
        """Whether anything did, at 5 % over the tests for it."""
        return min(self.apart.p, self.whole.p) <= LEVEL / 2

    @property
    def _unanswerable(self) -> bool:
        """Whether so much is unlike anything seen that shares of classes mean nothing."""
        return self.expected is not None and self.expected.outside

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "items": list(self.items),
            "repeated": self.repeated,
            "moved": self.moved,
            "inputs_moved": self.moved and self.inputs_moved,
            "mix_moved": self.moved and self.mix_moved,
            "apart": self.apart.to_json(),
            "mmd": self.whole.to_json(),
            "mmd_within_answers": self.inputs.to_json(),
            "mix": self.mix.to_json() if self.mix else None,
            "by_dimension": dict(self.by_dimension),
            "unfamiliar": round(self.unfamiliar, 5),
            "shares": [dict(row) for row in self.shares],
            "expected": self.expected.to_json() if self.expected else None,
            "furthest": [dict(row) for row in self.furthest],
            "measures": [dict(row) for row in self.measures],
        }


def compared(
    reference: Reference,
    predictions: np.ndarray,
    new: Answered,
    labels: Sequence[str],
    seed: int = 0,
) -> Shift:
    """New items against held-out ones, for which `predictions` (N, labels) are the model's.

    At most 500 of each are tested, drawn at random where there are more; familiarity and expected
    accuracy are over all.
    """
    rng = np.random.default_rng(seed % 2**32)
    classes = reference.answers_classes
    part = new.part(chosen(len(new.names), seed))
    second = np.arange(len(reference) + len(part.names)) >= len(reference)
    rows = two_sample.standardised(reference.features, part.features)
    alike = two_sample.kernel(rows)
    answers = np.concatenate([reference.outputs, part.outputs]).argmax(axis=1) if classes else None
    familiarity = Familiarity(reference)(new.features, new.outputs)
    chances = np.concatenate([predictions, part.predictions])
    return Shift(
        items=(len(reference), len(new.names)),
        apart=two_sample.told_apart(rows, second, rng)[0],
        whole=two_sample.mmd(alike, second, rng),
        inputs=two_sample.mmd(alike, second, rng, strata=answers),
        by_dimension=two_sample.by_dimension(reference.features, part.features),
        unfamiliar=float((familiarity <= UNFAMILIAR).mean()),
        furthest=_furthest(reference, new, familiarity, labels),
        mix=two_sample.mean_shift(chances, second, rng) if classes else None,
        shares=_shares(predictions, new, familiarity, labels, rng) if classes else (),
        expected=expected((predictions, reference.targets), new.predictions, familiarity)
        if classes and reference.labelled
        else None,
        measures=_measures(reference, new),
    )


def _furthest(
    reference: Reference, new: Answered, familiarity: np.ndarray, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The new items that lie furthest out, the furthest first."""
    out = Familiarity(reference).distances(new.features, new.outputs)
    classes = reference.answers_classes
    rows = []
    for place in np.argsort(-out, kind="stable")[:FURTHEST].tolist():
        row = {"item": new.names[place], "familiarity": round(float(familiarity[place]), 5)}
        answer = {"answer": labels[int(new.outputs[place].argmax())]} if classes else {}
        rows.append(row | answer | {"distance": round(float(out[place]), 3)})
    return rows


def _measures(reference: Reference, new: Answered) -> list[dict[str, Any]]:
    """Numbers about items that both samples have: means, and the test of Kolmogorov and Smirnov."""
    rows = []
    for name, before in reference.measures.items():
        if name not in new.measures:
            continue
        now = new.measures[name]
        test = two_sample.by_dimension(before[:, None], now[:, None])
        means = {"before": round(float(before.mean()), 4), "now": round(float(now.mean()), 4)}
        rows.append({"name": name, **means, "ks": test["largest"], "p": test["p"]})
    return rows


def _shares(
    predictions: np.ndarray,
    new: Answered,
    familiarity: np.ndarray,
    labels: Sequence[str],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Each class' share before and now with its interval, the most changed first."""
    before = predictions.mean(axis=0)
    now, low, high = with_interval(new.predictions, predictions, rng)
    answers = new.outputs.argmax(axis=1)
    rows = []
    for place in np.argsort(-np.abs(now - before), kind="stable").tolist():
        own = familiarity[answers == place]
        unlike = round(float((own <= UNFAMILIAR).mean()), 5) if len(own) else None
        numbers = {"before": before[place], "now": now[place], "low": low[place]}
        numbers["high"] = high[place]
        shares = {name: round(float(value), 5) for name, value in numbers.items()}
        changed = not low[place] <= before[place] <= high[place]
        rows.append({"label": labels[place]} | shares | {"changed": changed, "unfamiliar": unlike})
    return rows


def shares_of(chances: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The shares of classes (labels,) among items with probabilities (N, labels).

    `before` (labels,) are the shares among the items by which the probabilities were calibrated.
    Expectation maximisation of the likelihood (Saerens et al. 2002), which holds where the inputs
    of each class are what they were.
    """
    shares = before.copy()
    for _ in range(_STEPS):
        weighed = chances * (shares / np.maximum(before, 1e-12))
        new = (weighed / np.maximum(weighed.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
        done = float(np.abs(new - shares).max()) < _ENOUGH
        shares = new
        if done:
            break
    return np.asarray(shares)


def with_interval(
    chances: np.ndarray, held_out: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares among new items, (labels,), with 95 % bounds, by both probabilities.

    Both samples are drawn anew, as what is known of the model is from few items, too.
    """
    resampled = [
        shares_of(
            chances[rng.integers(0, len(chances), len(chances))],
            held_out[rng.integers(0, len(held_out), len(held_out))].mean(axis=0),
        )
        for _ in range(_RESAMPLES if chances.size <= _MANY else _FEW_RESAMPLES)
    ]
    value = shares_of(chances, held_out.mean(axis=0))
    low, high = np.quantile(resampled, [_TAIL, 1 - _TAIL], axis=0)
    least, most = _TAIL ** (1 / len(chances)), 1 - _TAIL ** (1 / len(chances))
    low, high = np.minimum(low, least), np.maximum(high, most)  # as for none, or all, of so many
    return value, np.minimum(low, value), np.maximum(high, value)
