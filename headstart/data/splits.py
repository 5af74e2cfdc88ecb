"""Which split an item belongs to: said by its content alone, so that nothing else moves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Shares = tuple[tuple[str, float], ...]  # in this order from 0; the shares sum to 1

UNSPLIT: Shares = (("test", 0.15), ("validation", 0.15), ("train", 0.70))
TEST_FROM_TRAIN: Shares = (("test", 0.20), ("train", 0.80))
FROM_TRAIN: Shares = (("validation", 0.20), ("train", 0.80))


def position(digest: str) -> float:
    """Where content lies in [0, 1): its hash (hex, at least 13 digits) as a fraction."""
    return int(digest[:13], 16) / 16**13


def cut(classes: Mapping[str, Iterable[str]], shares: Shares) -> tuple[dict[str, str], list[str]]:
    """Give each content hash its split, and name those moved to fill an empty one.

    `classes` maps each label to its items' hashes. A hash's position alone says its split, so equal
    content never parts and new items move no others. Only where a class would have nothing in
    a split does its nearest item move there, provided that the class has at least as many different
    items as there are splits; with fewer, only the training split is filled.
    """
    split_of: dict[str, str] = {}
    moved: list[str] = []
    for label in sorted(classes):
        digests = sorted(set(classes[label]))
        own = {digest: _natural(digest, shares) for digest in digests}
        moved += _fill(own, shares)
        split_of.update(own)
    return split_of, moved


def _natural(digest: str, shares: Shares) -> str:
    point, edge = position(digest), 0.0
    for name, share in shares:
        edge += share
        if point < edge:
            return name
    return shares[-1][0]


def _fill(own: dict[str, str], shares: Shares) -> list[str]:
    """Move the nearest item into each empty split, in place; returns what moved."""
    enough = len(own) >= len(shares)
    moved = []
    for name, (low, high) in reversed(_intervals(shares).items()):
        if not own or name in own.values() or not (enough or name == "train"):
            continue
        held = list(own.values())
        free = [digest for digest, split in own.items() if held.count(split) > 1 or not enough]
        nearest = min(free, key=lambda digest: (_distance(digest, low, high), digest))
        own[nearest] = name
        moved.append(nearest)
    return moved


def _distance(digest: str, low: float, high: float) -> float:
    return max(low - position(digest), position(digest) - high, 0.0)


def _intervals(shares: Shares) -> dict[str, tuple[float, float]]:
    intervals, edge = {}, 0.0
    for name, share in shares:
        intervals[name] = (edge, edge + share)
        edge += share
    return intervals
