"""Translations, and whether they are better through another language or direct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from headstart.contracts.placeholders import placeholders
from headstart.evidence import Interval
from headstart.report.notebook import Printed


@final
@dataclass(frozen=True)
class Translated:
    """A text, its translation, how likely that is by piece (a logarithm), and the texts between.

    `lost` are the placeholders of the text that the translation lacks; `like` is the text of a
    translation memory whose translation it is, empty where the model wrote it.
    """

    source: str
    text: str
    score: float
    between: tuple[str, ...] = ()
    like: str = ""

    @property
    def lost(self) -> tuple[str, ...]:
        """Such as `%1`, once for each time it is missing."""
        return tuple((placeholders(self.source) - placeholders(self.text)).elements())

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        own = {"source": self.source, "text": self.text, "score": round(self.score, 5)}
        own |= {"between": list(self.between), "lost": list(self.lost)}
        return own | ({"like": self.like} if self.like else {})


@final
@dataclass(frozen=True, repr=False)
class Translations(Printed):
    """Texts with their translations, in order; as text a line each."""

    rows: Sequence[Translated]

    def to_json(self) -> dict[str, Any]:
        """{"translations": [{"source", "text", "score", "between", "lost", "like"}]}."""
        return {"translations": [each.to_json() for each in self.rows]}

    def __str__(self) -> str:
        return "\n".join(" ".join(each.text.split()) for each in self.rows)


@final
@dataclass(frozen=True, repr=False)
class PivotEvidence(Printed):
    """What translating through another language is worth, by a metric, on the same items.

    `arms` are `pivot`, and where there is a direct model `direct` and `both`; `gain` is what the
    pivot has over the direct model, paired.
    """

    metric: str
    items: int
    arms: Mapping[str, Interval]
    gain: Interval | None
    signature: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        arms = {name: interval.to_json() for name, interval in self.arms.items()}
        gain = self.gain.to_json() if self.gain else None
        return {"metric": self.metric, "items": self.items, "arms": arms, "gain": gain} | (
            {"signature": self.signature} if self.signature else {}
        )

    @property
    def verdict(self) -> str:
        """A sentence."""
        if self.gain is None:
            return "No direct model was named to compare with: --direct MODEL."
        points = [100 * each for each in (self.gain.value, self.gain.low, self.gain.high)]
        better = "pivot" if self.gain.low > 0 else "direct" if self.gain.high < 0 else ""
        end = f"the {better} is better" if better else "these items can't tell which is better"
        return (
            f"Pivot over direct: {points[0]:+.1f} points of {self.metric}, 95 % interval "
            f"{points[1]:+.1f} to {points[2]:+.1f} (paired bootstrap): {end}."
        )

    def __str__(self) -> str:
        from headstart.report import as_columns

        rows = [
            (name, f"{own.value:.3f}", f"{own.low:.3f} – {own.high:.3f}")
            for name, own in self.arms.items()
        ]
        table = as_columns(("arm", self.metric, "95 % interval"), rows)
        return f"{table}\nOn {self.items} items. {self.verdict}"
