"""What ranking backbones answers with: their order beside the prior, and how far it was off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.evidence import Interval
from headstart.report import as_columns
from headstart.report.notebook import Printed
from headstart.transferability.prior import Prior

_SHOWN = ("k-nn", "ridge", "logme")


@dataclass(frozen=True)
class Ranked:
    """One candidate: what a linear probe on its features is expected to score, and what it costs.

    `expected` is the mean over labelled items, each predicted from the others; None for one that
    was never looked at. `tuned` is what a short fine-tuning scored on validation, where there was
    one. `seconds` is what looking took, `speed` in items a second.
    """

    backbone: str
    expected: Interval | None
    tuned: Interval | None
    scores: Mapping[str, float | None]
    seconds: float
    speed: float | None
    parameters: int | None
    licence: str | None
    dropped: str = ""

    def to_json(self) -> dict[str, Any]:
        """The row with `expected`, `low` and `high` as numbers or null."""
        expected = self.expected
        bounds: dict[str, float | None] = dict.fromkeys(("expected", "low", "high"))
        if expected is not None:
            numbers = expected.to_json()
            bounds = {"expected": numbers["value"], "low": numbers["low"], "high": numbers["high"]}
        rest = {"tuned": self.tuned.to_json() if self.tuned else None}
        return {"backbone": self.backbone} | bounds | vars(self) | bounds | rest


@dataclass(frozen=True, repr=False)
class Ranking(Printed):
    """Candidates from the best to the worst, beside what was thought before looking."""

    rows: tuple[Ranked, ...]
    priors: tuple[Prior, ...]
    metric: str
    items: int
    sign: int = 1  # -1 where less is better

    def to_json(self) -> dict[str, Any]:
        """{"ranking": [{"backbone", "expected", "low", "high", "scores", …}], "prior": […]}."""
        return {
            "ranking": [row.to_json() for row in self.rows],
            "prior": [
                {"backbone": each.reference, "value": each.value, "reasons": list(each.reasons)}
                for each in self.priors
            ],
            "metric": self.metric,
            "items": self.items,
        }

    def __str__(self) -> str:
        facts = ("fine-tuned", "parameters", "items/s", "licence", "cost, s", "prior")
        titles = ("backbone", f"expected {self.metric}", "95 % interval", *_SHOWN, *facts)
        placed = {each.reference: place for place, each in enumerate(self.priors, 1)}
        rows = [self._cells(row, placed.get(row.backbone)) for row in self.rows]
        remarks = [
            f"Expected: ridge regression on frozen features, each of {self.items} items predicted "
            "from the others. Fine-tuning may gain more."
        ]
        remarks += [f"{row.backbone}: {row.dropped}" for row in self.rows if row.dropped]
        before = [
            f"{place}. {each.reference} ({', '.join(each.reasons)})"
            for place, each in enumerate(self.priors, 1)
        ]
        return "\n".join(
            [as_columns(titles, rows), "", *remarks, "", "Before looking (the prior):", *before]
        )

    def _cells(self, row: Ranked, place: int | None) -> tuple[str, ...]:
        expected, size = row.expected, row.parameters
        scores = (row.scores.get(name) for name in _SHOWN)
        return (
            row.backbone,
            f"{expected.value:.3f}" if expected else "",
            f"{expected.low:.3f} – {expected.high:.3f}" if expected else "",
            *("" if score is None else f"{score:.3f}" for score in scores),
            f"{row.tuned.value:.3f}" if row.tuned else "",
            "?" if size is None else f"{size / 1e6:.1f}M",
            f"{row.speed:.0f}" if row.speed else "",
            row.licence or "?",
            f"{row.seconds:.1f}",
            f"{place}." if place else "",
        )


@dataclass(frozen=True, repr=False)
class CheckedRanking(Printed):
    """A ranking, and what fine-tuning every candidate came to on held-out items.

    `truth` and `regret` are of scores, of which more is better. `regret` says for the ranking and
    for the prior how many points their best 1 and best 3 lie below the best of all; `tau` is how
    well each orders the candidates, from -1 to 1: Kendall's weighted tau, with hyperbolic weights
    by the true order (Vigna 2015; scipy's `weightedtau` with rank=None). Times are in seconds.
    """

    ranking: Ranking
    truth: Mapping[str, float]
    regret: Mapping[str, Mapping[int, float]]
    tau: Mapping[str, float]
    ranked_in: float
    tuned_in: float

    @classmethod
    def of(
        cls, ranking: Ranking, truth: Mapping[str, float], ranked_in: float, tuned_in: float
    ) -> CheckedRanking:
        """Compare the ranking's order and the prior's with the truth."""
        orders = {
            "ranking": [row.backbone for row in ranking.rows],
            "prior": [each.reference for each in ranking.priors],
        }
        usable = {who: [name for name in order if name in truth] for who, order in orders.items()}
        best = max(truth.values())
        regret = {
            who: {k: 100 * (best - max(truth[name] for name in order[:k])) for k in (1, 3)}
            for who, order in usable.items()
        }
        tau = {who: weighted_tau(order, truth) for who, order in usable.items()}
        return cls(ranking, truth, regret, tau, ranked_in, tuned_in)

    def to_json(self) -> dict[str, Any]:
        """The ranking's object with "truth", "regret", "tau" and the times."""
        return {
            **self.ranking.to_json(),
            "truth": {name: self.ranking.sign * value for name, value in self.truth.items()},
            "regret": {who: {f"@{k}": v for k, v in by.items()} for who, by in self.regret.items()},
            "tau": dict(self.tau),
            "ranked_in": round(self.ranked_in, 1),
            "tuned_in": round(self.tuned_in, 1),
        }

    def __str__(self) -> str:
        order = sorted(self.truth, key=lambda name: -self.truth[name])
        sign = self.ranking.sign
        rows = [(name, f"{sign * self.truth[name]:.3f}") for name in order]
        scale, unit = (1.0, " points") if sign > 0 else (0.01, "")
        titles = ("order by", "regret@1", "regret@3", "weighted tau")
        worth = [
            (who, *(f"{scale * by[k]:.1f}{unit}" for k in (1, 3)), f"{self.tau[who]:.2f}")
            for who, by in self.regret.items()
        ]
        timing = (
            f"Ranking took {self.ranked_in:.0f} s, fine-tuning all {self.tuned_in:.0f} s. Tau "
            "weighs by the true order, hyperbolically."
        )
        heading = ("fine-tuned", self.ranking.metric)
        parts = (str(self.ranking), as_columns(heading, rows), as_columns(titles, worth), timing)
        return "\n\n".join(parts)


def weighted_tau(order: Sequence[str], truth: Mapping[str, float]) -> float:
    """Kendall's weighted tau of an order, best first, with true values; 0 where all are equal."""
    from scipy.stats import weightedtau

    if len(order) < 2:
        return 0.0
    places = [-place for place in range(len(order))]
    tau = float(weightedtau([truth[name] for name in order], places, rank=None).statistic)
    return tau if tau == tau else 0.0
