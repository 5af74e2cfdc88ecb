"""Planted drift in streams of real items, and none: delay, false alarms, the accuracy range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.adaptation import domains
from benchmarks.adaptation.domains import PAIRS
from benchmarks.drift.sets import Features, Model, features, fitted
from headstart.drift.answers import answers_of, as_answers
from headstart.drift.watching import LENGTH, Event, Watch
from headstart.evidence.calibration import shares

MOVED: Final = {  # pairs of domains, of which the first is what the model knows; without commas,
    str(pair).replace(",", ""): pair  # by which a user parts their names
    for pair in PAIRS
    if (pair.features != "pixels" and pair.source in ("mnist", "usps", "books", "films", "flowers"))
    or pair.kind.startswith("spoken digits")
}
QUIET: Final = {"banking77": (900, 400), "flowers": (600, 400)}  # items to learn from, held out
LEARNED, HELD_OUT = 0.3, 0.35  # of a domain's items, in streams that move
BEFORE: Final = 200  # items before anything moves
AFTER: Final = 400
KINDS: Final = ("another domain", "gradual", "recurring", "class mix")


@dataclass(frozen=True)
class Stream:
    """A model, what it is asked in this order, and the right answers as it calls them.

    `begins` is the number of items before anything moves; all of them where nothing does. `about`
    are the set, the kind of drift and the draw.
    """

    model: Model
    rows: np.ndarray
    truth: np.ndarray
    begins: int
    about: Mapping[str, Any]

    def accuracy(self, first: int, last: int) -> float | None:
        """That of the answers to items `first` to `last`; None where labels are unknown to it."""
        truth = self.truth[first:last]
        if not np.isin(truth, self.model.labels).all():
            return None
        outputs = self.model.outputs(self.rows[first:last])
        return float((self.model.labels[outputs.argmax(axis=1)] == truth).mean())


def planted(shared: Path, work: Path, pairs: Sequence[str], seeds: int) -> Iterator[Stream]:
    """Each kind of drift in each pair of domains, so many draws of it."""
    for name in pairs:
        pair = MOVED[name]
        own, moved = (
            _with_text_labels(domains.features(side, pair.features, shared, work / "adaptation"))
            for side in (pair.source, pair.target)
        )
        for seed in range(seeds):
            for kind in KINDS:
                yield _planted(own, moved, kind, {"set": name, "kind": kind, "seed": seed})


def quiet(shared: Path, work: Path, sets: Sequence[str], count: int) -> Iterator[Stream]:
    """So many streams of 2,000 items in which nothing moves, from each set as many.

    Each item comes once: what is learned from, held out and streamed is one random order of a set.
    """
    for number in range(count):
        name = sets[number % len(sets)]
        own = features(name, shared, work / "drift")
        order = np.random.default_rng(number).permutation(len(own[0]))
        model, (rows, truth) = fitted((own[0][order], own[1][order]), *QUIET[name], exact=False)
        if len(rows) < LENGTH:
            raise ValueError(f"{name} has too few items")
        about = {"set": name, "kind": "nothing", "seed": number}
        yield Stream(model, rows[:LENGTH], truth[:LENGTH], LENGTH, about)


def watched(stream: Stream, by_log: bool = False) -> dict[str, Any]:
    """When the first alarm comes after the drift, whether one came before, and its range.

    `by_log` shows answers and their familiarity alone, as a log does.
    """
    events = (event for event in _events(stream, by_log) if event.is_alarm)
    first = next(events, None)
    row: dict[str, Any] = {"delay": None, "early": False, "inside": None}
    if first is None:
        return row
    if first.after <= stream.begins:
        return row | {"early": True}
    return row | {"delay": first.after - stream.begins, "inside": _inside(stream, first)}


def _with_text_labels(rows_and_labels: tuple[np.ndarray, np.ndarray]) -> Features:
    return rows_and_labels[0], rows_and_labels[1].astype(str)


def _planted(own: Features, moved: Features, kind: str, about: Mapping[str, Any]) -> Stream:
    rng = np.random.default_rng(about["seed"])
    count = len(own[0])
    order = rng.permutation(count)
    sizes = round(LEARNED * count), round(HELD_OUT * count)
    model, (rows, labels) = fitted((own[0][order], own[1][order]), *sizes)
    usual = rng.choice(len(rows), BEFORE)  # what is left is drawn from, like a source
    strange, truth = _later((rows, labels), moved, model, kind, rng)
    return Stream(
        model,
        np.concatenate([rows[usual], strange]),
        np.concatenate([labels[usual], truth]),
        BEFORE,
        about,
    )


def _later(
    rest: Features, moved: Features, model: Model, kind: str, rng: np.random.Generator
) -> Features:
    """The items of a drift of some kind."""
    rows, labels = rest
    if kind == "class mix":
        half = model.labels[: max(1, len(model.labels) // 2)]
        places = np.flatnonzero(np.isin(labels, half))
        own = rng.choice(places, AFTER)
        return rows[own], labels[own]
    places, others = rng.choice(len(rows), AFTER), rng.choice(len(moved[0]), AFTER)
    share = {
        "another domain": np.ones(AFTER),
        "gradual": np.linspace(0, 1, AFTER),
        "recurring": (np.arange(AFTER) // 100 % 2 == 0).astype(float),
    }[kind]
    new = rng.random(AFTER) < share
    return (
        np.where(new[:, None], moved[0][others], rows[places]),
        np.where(new, moved[1][others], labels[places]),
    )


def _events(stream: Stream, by_log: bool) -> Iterator[Event]:
    model, names = stream.model, [str(number) for number in range(len(stream.rows))]
    labels = [str(label) for label in model.labels]
    outputs, reference = model.outputs(stream.rows), model.reference
    rows, chances = stream.rows, shares(outputs)
    if by_log:
        reference = as_answers(reference, shares(reference.outputs), familiarity=True)
        rows = answers_of(chances, model.familiarity(stream.rows, outputs))
    watch = Watch(reference, shares(reference.outputs), labels)
    return watch.add(names, (rows, outputs, chances))


def _inside(stream: Stream, event: Event) -> bool | None:
    """Whether the accuracy in the alarm's window lies in its range; None without common labels."""
    expected = event.shift.expected if event.shift else None
    right = stream.accuracy(event.after - event.window, event.after)
    if expected is None or right is None:
        return None
    return bool(expected.low <= right <= expected.high)
