"""What adapting to a target came to, as the evidence keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.adaptation.candidates import SOURCE, Candidate
from headstart.adaptation.choice import Choice, favourites, preferred
from headstart.adaptation.labels import Gain, Labelled, gains
from headstart.adaptation.presence import Presence
from headstart.adaptation.validators import DECISIVE
from headstart.evidence import average, verdict

HEADLINES = {
    "helps": "Adaptation helps",
    "hurts": "Adaptation hurts",
    "no evidence": "No evidence that adaptation helps or hurts",
    "unknown": "Whether adaptation helps can't be proven without labels of the target",
    "source only": "Source only, not adapted",
}


@dataclass(frozen=True)
class Adapted:
    """All candidates on a target, the chosen one, and what labels say, if there are any.

    `truth` are labels that the target has itself: no choice saw them. `by_labels` is what a few
    labels that were given to choose by say. `ask` names items whose labels would settle it.
    """

    target: str
    classes: Sequence[str]
    candidates: Sequence[Candidate]
    presence: Presence
    choice: Choice
    by_labels: Mapping[str, Gain] | None = None
    truth: Labelled | None = None
    ask: Sequence[str] = ()
    notes: Sequence[str] = ()
    seed: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)  # methods, and why

    @property
    def handed_over(self) -> Candidate:
        """The chosen candidate."""
        return next(each for each in self.candidates if each.name == self.choice.name)

    @property
    def gains(self) -> Mapping[str, Gain] | None:
        """Gains over source only: by the target's own labels, or by the few that were given."""
        if self.truth is not None:
            return gains(self.candidates, self.truth, self.seed, several=False)
        return self.by_labels

    @property
    def verdict(self) -> str:
        """`helps`, `no evidence`, `hurts`; `unknown` without labels, or `source only`."""
        if self.choice.name == SOURCE:
            return "source only"
        gains = self.gains
        return "unknown" if gains is None else verdict(gains[self.choice.name].interval)

    def to_json(self) -> dict[str, Any]:
        """The record, with sentences for people."""
        return {
            "target": self.target,
            "items": len(self.candidates[0].outputs),
            "chosen": self.choice.name,
            "by": self.choice.by,
            "why": self.choice.why,
            "verdict": self.verdict,
            "headline": self._headline(),
            "methods": [self._row(each) for each in self.candidates],
            "validators": favourites(self.candidates),
            "classes": {
                name: {"share": round(float(share), 4), "source": round(float(source), 4)}
                for name, share, source in zip(
                    self.classes, self.presence.shares, self.presence.source, strict=True
                )
            },
            "effective_classes": round(self.presence.effective, 2),
            "doubtful": self.presence.doubtful,
            "temperature": self.handed_over.temperature,
            "oracle": self._oracle(),
            "label_next": list(self.ask),
            "left_out": dict(self.left_out),
            "said": self._sentences(),
        }

    def _row(self, each: Candidate) -> dict[str, Any]:
        """A method: its validators, how often it answers as source only does, and its gain."""
        source, gains = self.candidates[0], self.gains
        row: dict[str, Any] = {
            "name": each.name,
            "validators": {name: round(score, 5) for name, score in each.scores.items()},
            "changed": round(float((each.answered != source.answered).mean()), 5),
            "seconds": round(each.seconds, 2),
        }
        if gains is not None:
            row["gain"] = gains[each.name].interval.to_json()
        if self.truth is not None:
            row["accuracy"] = average(self._right(each), self.seed).to_json()
        return row

    def _right(self, each: Candidate) -> np.ndarray:
        if self.truth is None:
            raise ValueError("the target has no labels")
        answered = each.answered[self.truth.positions]
        return np.asarray(answered == self.truth.targets, dtype=float)

    def _oracle(self) -> dict[str, Any] | None:
        """What would have been best by the target's own labels, and how far the choice is off."""
        if self.truth is None:
            return None
        scores = {each.name: float(self._right(each).mean()) for each in self.candidates}
        best = max(scores, key=lambda name: scores[name])
        gap = scores[best] - scores[self.choice.name]
        return {"best": best, "accuracy": round(scores[best], 5), "gap": round(gap, 5)}

    def _headline(self) -> str:
        title, gains = HEADLINES[self.verdict], self.gains
        if self.choice.name == SOURCE:
            return f"{title}: {self.choice.why}"
        if gains is None:
            support = preferred(self.candidates, self.choice.name)
            return (
                f"{title}. {len(support)} of {len(DECISIVE)} validators prefer {self.choice.name} "
                "to source only."
            )
        own = gains[self.choice.name]
        low, value, high = (
            f"{100 * each:+.1f}"
            for each in (own.interval.low, own.interval.value, own.interval.high)
        )
        return (
            f"{title}: {value} points over source only on the target, 95 % interval {low} to "
            f"{high}, by {own.labels} labels."
        )

    def _sentences(self) -> list[str]:
        """What the numbers mean, one sentence each."""
        there = [name for name, here in zip(self.classes, self.presence.there, strict=True) if here]
        absent = len(self.classes) - len(there)
        lines = [self.choice.why] if self.choice.name != SOURCE else []
        lines.append(self._disagreement())
        if absent:
            names = ", ".join(name for name in self.classes if name not in there)
            lines.append(f"Believed to be missing or rare in the target: {names}.")
        lines.append(
            "Probabilities were calibrated on held-out items of the source, as no label of the "
            "target may be used: there they may be surer than right."
        )
        oracle = self._oracle()
        if oracle is not None:
            lines.append(
                f"By the target's own labels, which no choice saw, {oracle['best']} is best at "
                f"{oracle['accuracy']:.3f}, {100 * oracle['gap']:.1f} points above the choice."
            )
        return [*lines, *self.notes]

    def _disagreement(self) -> str:
        own: dict[str, list[str]] = {}
        for validator, name in favourites(self.candidates).items():
            own.setdefault(name, []).append(validator)
        if len(own) == 1:
            return f"All validators prefer {next(iter(own))}."
        listing = "; ".join(f"{name} by {', '.join(those)}" for name, those in own.items())
        return f"Validators disagree: {listing}."
