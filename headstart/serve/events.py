"""What happens when in long recordings: windows are answered, and alike neighbours joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from headstart.data import Input
from headstart.data.sources import InlineSource, PartSource
from headstart.errors import DataError, HeadstartError
from headstart.features.export import demand_free, whole
from headstart.report import as_columns, as_table
from headstart.report.notebook import Printed
from headstart.serve.windowing import Windowing
from headstart.serve.written import ROW_WRITERS

if TYPE_CHECKING:
    from headstart.serve.predictions import Prediction
    from headstart.serve.predictor import Predictor

AUDACITY: Final = ".txt"
SUFFIXES: Final = (".csv", ".parquet", ".jsonl", AUDACITY)
_SHOWN: Final = 1000  # events in a notebook
_TITLES: Final = ("recording", "start", "end", "label", "probability")

Answers = Callable[[Iterable[Input]], Iterable["Prediction"]]


@final
@dataclass(frozen=True)
class Event:
    """What a recording holds from `start` to `end` seconds: a label, or a number.

    `probability` is the average over that time; `error` says why a recording has no events.
    """

    path: str
    start: float | None = None
    end: float | None = None
    label: str | float | None = None
    probability: float | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """{"path", "start", "end", "label", "probability", "error"}, None for what there isn't."""
        return {**vars(self), "error": self.error or None}

    def cells(self) -> tuple[str, ...]:
        """As a line of a table for people."""
        if self.error:
            return self.path, "", "", f"no answer: {self.error}", ""
        times = (f"{seconds:.2f}" for seconds in (self.start, self.end) if seconds is not None)
        label = f"{self.label:.5g}" if isinstance(self.label, float) else str(self.label)
        likely = "" if self.probability is None else f"{self.probability:.3f}"
        return self.path, *times, label, likely


@final
class Events(list[Event]):
    """The events of recordings, in their order."""

    @property
    def failed(self) -> Sequence[Event]:
        """Recordings that could not be read, each with its error."""
        return [event for event in self if event.error]

    def write(self, path: str | Path) -> EventFile:
        """Write .csv, .parquet or .jsonl, or .txt as Audacity imports labels, of one recording.

        Raises HeadstartError where the place is taken, and for several recordings as .txt.
        """
        place = destination(Path(path))
        recordings = len({event.path for event in self})
        if place.suffix.lower() == AUDACITY and recordings > 1:
            raise HeadstartError(
                f"{place} would hold labels of {recordings} recordings, and Audacity reads those "
                "of one. Name a .csv, or one recording."
            )
        rows = [event.to_json() for event in self]
        with whole([place]) as (draft,):
            if place.suffix.lower() == AUDACITY:
                draft.write_text("".join(map(_as_label, self)), encoding="utf-8")
            else:
                columns = next(iter(sorted(rows, key=lambda row: row["error"] is not None)), None)
                sample = columns or Event("").to_json()
                ROW_WRITERS[place.suffix.lower()](draft, sample, iter(rows))
        return EventFile(place, len(self) - len(self.failed), self.failed)

    def __repr__(self) -> str:
        return f"<Events: {len(self)}>"

    def to_json(self) -> dict[str, Any]:
        """{"events": [{"path", "start", "end", "label", "probability", "error"}]}."""
        return {"events": [event.to_json() for event in self]}

    def __str__(self) -> str:
        return as_columns(_TITLES, [event.cells() for event in self]) if self else _NOTHING

    def _repr_html_(self) -> str:
        rows = [event.cells() for event in self[:_SHOWN]]
        more = len(self) - _SHOWN
        return as_table("", _TITLES, rows, [f"… and {more} more."] if more > 0 else [])


_NOTHING: Final = "No event is as likely as that. A lower --least finds more."


@final
@dataclass(frozen=True, repr=False)
class EventFile(Printed):
    """A file of events, and the recordings that could not be read."""

    path: Path
    events: int
    failed: Sequence[Event]

    def to_json(self) -> dict[str, Any]:
        """{"out", "events", "failed": [{"path", "error"}]}."""
        failed = [{"path": each.path, "error": each.error} for each in self.failed]
        return {"out": str(self.path), "events": self.events, "failed": failed}

    def __str__(self) -> str:
        lines = [f"{each.path}: no answer: {each.error}" for each in self.failed]
        return "\n".join([f"{self.events} events are in {self.path}.", *lines])


def destination(path: Path) -> Path:
    """The place to write to. Raises HeadstartError where it is taken, or its suffix not known."""
    return demand_free(path, [path], SUFFIXES, "events")


def events_of(
    predictor: Predictor, inputs: Iterable[Input], windowing: Windowing, abstain: bool = False
) -> Events:
    """The events in recordings by a saved model; with `abstain` only those of familiar windows.

    Raises HeadstartError for a model of items that have no length, and of several tasks or boxes.
    """
    modality = predictor.reader.modality
    usual = modality.heard(predictor.reader.preprocess)
    if usual is None:
        raise HeadstartError(
            f"Events are found in recordings, and the model answers about {_items(predictor)}. "
            "Leave --events out."
        )

    def answers(windows: Iterable[Input]) -> Iterable[Prediction]:
        return predictor.stream(list(windows), abstain=abstain)

    return Events(
        event for each in inputs for event in _events(each, predictor, windowing, usual, answers)
    )


def _items(predictor: Predictor) -> str:
    return "texts" if predictor.reader.modality.inline else "items that have no length"


def _events(
    each: Input, predictor: Predictor, windowing: Windowing, usual: float, answers: Answers
) -> Iterator[Event]:
    """Those of one recording; one with its error where it can't be read."""
    modality = predictor.reader.modality
    try:
        raw = each.item.read()
        length = modality.length(raw)
        spans = windowing.spans(length, usual)
    except DataError as error:
        yield Event(each.name, error=each.problem or str(error).rstrip("."))
        return
    whole_item = InlineSource(raw)
    parts = (
        Input(each.name, PartSource(whole_item, modality, start, end))
        for start, end in spans.tolist()
    )
    rows: list[Mapping[str, float]] = []
    for answer in answers(parts):
        if answer.error:
            yield Event(each.name, error=answer.error)
            return
        rows.append(_scores(answer))
    yield from _joined(each.name, spans, rows, windowing.least)


def _scores(answer: Prediction) -> Mapping[str, float]:
    """The probability of each label, or the number under the empty name; nothing where it abstains.

    Raises HeadstartError for answers that are neither.
    """
    if answer.abstained:
        return {}
    if answer.answer.get("probabilities"):
        return answer.probabilities
    if isinstance(answer.answer.get("value"), float):
        return {"": float(answer.answer["value"])}
    raise HeadstartError(
        "Events need a model that answers one question with labels or a number, and this one "
        "answers otherwise. Leave --events out."
    )


def _joined(
    path: str, spans: np.ndarray, rows: Sequence[Mapping[str, float]], least: float
) -> Iterator[Event]:
    """Windows as events: averaged where they overlap, and joined where neighbours say the same."""
    labels = list(dict.fromkeys(name for row in rows for name in row))
    edges = np.unique(spans)
    means = _averages(np.searchsorted(edges, spans), rows, labels)
    if labels == [""]:
        for start, end, value in zip(edges, edges[1:], means[:, 0], strict=False):
            if not np.isnan(value):
                yield Event(path, round(float(start), 3), round(float(end), 3), float(value))
        return
    exclusive = all(abs(sum(row.values()) - 1) < 1e-3 for row in rows if row)
    likely = means >= least
    if exclusive and labels:
        likely &= means == means.max(axis=1, keepdims=True)
    events = [
        Event(
            path,
            round(float(edges[first]), 3),
            round(float(edges[last]), 3),
            name,
            float(np.average(means[first:last, column], weights=np.diff(edges[first : last + 1]))),
        )
        for column, name in enumerate(labels)
        for first, last in _runs(likely[:, column])
    ]
    yield from sorted(events, key=lambda event: (event.start or 0.0, str(event.label)))


def _averages(
    places: np.ndarray, rows: Sequence[Mapping[str, float]], labels: Sequence[str]
) -> np.ndarray:
    """What windows (N, 2) of places say on average between each place and the next, (P, labels).

    NaN where no window lies. A window without an answer counts against labels, not as a number.
    """
    values = np.array([[row.get(name, 0.0) for name in labels] for row in rows])
    sums = np.zeros((int(places.max()) + 1, len(labels) + 1))
    counts = np.array([[bool(row) or labels != [""]] for row in rows], float)
    columns = np.hstack([values.reshape(len(rows), -1), counts])
    np.add.at(sums, places[:, 0], columns)
    np.subtract.at(sums, places[:, 1], columns)
    total = np.cumsum(sums, axis=0)[:-1]
    windows = np.round(total[:, -1:])
    return np.where(windows > 0, total[:, :-1] / np.maximum(windows, 1), np.nan)


def _runs(marks: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where runs of true marks begin and end."""
    place = 0
    for mark, run in groupby(marks.tolist()):
        count = sum(1 for _ in run)
        if mark:
            yield place, place + count
        place += count


def _as_label(event: Event) -> str:
    """A line of Audacity's label track; nothing for an error."""
    if event.error:
        return ""
    label = " ".join(event.cells()[3].split())
    return f"{event.start:.6f}\t{event.end:.6f}\t{label}\n"
