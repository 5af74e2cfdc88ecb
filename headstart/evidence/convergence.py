"""How soon an arm gets good: steps and seconds until a score that both arms can be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHARE = 0.9  # of the final gain over the naive model, after Kornblith et al. 2019
_ALIKE = 1.25  # ratios below it, either way, count as the same


@dataclass(frozen=True)
class Course:
    """One arm's way: rows of `Training.history` (steps, seconds, score), the first before training.

    `final` is the validation score of the model that was kept; `before` are the seconds spent until
    the first row, such as on features and a probe. An arm that trains no steps has no rows.
    """

    final: float
    rows: Sequence[Mapping[str, float]] = field(default_factory=tuple)
    before: float = 0.0

    def points(self) -> list[dict[str, float]]:
        """Steps, seconds since the arm began, and score; one point where no step was trained."""
        rows = self.rows or ({"steps": 0.0, "seconds": 0.0, "score": self.final},)
        return [
            {
                "steps": float(row["steps"]),
                "seconds": self.before + float(row["seconds"]),
                "score": float(row["score"]),
            }
            for row in rows
        ]

    def reaches(self, score: float) -> Mapping[str, float] | None:
        """The first point at or above a score."""
        return next((point for point in self.points() if point["score"] >= score), None)


def convergence(
    transfer: Course, scratch: Course | None, naive: float, sign: int = 1
) -> dict[str, Any]:
    """Both curves, and a sentence on how soon each is at nine tenths of the transfer's final gain.

    All scores are of validation, `naive` that of the naive model. The measure is that of Kornblith
    et al. 2019, who count steps to 90 % of what is reached in the end. Scores are looked at once an
    epoch, so steps and seconds are those of the end of the epoch that reaches it. `sign` is -1
    where less is better, so that scores are the negatives of what is shown.
    """
    return {
        "chosen": _rounded(transfer.points(), sign),
        "scratch": _rounded(scratch.points(), sign) if scratch is not None else [],
        "said": _sentence(transfer, scratch, naive, sign),
    }


def _sentence(transfer: Course, scratch: Course | None, naive: float, sign: int) -> str:
    if scratch is None:
        return "No network was trained from scratch, so there is no speed to compare."
    if transfer.final <= naive:
        return "The transfer gains nothing over the naive model, so there is no speed to compare."
    score = naive + SHARE * (transfer.final - naive)
    ours, theirs, shown = transfer.reaches(score), scratch.reaches(score), sign * score
    if ours is None:  # the model kept is not one of the rows, such as a blend
        return f"No row of the transfer's training has the score {shown:.3f} that it is asked for."
    sentence = f"The transfer reaches 90 % of its final gain over the naive model ({shown:.3f})"
    if theirs is None:
        last = scratch.points()[-1]
        return f"{sentence} {_when(ours)}; scratch never reaches it in its {_cost(last)}."
    if theirs["steps"] == 0:
        return f"{sentence} {_when(ours)}; scratch has it before its first step."
    if ours["steps"] == 0:
        return f"{sentence} {_when(ours)}; scratch takes {_cost(theirs)} to reach the same score."
    steps, seconds = (_part(ours[name], theirs[name], name) for name in ("steps", "seconds"))
    return f"{sentence} in {steps} ({seconds}) that scratch takes to reach the same score."


def _part(ours: float, theirs: float, what: str) -> str:
    """`1/17 of the steps`, `2.3 times the steps`, or `about the same number of steps`."""
    if theirs <= 0 or ours <= 0:
        return f"{ours:.2g} against {theirs:.2g} {what}"
    if ours * _ALIKE <= theirs:
        return f"1/{_short(theirs / ours)} of the {what}"
    if theirs * _ALIKE <= ours:
        return f"{_short(ours / theirs)} times the {what}"
    return f"about the same number of {what}"


def _short(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 9.5 else f"{ratio:.2g}"


def _when(point: Mapping[str, float]) -> str:
    if point["steps"] == 0:
        return f"before its first step, after {point['seconds']:.1f} s"
    return f"after {_cost(point)}"


def _cost(point: Mapping[str, float]) -> str:
    return f"{point['steps']:.0f} steps and {point['seconds']:.1f} s"


def _rounded(points: Sequence[Mapping[str, float]], sign: int) -> list[dict[str, float]]:
    signed = [{**point, "score": sign * point["score"]} for point in points]
    return [{name: round(number, 5) for name, number in point.items()} for point in signed]
