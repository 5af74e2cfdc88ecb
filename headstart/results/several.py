"""What a run of several tasks came to: each task's evidence, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.report import as_columns, as_table
from headstart.report.notebook import Printed
from headstart.report.words import gains
from headstart.results import Evaluation

_SHARED = (
    "All heads read the same frozen features, so that no task can change another: each is what a "
    "fit of it alone on these features is, by construction."
)
_JOINT = (
    "One network was trained from random weights for all tasks together, their losses divided by "
    "those of the naive models and weighed alike: each is a source to transfer from."
)
_APART = "Not all tasks have the same network: each was fitted as it would be alone."


@dataclass(frozen=True, repr=False)
class Results(Printed):
    """What `fit` made of several tasks: the model's folder, and the evidence for each task.

    `tasks` holds what `evidence.json` of each says, `folders` the name of its folder in the
    model's, which is a saved model of that task alone. `shared` says that all read the same
    features; `stopped`, that an interrupt ended the proof. `joint` says what training one network
    for all was to each task, over one of its own (`together`), and with one other (`affinity`).
    """

    folder: Path
    tasks: Mapping[str, Mapping[str, Any]]
    folders: Mapping[str, str]
    shared: bool = True
    stopped: bool = False
    joint: Mapping[str, Any] | None = None

    @property
    def verdicts(self) -> dict[str, str]:
        """For each task `helps`, `no evidence`, `hurts` or `unknown`."""
        return {name: str(own["verdict"]) for name, own in self.tasks.items()}

    def to_json(self) -> dict[str, Any]:
        """{"tasks": {name: evidence}, "folders": {name: folder}, "shared", "out"}."""
        return {
            "tasks": {name: dict(own) for name, own in self.tasks.items()},
            "folders": dict(self.folders),
            "shared": self.shared,
            "joint": None if self.joint is None else dict(self.joint),
            "out": str(self.folder),
        } | ({"stopped": True} if self.stopped else {})

    @staticmethod
    def columns() -> tuple[str, ...]:
        """The titles of `rows`."""
        return ("task", "items", "metric", "score", "simple method", "from scratch", "transfer")

    def rows(self) -> list[tuple[str, ...]]:
        """One row a task: how it scores with its interval, beside what it must beat."""
        return [_row(name, own) for name, own in self.tasks.items()]

    def sentences(self) -> Iterator[str]:
        """What is to be known besides the table."""
        yield f"{len(self.tasks)} tasks, each judged on its own held-out items (95 % intervals)."
        joint = all(own["strategy"] == "scratch" for own in self.tasks.values())
        if self.joint:
            yield from self._compared(self.joint)
        else:
            yield (_JOINT if joint else _SHARED) if self.shared else _APART
        for name, own in self.tasks.items():
            yield from (f"Warning: {name}: {text}" for text in own.get("warnings", ()))

    def _compared(self, joint: Mapping[str, Any]) -> Iterator[str]:
        """What training together was to each task, and with which other it helps or hurts."""
        behind = ", ".join(joint["behind"])
        yield (
            f"Validation is clearly worse for {behind} with one network for all: each has its own."
            if behind
            else "One network was trained for all; validation is clearly worse for none of them."
        )
        for name, gain in joint["together"].items():
            yield f"{name}: all together {self._gain(name, gain)} over alone{_effect(gain)}."
        for name, row in joint["affinity"].items() if len(self.tasks) > 2 else ():
            for other, gain in row.items():
                yield f"{name}: with {other} {self._gain(name, gain)} over alone{_effect(gain)}."

    def _gain(self, name: str, gain: Mapping[str, Any]) -> str:
        ahead, low, high = gains(gain, self.tasks[name])
        return f"{ahead} ({low} to {high})"

    def __str__(self) -> str:
        first, *others = self.sentences()
        own = ", ".join(f"{name} in {folder}" for name, folder in self.folders.items())
        where = f"Saved in {self.folder}, which answers all; each task alone: {own}"
        return "\n".join([first, as_columns(self.columns(), self.rows()), *others, where])

    def _repr_html_(self) -> str:
        first, *others = self.sentences()
        return as_table(first, self.columns(), self.rows(), others)


@dataclass(frozen=True, repr=False)
class Evaluations(Printed):
    """How a saved model does on labelled data: each task, and by name why others weren't scored."""

    tasks: Mapping[str, Evaluation]
    without: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """{"tasks": {name: what `Evaluation` says}, "without": {name: why}}."""
        each = {name: own.to_json() for name, own in self.tasks.items()}
        return {"tasks": each, "without": dict(self.without)}

    def __str__(self) -> str:
        lines = [f"{name}: {own}" for name, own in self.tasks.items()]
        return "\n".join([*lines, *(f"{n}: not scored: {why}" for n, why in self.without.items())])


def _row(name: str, own: Mapping[str, Any]) -> tuple[str, ...]:
    arms, simple = own["arms"], own.get("over_baseline", {}).get("name", "naive")
    beside = f"{_value(arms[simple])} ({simple})" if simple in arms else ""
    scratch = _value(arms["scratch"]) if "scratch" in arms else "not trained"
    items = str(own["data"]["items"])
    verdict = own["verdict"]
    if own["strategy"] == "scratch":
        ahead, low, high = gains(own["over_naive"], own)
        scratch, verdict = "is it", f"{ahead} over naive ({low} to {high})"
    return (name, items, own["metric"], _value(arms["chosen"]), beside, scratch, verdict)


def _effect(gain: Mapping[str, Any]) -> str:
    """What an interval says of training tasks together."""
    if gain["low"] > 0:
        return ": it helps"
    return ": it hurts" if gain["high"] < 0 else ""


def _value(arm: Mapping[str, Any]) -> str:
    return f"{arm['value']:.3f} ({arm['low']:.3f} – {arm['high']:.3f})"
