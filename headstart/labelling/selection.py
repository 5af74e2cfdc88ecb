"""Which items to label next: those that stand for most of what the model is unsure of."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np

from headstart.contracts import Task
from headstart.serve.predictions import Prediction

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

REFERENCES = 4096  # items that coverage is estimated on; with more, memory and time would not last
BLOCK = 4096  # items whose features are in memory at a time
TWINS = 0.9995  # cosine of two items that are copies but for noise
_WIDEST, _LEAST = 1.0, 0.05  # radii, where two points of length 1 are at most 2 apart


class Features(Protocol):
    """Pooled features (N, D) by position, which may lie on disk."""

    def __len__(self) -> int: ...
    def __getitem__(self, positions: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Pick:
    """An item that was picked: its position, and how many items it stands for, itself included."""

    position: int
    covers: int


@final
@dataclass(frozen=True)
class _Space:
    """Where similarity is measured: features around their mean, at unit length."""

    centre: np.ndarray

    def place(self, features: np.ndarray) -> np.ndarray:
        """(N, D) float32 of length 1; an item at the centre stays there."""
        moved = np.asarray(features, np.float32) - self.centre
        length = np.linalg.norm(moved, axis=1, keepdims=True)
        return np.asarray(moved / np.maximum(length, 1e-12))


def select(
    features: Features,
    uncertainty: np.ndarray,
    labelled: Sequence[Features],
    count: int,
    seed: int = 0,
) -> list[Pick]:
    """Up to `count` items, the one whose label helps most first.

    Uncertainty Herding (Bae, Oliveira and Sutherland 2025): each pick is the one that adds most to
    the sum over items of `uncertainty` (N,) times the kernel similarity to the nearest item that
    is labelled or picked. The kernel's radius is the median distance of an item to its nearest
    labelled one, so that with few labels it is wide and typical items in dense regions come first
    (Bae, Noh and Sutherland 2024; in the vein of Hacohen et al. 2022 and Yehuda et al. 2022), and
    with many it is narrow and each item speaks for hardly more than itself: what is left to choose
    by is the model's doubt. `labelled` are features (L, D) of items with labels, from any number of
    places.

    The sum is estimated on 4,096 items drawn by `seed`, so that memory is bounded by these and a
    block of 4,096. It is submodular: lazy evaluation finds the same picks (Minoux 1978). An item
    whose copy is labelled or picked is never picked. Fewer come back where no more are distinct.
    """
    total = len(features)
    if not total or count < 1:
        return []
    rng = np.random.default_rng(seed)
    places = np.sort(rng.permutation(total)[:REFERENCES])
    sample = np.asarray(features[places], np.float32)
    space = _Space(sample.mean(axis=0))
    points, labelled_items = space.place(sample), _Labelled(labelled, space)
    nearest = labelled_items.nearest(points)
    radius = _radius(nearest)
    state = _Coverage(points, uncertainty[places].astype(np.float32), nearest, radius)
    picks = state.greedy(features, labelled_items, count)
    shares = np.bincount(state.owner[state.owner >= 0], minlength=len(picks))
    scale = total / len(places)
    return [
        Pick(position, max(1, round(float(share) * scale)))
        for position, share in zip(picks, shares, strict=True)
    ]


def blocks(total: int) -> Iterator[np.ndarray]:
    """Positions of so many items, a block at a time."""
    for start in range(0, total, BLOCK):
        yield np.arange(start, min(start + BLOCK, total))


@final
@dataclass(frozen=True)
class _Labelled:
    """The items with labels, a block in memory at a time."""

    features: Sequence[Features]
    space: _Space

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """The cosine of each point (N, D) with the known one that is most like it; -1 with none."""
        best = np.full(len(points), -1.0, np.float32)
        for part in self.features:
            for block in blocks(len(part)):
                alike = points @ self.space.place(part[block]).T
                np.maximum(best, alike.max(axis=1), out=best)
        return best


def _radius(nearest: np.ndarray) -> float:
    """The kernel's radius, as a distance between points of length 1."""
    if (nearest > -1.0).any():
        radius = float(np.median(np.sqrt(np.maximum(2.0 - 2.0 * nearest, 0.0))))  # from cosines
        return max(radius, _LEAST)
    return _WIDEST


@final
class _Coverage:
    """How well each reference item is covered, and what a further item would add."""

    def __init__(
        self, points: np.ndarray, weights: np.ndarray, nearest: np.ndarray, radius: float
    ) -> None:
        self.points = points
        self.weights = weights
        self.radius = radius
        self.covered = np.where(nearest > -1.0, self._kernel(nearest), 0.0).astype(np.float32)
        self.owner = np.full(len(points), -1)

    def _kernel(self, cosine: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp((cosine - 1.0) * (2.0 / self.radius**2)))

    def gains(self, places: np.ndarray) -> np.ndarray:
        """What items at these places (N, D) would each add, (N,)."""
        more = self._kernel(places @ self.points.T)
        more -= self.covered
        return np.asarray(np.maximum(more, 0.0, out=more) @ self.weights)

    def add(self, place: np.ndarray, number: int) -> None:
        """Pick the item at a place (D,)."""
        kernel = self._kernel(self.points @ place)
        better = kernel > self.covered
        self.owner[better] = number
        self.covered[better] = kernel[better]

    def greedy(self, features: Features, labelled: _Labelled, count: int) -> list[int]:
        """Positions in the order in which they are picked."""

        def place(positions: np.ndarray) -> np.ndarray:
            return labelled.space.place(features[positions])

        gains = np.concatenate([self.gains(place(block)) for block in blocks(len(features))])
        waiting = [(-float(gain), position) for position, gain in enumerate(gains)]
        heapq.heapify(waiting)
        picks: list[int] = []
        points = self.points[:0]
        while waiting and len(picks) < count:
            _, position = heapq.heappop(waiting)
            point = place(np.array([position]))
            gain = float(self.gains(point)[0])
            if waiting and -gain > waiting[0][0]:
                heapq.heappush(waiting, (-gain, position))
                continue
            copied = float(labelled.nearest(point)[0]) >= TWINS
            if copied or (len(points) and float((points @ point[0]).max()) >= TWINS):
                continue
            self.add(point[0], len(picks))
            points = np.concatenate([points, point])
            picks.append(position)
        return picks


def doubt(answer: Mapping[str, Any]) -> float:
    """1 where two answers are equally likely, 0 where one is certain.

    For classes one minus the margin between the two likeliest (Scheffer et al. 2001); for sets of
    labels that of the label nearest to an even chance. A number says nothing of its doubt: 1.
    """
    shares = answer.get("probabilities")
    if not shares:
        return 1.0
    if "labels" in answer:
        return 1.0 - min(abs(2.0 * float(share) - 1.0) for share in shares.values())
    best, second = heapq.nlargest(2, [*shares.values(), 0.0])
    return 1.0 - float(best - second)


def doubts(
    head: nn.Module, task: Task, labels: Sequence[str], features: Features
) -> tuple[list[str], np.ndarray]:
    """What a head answers about features (N, D), as a person reads it, and its doubt, (N,).

    Where the answer is no finite number there is none, and no doubt either.
    """
    import torch

    texts: list[str] = []
    values: list[float] = []
    head = head.cpu().eval()
    for block in blocks(len(features)):
        with torch.inference_mode():
            outputs = head(torch.from_numpy(np.ascontiguousarray(features[block]))).numpy()
        finite = np.isfinite(outputs).all(axis=1)
        answers = iter(task.decode(outputs[finite], labels) if finite.any() else ())
        for usable in finite:
            answer = next(answers) if usable else {}
            texts.append(Prediction("", answer).label if answer else "")
            values.append(doubt(answer) if answer else 0.0)
    return texts, np.array(values, dtype=np.float32)
