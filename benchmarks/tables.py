"""Few rows of one table of house sales beside others: what those are worth at every number."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from headstart import catalog
from headstart.contracts import Encoding, Modality
from headstart.contracts.head import Shape, TrainingSet
from headstart.contracts.related import Direction, Related
from headstart.evidence.intervals import average
from headstart.pipeline.sources.mapping import ColumnMap
from headstart.pipeline.sources.tables import SourceTable, Table

COUNTS: Final = (5, 10, 20, 50)
OURS: Final = "source-prior"
HEADS: Final = (OURS, "source-shrinkage", "source-weighting")
_ACRE: Final = 43_560.0  # square feet
_LABEL: Final = "price"
_LOST: Final = 0.02  # of R², below which ours may not fall behind the better of the two
_FEW: Final = 20  # rows, below which it is to be above both on average
_JUDGED: Final = 400  # held-out rows

# What is one thing in several tables, by the name that each has for it, and its unit.
THINGS: Final[Mapping[str, Mapping[str, tuple[str, float]]]] = {
    "sacramento": {"area": ("sqft", 1), "beds": ("beds", 1), "baths": ("baths", 1)},
    "saratoga": {
        "area": ("livingArea", 1),
        "beds": ("bedrooms", 1),
        "baths": ("bathrooms", 1),
        "lot": ("lotSize", _ACRE),
        "cooling": ("centralAir", 1),
    },
    "windsor": {
        "beds": ("bedrooms", 1),
        "baths": ("bathrooms", 1),
        "lot": ("lotsize", 1),
        "cooling": ("aircon", 1),
    },
}


@dataclass(frozen=True)
class Houses:
    """A table of sales: rows by column, without the price, and the logarithm of that."""

    name: str
    rows: Sequence[dict[str, Any]]
    prices: np.ndarray

    @classmethod
    def of(cls, folder: Path, name: str) -> Houses:
        """One of the tables in a folder."""
        cells = SourceTable.of(folder / f"{name}.csv").cells
        prices = np.log([float(price) for price in cells[_LABEL]])
        used, _ = catalog.modality("table").columns_of(_without(cells, _LABEL))
        columns = zip(*(cells[column] for column in used), strict=True)
        return cls(name, [dict(zip(used, row, strict=True)) for row in columns], prices)

    def as_source(self, target: str) -> tuple[list[dict[str, Any]], set[str]]:
        """The rows in another table's columns and units, and which of these they have."""
        own, theirs = THINGS[self.name], THINGS[target]
        maps = {
            theirs[thing][0]: ColumnMap(own[thing][0], own[thing][1] / theirs[thing][1])
            for thing in own.keys() & theirs.keys()
        }
        return [_mapped(row, maps) for row in self.rows], set(maps)


def _without(cells: Table, label: str) -> Table:
    return {name: values for name, values in cells.items() if name != label}


def _mapped(row: Mapping[str, Any], maps: Mapping[str, ColumnMap]) -> dict[str, Any]:
    mapped = {}
    for name, part in maps.items():
        value = row[part.source]
        mapped[name] = value if part.factor == 1 else float(value) * part.factor
    return mapped


def run(folder: Path, draws: int = 40) -> list[dict[str, Any]]:
    """Each table as the target and the others as sources, at each number of rows."""
    tables = {name: Houses.of(folder, name) for name in THINGS}
    rows = []
    for target in tables.values():
        sources = [table for table in tables.values() if table is not target]
        for count in COUNTS:
            scores = [_drawn(target, sources, count, draw) for draw in range(draws)]
            rows.append(_row(target.name, count, scores))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def _row(target: str, count: int, scores: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    names = scores[0]
    every = {name: np.array([each[name] for each in scores]) for name in names}
    gain = average(every[OURS] - every["ridge"])
    verdict = "helps" if gain.low > 0 else "hurts" if gain.high < 0 else "no evidence"
    medians = {name: round(float(np.median(values)), 3) for name, values in every.items()}
    return {"target": target, "rows": count, **medians, "gain": gain.to_json(), "verdict": verdict}


def _drawn(target: Houses, sources: Sequence[Houses], count: int, draw: int) -> dict[str, float]:
    """R² of every way on held-out rows, for one draw of the rows to learn from."""
    modality = catalog.modality("table")
    order = np.random.default_rng(1000 * count + draw).permutation(len(target.rows))
    learned, held_out = order[:count], order[count : count + _JUDGED]
    mapped = [source.as_source(target.name) for source in sources]
    raws = [_raw(modality, target.rows[place]) for place in learned]
    others = [[_raw(modality, row) for row in rows] for rows, _ in mapped]
    every = [*raws, *(raw for part in others for raw in part)]
    backbone = modality.prepared(catalog.load_backbone("table:columns"), every)
    columns = modality.feature_columns(backbone.preprocess)

    def features(part: Sequence[bytes]) -> np.ndarray:
        return np.stack([modality.decode(raw, backbone.preprocess) for raw in part])

    mean, scale = target.prices[learned].mean(), target.prices[learned].std() or 1.0
    goals = ((target.prices[learned] - mean) / scale).astype(np.float32)[:, None]
    shape = Shape(Encoding.AMOUNTS, len(columns), 1)
    training = TrainingSet(features(raws), goals, np.ones(count), shape)
    related = [
        _related(source, features(part), [name in mask for name in columns], scale)
        for source, part, (_, mask) in zip(sources, others, mapped, strict=True)
    ]
    test = features([_raw(modality, target.rows[place]) for place in held_out])
    truth = (target.prices[held_out] - mean) / scale
    answers = dict(_answers(training, related, test))
    return {name: _r2(answer, truth) for name, answer in answers.items()}


def _related(source: Houses, features: np.ndarray, mask: list[bool], unit: float) -> Related:
    spread = float(source.prices.std())
    targets = ((source.prices - source.prices.mean()) / spread).astype(np.float32)[:, None]
    return Related(source.name, features, targets, np.array(mask), (spread / unit,))


def _answers(
    training: TrainingSet, related: Sequence[Related], test: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Ridge on the target alone, the sources' direction alone, and the heads beside sources."""
    task = catalog.task("table-regression")
    examples = training.features, training.targets
    yield "ridge", _run(task.probe(examples, examples, ["price"]), test)
    yield "source direction", _direction(training, related, test)
    for name in HEADS:
        head = catalog.head(name).related_to(related)
        networks = list(head.candidates(training))
        yield name, _run(networks[len(networks) // 2], test)  # none of several is picked


def _direction(training: TrainingSet, related: Sequence[Related], test: np.ndarray) -> np.ndarray:
    """The sources' score, whose level and slope least squares finds on the target's rows."""
    weights = Direction.of(related, 1, Encoding.AMOUNTS).weights[:, 0]
    score, goals = training.features @ weights, training.targets[:, 0]
    spread = score.var()
    slope = ((score - score.mean()) * (goals - goals.mean())).mean() / spread if spread else 0.0
    return np.asarray(goals.mean() + slope * (test @ weights - score.mean()))


def _run(network: torch.nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(features)).numpy()[:, 0])


def _raw(modality: Modality, row: Mapping[str, Any]) -> bytes:
    return modality.row(row) or b"{}"


def _r2(answers: np.ndarray, truth: np.ndarray) -> float:
    return float(1 - ((answers - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def behind(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What ours promises and does not keep, a sentence each; none where all is kept."""
    broken = []
    for row in rows:
        best = max(row["ridge"], row["source direction"])
        if row[OURS] < best - _LOST:
            broken.append(f"{row['target']}, {row['rows']} rows: {row[OURS]} of {best}.")
    few = [row for row in rows if row["rows"] < _FEW]
    for name in ("ridge", "source direction"):
        ahead = float(np.mean([row[OURS] - row[name] for row in few])) if few else math.inf
        if ahead <= 0:
            broken.append(f"Below {_FEW} rows {OURS} is {ahead:.3f} above {name} on average.")
    return broken


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Medians of R² over draws."""
    names = ("ridge", "source direction", *HEADS)
    lines = [f"| target | rows | {' | '.join(names)} | over ridge | verdict |"]
    lines.append("|---|" + "--:|" * (len(names) + 2) + "---|")
    for row in rows:
        gain = row["gain"]
        cells = " | ".join(f"{row[name]:.3f}" for name in names)
        span = f"{gain['value']:+.3f} ({gain['low']:+.3f} – {gain['high']:+.3f})"
        lines.append(f"| {row['target']} | {row['rows']} | {cells} | {span} | {row['verdict']} |")
    return "\n".join(lines)
