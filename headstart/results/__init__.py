"""What the flow answers with: objects that print well in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headstart.evidence import Evidence, Interval
from headstart.features.plan import Cut, Work
from headstart.report import as_columns, as_html, as_text, terminal_curves
from headstart.report.notebook import Printed
from headstart.report.sentences import side_by_side
from headstart.report.words import other_metrics


@dataclass(frozen=True, repr=False)
class Result(Printed):
    """What `fit` and `pretrain` made: the folder of the model, and the evidence for it.

    `stopped` says that the proof was interrupted, so that `prove` can go on with it; `doubt` then
    is why the gain isn't known.
    """

    folder: Path
    evidence: Evidence
    stopped: bool = False
    doubt: str = ""

    @property
    def verdict(self) -> str:
        """`helps`, `no evidence`, `hurts` or `unknown`: of transfer, or of adapting to a target."""
        adaptation = self.evidence.findings.get("adaptation")
        return str(adaptation["verdict"]) if adaptation else self.evidence.verdict

    def record(self) -> dict[str, Any]:
        """The evidence as the artifact keeps it."""
        proof = {"proof": "unfinished" if self.doubt else "stopped"} if self.stopped else {}
        evidence = self.evidence.to_json() | proof
        return evidence | ({"doubt": self.doubt} if self.doubt and evidence["gain"] is None else {})

    def to_json(self) -> dict[str, Any]:
        """The evidence, and where the model is."""
        stopped = {"stopped": True} if self.stopped else {}
        return self.record() | {"out": str(self.folder)} | stopped

    def __str__(self) -> str:
        text = f"{as_text(self.record())}\nSaved in {self.folder}"
        on = f"\nThe proof was stopped. Go on with it: headstart prove {self.folder}"
        return text + on * self.stopped

    def _repr_html_(self) -> str:
        return as_html(self.record())


@dataclass(frozen=True, repr=False)
class Evaluation(Printed):
    """How a saved model does on labelled data."""

    metric: str
    score: Interval
    by_label: dict[str, dict[str, float]]
    data: dict[str, Any]
    overlap: int | None  # items that the model was trained or selected on, where it is known
    metrics: Sequence[Mapping[str, Any]] = ()  # what others say: {"metric", "value", "low", "high"}
    shift: str = ""  # how the items are beside those that the model was held to
    sentences: Mapping[str, Any] = field(default_factory=dict)  # answers that are texts
    alone: str = ""  # where all items are of one group

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        parts = ("shift", "sentences", "alone")
        return {
            "metric": self.metric,
            "score": self.score.to_json(),
            "metrics": list(self.metrics),
            "by_label": self.by_label,
            "overlap": self.overlap,
            "data": self.data,
        } | {name: value for name in parts if (value := getattr(self, name))}

    def __str__(self) -> str:
        score = self.score
        lines = [
            f"{self.metric} {score.value:.3f}, 95 % interval {score.low:.3f} – {score.high:.3f}, "
            f"on {self.data['items']} items"
        ]
        lines += [self.alone] if self.alone else []
        lines += [
            f"  {name}: {row['value']:.3f} of {row['items']:g}"
            for name, row in self.by_label.items()
        ]
        if self.metrics:
            lines.append(other_metrics(self.metrics))
        if self.sentences:
            lines += side_by_side(self.sentences)
        if self.shift:
            lines.append(f"Beside the items it was held to: {self.shift}")
        if self.overlap:
            lines.append(
                f"Warning: {self.overlap} of them were used in training; the score flatters."
            )
        if self.overlap is None:
            lines.append("Warning: what the model was trained on is not recorded.")
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Extracted(Printed):
    """Features that now lie in the store: of how many items, and how many were computed for it."""

    items: int
    computed: int
    dimensions: int
    engine: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The facts as plain values, with the rate of those computed, in items a second."""
        rate = self.computed / self.seconds if self.computed else None
        return {**vars(self), "rate": rate}

    def __str__(self) -> str:
        if not self.computed:
            return f"{self.items} items: all of their {self.dimensions} features were stored."
        return (
            f"{self.items} items of {self.dimensions} features each; {self.computed} computed by "
            f"{self.engine} in {self.seconds:.1f} s, {self.computed / self.seconds:.0f} a second."
        )


@dataclass(frozen=True, repr=False)
class Plan(Printed):
    """Where a strategy lets the network be cut, what each cut costs, and the one `fit` takes."""

    strategy: str
    work: Work
    cuts: tuple[Cut, ...]
    chosen: Cut | None

    def to_json(self) -> dict[str, Any]:
        """{"strategy", "work", "cuts": [{"boundary", "seconds", …}], "chosen": boundary}."""
        return {
            "strategy": self.strategy,
            "work": vars(self.work),
            "cuts": [cut.to_json(self.work) for cut in self.cuts],
            "chosen": self.chosen.boundary if self.chosen else None,
        }

    def __str__(self) -> str:
        titles = ("cut after", "shape", "kB an item", "MB in all", "once, ms", "every epoch, ms")
        rows = [self._row(cut) for cut in self.cuts]
        work = self.work
        return (
            f"{self.strategy}: {work.items} items, {work.trained} of them in each of {work.epochs} "
            f"epochs.\n{as_columns((*titles, 'total, s', ''), rows)}"
        )

    def _row(self, cut: Cut) -> tuple[str, ...]:
        mark = "chosen" if cut == self.chosen else ("" if cut.fits else "too large for the disk")
        return (
            f"{cut.boundary} {cut.after}",
            cut.dimensions,
            f"{cut.size / 1e3:.1f}",
            f"{cut.size * self.work.rows / 1e6:.0f}",
            f"{1e3 * (cut.prefix + cut.moved):.2f}",
            f"{1e3 * (cut.frozen + cut.moved):.2f}",
            f"{cut.seconds(self.work):.1f}",
            f"{mark}, stored" if cut.stored and mark else mark or "stored" * cut.stored,
        )


@dataclass(frozen=True, repr=False)
class Reported(Printed):
    """What was measured when a model was made, and the page that shows it."""

    evidence: Mapping[str, Any]
    page: Path

    def to_json(self) -> dict[str, Any]:
        """The evidence, with the page's path as `report`."""
        return {**self.evidence, "report": str(self.page)}

    def __str__(self) -> str:
        parts = (as_text(dict(self.evidence)), terminal_curves(self.evidence))
        return "\n\n".join([*filter(None, parts), f"More in {self.page}"])


@dataclass(frozen=True, repr=False)
class Exported(Printed):
    """A file of features: of how many items, of what kind of labels, and items by split.

    `kind` is empty where the data name no labels; `engine`, where all features were stored already.
    """

    path: Path
    items: int
    dimensions: int
    kind: str
    splits: Mapping[str, int]
    engine: str

    def to_json(self) -> dict[str, Any]:
        """The facts as plain values."""
        return {**vars(self), "path": str(self.path), "splits": dict(self.splits)}

    def __str__(self) -> str:
        splits = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        labels = self.kind or "no labels"
        return (
            f"{self.items} items of {self.dimensions} features each, with {labels}, "
            f"written to {self.path} ({splits})."
        )


@dataclass(frozen=True)
class Model:
    """One pretrained model on this machine.

    `place` is its file or folder and `bytes` its size on disk, both None where its hub doesn't say;
    `weights_hash` is of its tensors, and `seconds` what finding and loading it took.
    """

    reference: str
    place: str | None
    bytes: int | None
    licence: str | None
    trained_on: str | None
    weights_hash: str
    seconds: float
    bundled: str | None = None  # its folder in the bundle


@dataclass(frozen=True, repr=False)
class Fetched(Printed):
    """The models that are here now, and by reference why others are not."""

    models: Sequence[Model]
    failed: Mapping[str, str]
    bundle: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """{"models": [{"reference", "place", …}], "failed": {reference: reason}, "bundle"}."""
        return {
            "models": [asdict(model) for model in self.models],
            "failed": dict(self.failed),
            "bundle": None if self.bundle is None else str(self.bundle),
        }

    def __str__(self) -> str:
        rows = [
            (
                model.reference,
                "?" if model.bytes is None else f"{max(model.bytes / 1e6, 0.1):.1f} MB",
                model.licence or "?",
                model.weights_hash[:19],
                f"{model.seconds:.1f}",
                model.place or "?",
            )
            for model in self.models
        ]
        titles = ("reference", "on disk", "licence", "hash of its tensors", "seconds", "where")
        lines = [as_columns(titles, rows)] if rows else []
        lines += [f"{reference} failed: {reason}" for reference, reason in self.failed.items()]
        if self.bundle is not None:
            lines.append(f"The bundle is {self.bundle}; its README.md says how to use it.")
        return "\n".join(lines)
