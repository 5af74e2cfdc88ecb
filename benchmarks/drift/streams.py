"""Planted drift in streams of real items, and none: delay, false alarms, the accuracy range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.drift.sets import Features, Model, features, fitted
from headstart.drift.watching import Event, Watch

SETTING: Final[Mapping[str, tuple[str, str, int, int]]] = {
    # set, the domain it moves to, items to learn from, items held out
    "usps": ("usps", "mnist", 300, 400),
    "mnist": ("mnist", "usps", 300, 400),
    "books": ("books", "electronics", 500, 400),
    "electronics": ("electronics", "books", 500, 400),
    "sst2": ("sst2", "trec", 400, 500),
}
BEFORE: Final = 200  # items before anything moves
AFTER: Final = 400
LENGTH: Final = 2000
KINDS: Final = ("domain", "class mix", "gradual", "recurring")


def run(shared: Path, work: Path, sets: Sequence[str], nulls: int, seeds: int) -> dict[str, Any]:
    """Measure each kind of drift in each set, and so many streams in which nothing moves."""
    rows = []
    alarms = streams = 0
    for name in sets:
        own, other, learned, held_out = SETTING[name]
        found, moved = features(own, shared, work), features(other, shared, work)
        for seed in range(seeds):
            for kind in KINDS:
                rows.append(
                    {"set": name, "kind": kind} | _planted(found, moved, SETTING[name], kind, seed)
                )
        quiet = [_is_alarmed(found, learned, held_out, seed) for seed in range(nulls // len(sets))]
        alarms, streams = alarms + sum(quiet), streams + len(quiet)
        print(f"{name}: {sum(quiet)} of {len(quiet)} quiet streams with an alarm", flush=True)
    for kind in KINDS:
        own_rows = [row for row in rows if row["kind"] == kind]
        delays = [row["delay"] for row in own_rows if row["delay"] is not None]
        print(
            f"{kind}: found {len(delays)} of {len(own_rows)}, median delay "
            f"{np.median(delays) if delays else float('nan'):.0f} items"
        )
    ranges = [row["inside"] for row in rows if row["inside"] is not None]
    covered = float(np.mean(ranges)) if ranges else None
    print(
        f"accuracy ranges hold the truth in {covered}; quiet streams alarmed {alarms} of {streams}"
    )
    return {"rows": rows, "alarms": alarms, "streams": streams, "covered": covered}


def _planted(
    found: Features, moved: Features, setting: tuple[str, str, int, int], kind: str, seed: int
) -> dict[str, Any]:
    """The delay of the first alarm after a drift, and whether its range holds the accuracy."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(found[0]))
    model, (rows, labels) = fitted((found[0][order], found[1][order]), setting[2], setting[3])
    usual = rng.choice(len(rows), BEFORE + 2 * AFTER)  # what is left is drawn from, like a source
    strange, truth = _later((rows, labels), moved, model, kind, rng)
    before = (rows[usual[:BEFORE]], labels[usual[:BEFORE]])
    stream = np.concatenate([before[0], strange]), np.concatenate([before[1], truth])
    events = [event for event in _events(model, stream[0]) if event.is_alarm]
    late = [event for event in events if event.after > BEFORE]
    early = len(late) < len(events)
    result = {"delay": late[0].after - BEFORE if late and not early else None, "early": early}
    return result | {"inside": _inside(model, stream, late[0]) if late else None}


def _later(
    left: Features, moved: Features, model: Model, kind: str, rng: np.random.Generator
) -> Features:
    """The items of a drift of some kind."""
    rows, labels = left
    if kind == "class mix":
        half = model.labels[: max(1, len(model.labels) // 2)]
        places = np.flatnonzero(np.isin(labels, half))
        own = rng.choice(places, AFTER)
        return rows[own], labels[own]
    places, others = rng.choice(len(rows), AFTER), rng.choice(len(moved[0]), AFTER)
    share = {
        "domain": np.ones(AFTER),
        "gradual": np.linspace(0, 1, AFTER),
        "recurring": (np.arange(AFTER) // 100 % 2 == 0).astype(float),
    }[kind]
    new = rng.random(AFTER) < share
    return (
        np.where(new[:, None], moved[0][others], rows[places]),
        np.where(new, moved[1][others], labels[places]),
    )


def _events(model: Model, rows: np.ndarray) -> list[Event]:
    names = [str(number) for number in range(len(rows))]
    watch = Watch(
        model.reference, _shares(model.reference.outputs), [str(label) for label in model.labels]
    )
    outputs = model.outputs(rows)
    return list(watch.add(names, (rows, outputs, _shares(outputs))))


def _shares(outputs: np.ndarray) -> np.ndarray:
    from headstart.evidence.calibration import shares

    return shares(outputs)


def _inside(model: Model, stream: Features, event: Event) -> bool | None:
    """Whether the accuracy in the alarm's window lies in its range; None without common labels."""
    window = slice(event.after - event.window, event.after)
    rows, labels = stream[0][window], stream[1][window]
    if (
        not np.isin(labels, model.labels).all()
        or event.shift is None
        or event.shift.expected is None
    ):
        return None
    right = float((model.labels[model.outputs(rows).argmax(axis=1)] == labels).mean())
    return bool(event.shift.expected.low <= right <= event.shift.expected.high)


def _is_alarmed(found: Features, learned: int, held_out: int, seed: int) -> bool:
    """Whether a stream of items that were never seen, each once, alarms; as long as they last."""
    order = np.random.default_rng(1000 + seed).permutation(len(found[0]))
    model, (rows, _) = fitted((found[0][order], found[1][order]), learned, held_out)
    return any(event.is_alarm for event in _events(model, rows[:LENGTH]))
