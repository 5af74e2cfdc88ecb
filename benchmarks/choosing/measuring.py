"""Rank, fine-tune all, try strategies: each piece of work once, its outcome kept as JSON."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import headstart as hs
from headstart.catalog import load_backbone
from headstart.results.ranking import weighted_tau
from headstart.runtime.progress import Progress, Terminal

TRUTH: Final = "lp-ft"  # what every source is fine-tuned by
GRID: Final = ("feature-extraction", "last-stages", "lp-ft", "full-fine-tuning")
TEXT_GRID: Final = (*GRID, "lora")


@dataclass(frozen=True)
class Bench:
    """Where one target lies, its sources by name, and where outcomes are kept."""

    target: str
    data: Path
    sources: Mapping[str, str]
    kept: Path
    grid: Sequence[str]
    epochs: int | None
    progress: Progress

    @classmethod
    def of(
        cls, target: str, data: Path, sources: Mapping[str, str], work: Path, text: bool
    ) -> Bench:
        """Settings for this target; the largest one is given fewer epochs."""
        epochs = 5 if target == "flowers" else None
        grid = TEXT_GRID if text else GRID
        return cls(target, data, sources, work / "kept" / target, grid, epochs, Terminal())

    def settings(self) -> hs.Settings:
        """Those of every run: no scratch arm, as only choices are compared."""
        return hs.Settings(scratch=False, evidence="none", epochs=self.epochs)

    def once(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The outcome of a piece of work, done unless it was done before."""
        place = self.kept / f"{name}.json"
        if place.exists():
            result: dict[str, Any] = json.loads(place.read_text())
            return result
        outcome = work()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(outcome, indent=1))
        return outcome

    def ranking(self) -> dict[str, Any]:
        """The ranking of all sources, with the seconds it took.

        Each is loaded once before, so that libraries are imported: the fine-tuning that comes after
        in this process doesn't pay for that either.
        """

        def work() -> dict[str, Any]:
            for reference in self.sources.values():
                load_backbone(reference)
            started = time.monotonic()
            record = hs.rank(
                self.data,
                list(self.sources.values()),
                settings=self.settings(),
                progress=self.progress,
            )
            return {"seconds": time.monotonic() - started} | record.to_json()

        return self.once("ranking", work)

    def fitted(self, source: str, strategy: str) -> dict[str, Any]:
        """One source transferred by one strategy: its arms and the seconds of the training."""

        def work() -> dict[str, Any]:
            out = self.kept / "model"
            shutil.rmtree(out, ignore_errors=True)
            started = time.monotonic()
            result = hs.fit(
                self.data,
                self.sources[source],
                out,
                strategy=strategy,
                settings=self.settings(),
                progress=self.progress,
            )
            record = result.to_json()
            arms = {name: arm["value"] for name, arm in record["arms"].items()}
            trained = record.get("dropped", record["arms"]["chosen"])
            return {
                "seconds": time.monotonic() - started,
                "asked": trained["value"],
                "trained": trained["seconds"],
                "chosen": arms["chosen"],
                "strategy": record["strategy"],
                "arms": arms,
                "tried": record.get("tried", {}),
            }

        return self.once(f"{source}.{strategy}", work)


def compare(bench: Bench) -> dict[str, Any]:
    """Everything about one target, as one row."""
    ranking = bench.ranking()
    names = {reference: name for name, reference in bench.sources.items()}
    order = [names[row["backbone"]] for row in ranking["ranking"]]
    before = [names[row["backbone"]] for row in ranking["prior"]]
    truths = {name: bench.fitted(name, TRUTH) for name in bench.sources}
    truth = {name: fitted["asked"] for name, fitted in truths.items()}
    best = max(truth.values())
    grid = {name: bench.fitted(order[0], name)["asked"] for name in bench.grid}
    auto = bench.fitted(order[0], "auto")
    return {
        "target": bench.target,
        "order": order,
        "prior": before,
        "truth": truth,
        "regret": {
            who: {k: 100 * (best - max(truth[name] for name in ranked[:k])) for k in (1, 3)}
            for who, ranked in (("ranking", order), ("prior", before))
        },
        "tau": {
            "ranking": weighted_tau(order, truth),
            "prior": weighted_tau(before, truth),
        },
        "random above": [
            (name, other)
            for place, name in enumerate(order)
            for other in order[place + 1 :]
            if name.startswith("random") and not other.startswith("random")
        ],
        "cost": ranking["seconds"] / sum(fitted["seconds"] for fitted in truths.values()),
        "grid": grid,
        "auto": auto["chosen"],
        "auto by": auto["strategy"],
        "features": grid["feature-extraction"],
    }
