"""One draw: a few labels, what `fit` prints after learning from them, and what is true."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import numpy as np

from benchmarks.coverage.pools import Drawn, Pool, source

if TYPE_CHECKING:
    from headstart.serve import Predictor

FEATURES, GAIN = (
    "features",
    "gain",
)  # tiers: accuracy alone, or all that a network from scratch adds
CONDITIONS: Final = ("plain", "random", "shuffled")  # as it is; random source; labels mixed up
JUDGED: Final = 2000  # items left out on which a network that was trained is judged
FRESH: Final = 3  # networks from scratch that the true gain is measured with
_OTHER: Final = 1000  # added to a draw's seed for those networks


@dataclass(frozen=True)
class Bench:
    """What all draws of one set, tier and condition share."""

    population: Drawn
    pool: Pool
    tier: str
    random: bool
    data: Path
    work: Path
    strategy: str | None = None  # in place of the policy's

    @classmethod
    def of(
        cls, population: Drawn, kind: tuple[str, str], data: Path, work: Path, strategy: str | None
    ) -> Bench:
        """The pool in memory, its labels mixed up where the condition of this kind says so."""
        (tier, condition), pool = kind, Pool.of(population.target, data)
        pool = pool.shuffled() if condition == "shuffled" else pool
        return cls(population, pool, tier, condition == "random", data, work, strategy)

    @property
    def reference(self) -> str:
        """What is transferred."""
        return source(self.population, self.data, self.work, self.tier == GAIN, self.random)

    def measure(self, size: int, number: int) -> dict[str, Any]:
        """Draw, fit, and compare; a random source has the weights of the draw's seed."""
        import headstart as hs

        place = self.work / "draw"
        shutil.rmtree(place, ignore_errors=True)
        indices = self.pool.draw(size, number)
        data, proof = self.pool.write(indices, place / "data"), self.tier == GAIN
        settings = hs.Settings(
            seed=number,
            scratch=proof,
            evidence="full" if proof else "none",
            budget=self.population.budget,
        )
        began = time.monotonic()
        # opening the model in a fresh process changes no number and takes longer than all else
        with mock.patch("headstart.pipeline.checking.verify"):
            result = hs.fit(
                data, self.reference, place / "model", strategy=self.strategy, settings=settings
            )
        record = result.to_json()
        seconds = time.monotonic() - began
        truth = self._truth(place / "model", indices, number)
        row = {
            "accuracy": _numbers(record["arms"]["chosen"]),
            "truth": truth,
            "metric": record["metric"],
            "held_out": record["held_out"],
            "strategy": record["strategy"],
            "seconds": round(seconds, 2),
        }
        return row | (self._gain(record, truth, indices, number) if proof else {})

    def _gain(
        self, record: dict[str, Any], truth: float, indices: np.ndarray, number: int
    ) -> dict[str, Any]:
        """What is printed of the gain, beside fresh networks from scratch on the same labels."""
        import headstart as hs

        data, scratch = self.work / "draw" / "data", []
        data = data / "texts.csv" if self.pool.text else data
        for fresh in range(FRESH):
            folder = self.work / "draw" / f"scratch-{fresh}"
            settings = hs.Settings(seed=_OTHER * (fresh + 1) + number, evidence="none")
            with mock.patch("headstart.pipeline.checking.verify"):
                hs.pretrain(data, self.reference, folder, anyway=True, settings=settings)
            scratch.append(self._judged(folder, indices, number))
        row = {"gain": record["gain"], "verdict": record["verdict"], "scratch": scratch}
        labels = record.get("labels")
        if labels:
            names = ("counts", "saved", "forecast")
            row["labels"] = {name: labels.get(name) for name in names}
            row["labels"]["scratch"] = [point["items"] for point in labels.get("scratch", ())]
        transferred = record["strategy"] != "scratch"  # else the transfer that lost was not saved
        return row | {"true_gain": truth - fmean(scratch) if transferred else None}

    def _truth(self, model: Path, indices: np.ndarray, number: int) -> float:
        """What a saved model scores on the items left out: on all where its body is the source's.

        Then features serve that were computed once.
        """
        import headstart as hs
        from headstart.catalog import load_backbone
        from headstart.evidence.arms import unchanged
        from headstart.evidence.fitting import answers

        predictor = hs.load(model)
        backbone = None if self.random else load_backbone(self.reference)
        if backbone is None or not unchanged(predictor.model, backbone, len(backbone.stages)):
            return self._judged(model, indices, number)
        others, features = self._left(predictor, indices), self._features()
        others = others[np.isfinite(features[others, 0])]
        outputs = answers(predictor.model.head, features[others])
        numbers = {label: number for number, label in enumerate(predictor.labels)}
        targets = np.array([numbers[label] for label in self.pool.labels[others]])
        return float(predictor.task.scores(outputs, targets).mean())

    def _left(self, predictor: Predictor, indices: np.ndarray) -> np.ndarray:
        others = self.pool.rest(indices)
        return others[np.isin(self.pool.labels[others], np.array(predictor.labels))]

    def _judged(self, model: Path, indices: np.ndarray, number: int) -> float:
        """What a saved model scores on some of the items left out, which it reads."""
        import headstart as hs

        others = self._left(hs.load(model), indices)
        some = np.random.default_rng(number).permutation(others)[:JUDGED]
        folder = self.work / "draw" / "left"
        shutil.rmtree(folder, ignore_errors=True)
        return float(hs.evaluate(model, self.pool.write(np.sort(some), folder)).score.value)

    def _features(self) -> np.ndarray:
        """Frozen features (N, D) of the whole pool, in fp32, computed once."""
        import headstart as hs

        tier = self.tier if self.population.budget is None else FEATURES
        place = self.work / "features" / f"{self.pool.name}-{tier}.npz"
        if not place.exists():
            folder = self.work / "draw" / "all"
            shutil.rmtree(folder, ignore_errors=True)
            data = self.pool.write(range(len(self.pool.contents)), folder)
            hs.export_features(data, self.reference, place)
        archive = np.load(place)
        # an item that reading takes for another one's copy has none
        features = np.full(
            (len(self.pool.contents), archive["features"].shape[1]), np.nan, np.float32
        )
        features[[_place(name) for name in archive["ids"]]] = archive["features"]
        return features


def _place(item: str) -> int:
    """Where an item stands in the pool, by its id: LABEL/PLACE.jpg, or a table's line."""
    stem, _, line = item.partition("#")
    return int(line) - 2 if line else int(Path(stem).stem)


def _numbers(arm: dict[str, float]) -> dict[str, float]:
    return {name: arm[name] for name in ("value", "low", "high")}
