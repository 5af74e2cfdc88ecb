"""What was suggested before, and what the labels that came since have changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import log
from pathlib import Path
from typing import Any, Final, final

from headstart.features.cache import write_whole

SUFFIX: Final = ".suggested.json"  # after the model's name, beside its folder
FORMAT: Final = 1
_LARGEST: Final = 64 * 2**20  # bytes of a record that is read


@final
@dataclass(frozen=True)
class ModelScore:
    """A model as it was judged: which weights, the score with its interval, on which items."""

    weights: str
    metric: str
    value: float
    low: float
    high: float
    held_out: frozenset[str] = frozenset()
    labels: int = 0  # items with labels that it was made with

    @classmethod
    def of(
        cls, weights: str, evidence: Mapping[str, Any], splits: Mapping[str, Sequence[str]]
    ) -> ModelScore:
        """From a saved model's evidence. Raises LookupError, TypeError or ValueError without."""
        arm = evidence["arms"]["chosen"]
        value, low, high = (float(arm[name]) for name in ("value", "low", "high"))
        used = sum(len(part) for part in splits.values())
        held_out = frozenset(splits.get("test", ()))
        return cls(weights, str(evidence["metric"]), value, low, high, held_out, used)

    def with_interval(self) -> str:
        """The score with its interval."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@final
@dataclass(frozen=True)
class Change:
    """What became of earlier suggestions, and the scores before and after, as one sentence says."""

    suggested: int
    labelled: int
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        """{"suggested", "labelled", "before": {"value", …}, "after", "said"}."""
        record = asdict(self)
        return record | {"said": record.pop("sentence")}


@final
@dataclass(frozen=True)
class SuggestionRecord:
    """One run's suggestions on disk: what was suggested when, by which model; hashes say what.

    `change` is what that run itself told of earlier suggestions, so that it can be told again.
    """

    date: str
    score: ModelScore
    items: tuple[str, ...]
    change: Change | None = None

    def write(self, place: Path) -> None:
        """Write it whole, or not at all. Raises OSError."""
        content = asdict(self)
        score = content.pop("score") | {"held_out": sorted(self.score.held_out)}
        content |= {"judged": score, "format": FORMAT}
        write_whole(place, json.dumps(content, indent=1, ensure_ascii=False))

    @classmethod
    def read(cls, place: Path) -> SuggestionRecord | None:
        """The record in a file; None for what is none."""
        try:
            if place.stat().st_size > _LARGEST:
                return None
            content = json.loads(place.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                return None
            score = ModelScore(
                **content["judged"] | {"held_out": frozenset(content["judged"]["held_out"])}
            )
            score.with_interval()
            change = Change(**content["change"]) if content["change"] else None
            return cls(
                str(datetime.fromisoformat(content["date"])),
                score,
                tuple(content["items"]),
                change,
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None


def place_of(model: Path) -> Path:
    """Where a model's suggestions are kept: beside its folder, for a refit in its place to see."""
    whole = model.absolute()
    return whole.with_name(f"{whole.name}{SUFFIX}")


def changed(model: Path, now: ModelScore, labelled: frozenset[str]) -> Change | None:
    """What the latest suggestions beside a model changed that it has since been made with.

    `labelled` are the identities of all items with labels that it was made or judged with. None
    where no other model's suggestions are among them. The latest one that this very model told of
    is told again.
    """
    own = SuggestionRecord.read(place_of(model))
    if own is not None and own.score.weights == now.weights:
        return own.change
    records = map(SuggestionRecord.read, sorted(model.absolute().parent.glob(f"*{SUFFIX}")))
    earlier = [
        each
        for each in records
        if each and each.score.weights != now.weights and labelled.intersection(each.items)
    ]
    if not earlier:
        return None
    last = max(earlier, key=lambda each: each.date)
    count = len(labelled.intersection(last.items))
    return Change(
        len(last.items), count, _score(last.score), _score(now), _sentence(last, now, count)
    )


def _score(state: ModelScore) -> dict[str, Any]:
    numbers = {name: getattr(state, name) for name in ("metric", "value", "low", "high", "labels")}
    return numbers | {"held_out": len(state.held_out)}


def _sentence(last: SuggestionRecord, now: ModelScore, count: int) -> str:
    """How many have labels now, the scores, and how far these can be compared."""
    before = last.score
    sentence = (
        f"Of the {len(last.items)} items suggested on {last.date[:10]}, {count} have labels now. "
        f"With {before.labels} labels the model reached {before.with_interval()} {before.metric} "
        f"on {len(before.held_out)} held-out items, with {now.labels} labels {now.with_interval()} "
        f"on {len(now.held_out)}"
    )
    if before.metric != now.metric:
        return f"{sentence}, by {now.metric}: these can't be compared."
    apart = now.low > before.high or now.high < before.low
    verdict = "a clear change" if apart else "within each other's doubt"
    both = len(before.held_out & now.held_out)
    same = "the same items" if before.held_out == now.held_out else f"{both} of them the same"
    return f"{sentence}, {same}: {now.value - before.value:+.3f}, {verdict}."


def ahead(evidence: Mapping[str, Any], count: int) -> str:
    """A sentence on what so many more labels are forecast to bring; empty where nothing is known.

    Between the counts of the forecast, values and bounds are interpolated in the logarithm of the
    labels.
    """
    curve = evidence.get("labels") or {}
    points = [*(curve.get("transfer") or [])[-1:], *(curve.get("forecast") or [])]
    total = int((evidence.get("data") or {}).get("items") or 0)
    if len(points) < 2 or not total:
        return ""
    spot = log(points[0]["items"] * (total + count) / total)
    if spot > log(points[-1]["items"]):
        return ""
    value, low, high = (
        _between([(log(each["items"]), each[name]) for each in points], spot)
        for name in ("value", "low", "high")
    )
    return (
        f"With {count} more labels, chosen as the others were, the probe's learning curve leads "
        f"one to expect {value:.3f} ({low:.3f} to {high:.3f}) {evidence['metric']}; "
        f"with the {total} there are it has {points[0]['value']:.3f}."
    )


def _between(points: Sequence[tuple[float, float]], spot: float) -> float:
    import numpy as np

    places, values = zip(*points, strict=True)
    return float(np.interp(spot, places, values))
