"""The record of what a transfer was worth: arms over the same held-out items, gain, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.evidence.assessor import Assessor
from headstart.evidence.doubt import YARDSTICKS, doubt
from headstart.evidence.folds import Folds
from headstart.evidence.intervals import Interval, average, paired, verdict, widened
from headstart.evidence.seeds import seeds

_NORMAL = 1.959964  # standard deviations that hold 95 %


@dataclass(frozen=True)
class Arm:
    """One way to solve the task: held-out scores, merit on validation, cost."""

    strategy: str
    scores: np.ndarray  # (N,), one a held-out item, the same items for every arm
    selection_key: tuple[float, float]  # validation score, then minus the validation loss
    seconds: float
    steps: int = 0
    note: str = ""
    checked: np.ndarray = field(default_factory=lambda: np.empty(0))  # (M,), validation's scores
    outputs: Mapping[str, np.ndarray] = field(default_factory=dict)  # of validation and test
    repeated: np.ndarray | None = None  # (R, N) scores, where folds judge; `scores` are their mean

    @property
    def rows(self) -> np.ndarray:
        """The scores as (R, N)."""
        return self.scores[None] if self.repeated is None else self.repeated

    def to_json(self, interval: Interval, sign: int = 1) -> dict[str, Any]:
        """Value with interval, seconds, and what else is known."""
        record = interval.to_json()
        cost = {
            "seconds": round(self.seconds, 2),
            "steps": self.steps,
            "validation": round(sign * self.selection_key[0], 5),
        }
        return record | cost | ({"note": self.note} if self.note else {})


def interval(
    arm: Arm,
    seed: int = 0,
    folds: Folds | None = None,
    clusters: np.ndarray | None = None,
    sign: int = 1,
) -> Interval:
    """What an arm scores, for other items than the held-out ones (N,), or those of `folds`.

    `sign` is -1 where less is better, and the scores are the negatives of what is shown.
    """
    if folds is not None:
        return folds.average(arm.rows, seed, clusters).times(sign)
    return average(arm.scores, seed, clusters=clusters).times(sign)


@dataclass
class Evidence:
    """Everything that was measured about one transfer; `to_json` is what `evidence.json` holds."""

    metric: str
    arms: dict[str, Arm]
    backbone: str
    data: dict[str, Any]
    seed: int = 0
    dropped: Arm | None = None  # the strategy that was asked for and lost on validation
    protocol: str = ""
    checks: dict[str, bool] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    ranking: Mapping[str, Any] | None = None  # of the backbones, where there were several
    by_seed: Mapping[str, np.ndarray] | None = None  # scores (seeds, N) of chosen and scratch
    searched: Mapping[str, Arm] = field(default_factory=dict)  # what the strategy was chosen from
    findings: Mapping[str, Any] = field(default_factory=dict)  # labels, convergence, classes …
    baselines: tuple[str, ...] = ("naive",)  # arms that any user has without a network
    provenance: Mapping[str, Any] | None = None  # where it comes from: command, date, versions
    epoch: int = 0  # steps of one pass over the training items, where it is known
    folds: Folds | None = None  # where every item was once held out
    clusters: np.ndarray | None = None  # (N,) of the held-out items: which belong together
    spread: float = 0.0  # standard deviation of a gain over trainings, where one was run
    sign: int = 1  # -1 where less is better, and scores are the negatives of what is shown
    assessor: Assessor | None = None  # of the outputs for the held-out items
    alone: bool | str = False  # whether `scratch` is rows without sources, or "columns" alone
    sourced: Arm | None = None  # the best arm with sources, where one without is handed over

    @property
    def strategy(self) -> str:
        """The strategy of the model handed over."""
        return self.arms["chosen"].strategy

    @property
    def transferred(self) -> Arm:
        """The arm that the gain is of: the one handed over, or that which lost to scratch."""
        arm = self.arms["chosen"]
        if self.sourced is not None:
            return self.sourced
        if arm.strategy == "scratch":
            return self.dropped or self.arms.get("features", arm)
        return arm

    @property
    def gain(self) -> Interval | None:
        """Transfer minus scratch, over all trainings there are; None where no scratch arm ran."""
        if "scratch" not in self.arms:
            return None
        if self.by_seed is not None:
            return self._over_seeds("chosen", "scratch")
        difference = self.compared(self.transferred, self.arms["scratch"])
        return widened(difference, more=_NORMAL * self.luck) if self.luck else difference

    def _over_seeds(self, better: str, other: str) -> Interval:
        """One arm over another for other seeds too; the naive model is the same for all.

        It is as much wider as copies, or classes that count alike, make that of the first training.
        """
        rows = self.by_seed or {}
        naive = self.arms["naive"].scores
        one, two = (rows.get(name, naive[None]) for name in (better, other))
        over_seeds = seeds(one, np.broadcast_to(two, one.shape), self.seed)
        arms = {"chosen": self.transferred}
        first, second = (arms.get(name, self.arms[name]) for name in (better, other))
        plain = paired(first.scores, second.scores, self.seed)
        return widened(over_seeds, max(1.0, self.compared(first, second).width / plain.width))

    @property
    def luck(self) -> float:
        """Standard deviation of the gain over trainings that had to be assumed, 0 where it is seen.

        Folds and several seeds show it.
        """
        is_measured = self.alone or self.folds is not None or self.by_seed is not None
        return 0.0 if is_measured or "scratch" not in self.arms else self.spread

    @property
    def doubt(self) -> str:
        """Why the gain can't be judged, empty where it can.

        Scratch must have taken as many steps as the transfer, a pass over the items at least, and
        beaten the naive model.
        """
        scratch = self.arms.get("scratch")
        if scratch is None:
            return YARDSTICKS[self.alone].missing
        if self.alone:  # which is as good as it can be at once
            return ""
        if self.by_seed is None:
            over_naive = self.compared(scratch, self.arms["naive"])
        else:
            over_naive = self._over_seeds("scratch", "naive")
        due = max(self.epoch, self.transferred.steps)
        return doubt(scratch.steps, due, over_naive, self.metric, self.sign < 0)

    @property
    def verdict(self) -> str:
        """What the gain says of the transfer; `unknown` where it says nothing."""
        return "unknown" if self.doubt else verdict(self.gain)

    def interval(self, arm: Arm) -> Interval:
        """What an arm scores, for other items than the held-out ones."""
        judge = self.assessor
        if judge is None or "test" not in arm.outputs:
            return interval(arm, self.seed, self.folds, self.clusters, self.sign)
        if self.folds is None:
            return judge.interval(arm.outputs["test"])
        if judge.resampled is None:
            return judge.allowed(interval(arm, self.seed, self.folds, self.clusters, self.sign))
        whole = judge.interval(arm.outputs["test"])
        return judge.allowed(whole.moved(self.sign * float(arm.scores.mean())))

    def compared(self, arm: Arm, other: Arm) -> Interval:
        """How much better one arm is than another, for other items than the held-out ones."""
        resampled = None
        judge = self.assessor.resampled if self.assessor else None
        if judge is not None and "test" in arm.outputs and "test" in other.outputs:
            resampled = judge.gain(arm.outputs["test"], other.outputs["test"])
        if self.folds is not None:
            return self.folds.gain(arm.rows, other.rows, self.seed, self.clusters, resampled)
        return resampled or paired(arm.scores, other.scores, self.seed, clusters=self.clusters)

    def _arm(self, arm: Arm) -> dict[str, Any]:
        return arm.to_json(self.interval(arm), self.sign)

    def _search_entry(self, arm: Arm) -> dict[str, Any]:
        """What choosing among strategies saw of one: never the held-out items."""
        scores = average(arm.checked, self.seed).times(self.sign).to_json()
        return scores | {"items": len(arm.checked), "seconds": round(arm.seconds, 2)}

    def _judge(self) -> dict[str, Any]:
        """How the arms were judged."""
        protocol: dict[str, Any] = {"by": "held-out", "items": len(self.arms["naive"].scores)}
        if self.folds is not None:
            protocol |= {"by": "folds", "folds": self.folds.count, "repeats": self.folds.repeats}
        if self.clusters is not None:
            protocol["distinct"] = len(np.unique(self.clusters))
        return protocol

    def _noninferior(self, gain: Interval | None) -> str:
        """What can be said of the transfer where no difference is seen, empty elsewhere."""
        if gain is None or self.verdict != "no evidence":
            return ""
        behind = max(0.0, -gain.low)
        behind_by = f"{100 * behind:.1f} points" if self.sign > 0 else f"{behind:.3g}"
        return (
            f"The transfer is at least within {behind_by} of the same "
            f"{YARDSTICKS[self.alone].name} (97.5 %)."
        )

    def _trainings(self) -> dict[str, Any]:
        """How many trainings of scratch the gain is over, and what was assumed of others."""
        runs = 1 if self.by_seed is None else len(self.by_seed["scratch"])
        trainings = runs if self.folds is None else self.folds.count
        return {"trainings": trainings, "assumed": round(self.luck, 5)}

    def _of_sources(self) -> dict[str, Any]:
        """What is said where other tables stand in the place of a pretrained network."""
        other = self.sourced
        sourced = {"sourced": {"strategy": other.strategy} | self._arm(other)} if other else {}
        return ({"alone": self.alone} if self.alone else {}) | sourced

    def over_naive(self) -> Interval:
        """The model handed over minus the naive one."""
        return self.compared(self.arms["chosen"], self.arms["naive"])

    def over_baseline(self) -> tuple[str, Interval]:
        """The baseline that is strongest on validation, and the model handed over minus that."""
        best = max(self.baselines, key=lambda name: self.arms[name].selection_key)
        return best, self.compared(self.arms["chosen"], self.arms[best])

    def to_json(self) -> dict[str, Any]:
        """The record, with names that later versions add to and never change."""
        gain, (baseline, lead) = self.gain, self.over_baseline()
        record: dict[str, Any] = {
            "metric": self.metric,
            "arms": {name: self._arm(arm) for name, arm in self.arms.items()},
            "gain": gain.to_json() | self._trainings() if gain else None,
            "verdict": self.verdict,
            "doubt": self.doubt,
            "strategy": self.strategy,
            "backbone": self.backbone,
            "data": self.data,
            "over_naive": self.over_naive().to_json(),
            "over_baseline": {"name": baseline} | lead.to_json(),
            "held_out": len(self.arms["naive"].scores),
            "noninferior": self._noninferior(gain),
            "judge": self._judge(),
            "protocol": self.protocol,
            "checks": self.checks,
            "warnings": self.warnings,
        }
        signature = self.assessor.signature if self.assessor else ""
        record |= {"signature": signature} if signature else {}
        if self.sign < 0:
            record["less_is_better"] = True
        record |= self._of_sources() | dict(self.findings)
        if self.provenance is not None:
            record["made"] = dict(self.provenance)
        if self.by_seed is not None:
            record["by_seed"] = {
                who: (self.sign * scores.mean(axis=1)).round(5).tolist()
                for who, scores in self.by_seed.items()
            }
        if self.searched:
            record["tried"] = {name: self._search_entry(arm) for name, arm in self.searched.items()}
        if self.ranking is not None:
            record["ranking"] = dict(self.ranking)
        if self.dropped is not None:
            record["dropped"] = {"strategy": self.dropped.strategy} | self._arm(self.dropped)
        return record
