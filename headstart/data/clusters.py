"""Clusters: near copies, by their sketches, and items of one group, which no cut may part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

from headstart.contracts import Encoding
from headstart.data.sources import SPLITS, Item
from headstart.data.splits import hashed

_MOST, _SHARE = 4, 0.25  # items of a family, or their share of all: more are no copies

Families = tuple[tuple[Item, ...], ...]
_BITS = 256  # of a sketch, 64 hex digits
_FAR = 10  # bits in which near copies differ at most
_WINDOW = 64  # items of one bucket that are looked at after each


@cache
def _bits_set() -> np.ndarray:
    """How many bits are set in each number of 16 bits, (65536,) uint8."""
    return np.array([number.bit_count() for number in range(2**16)], dtype=np.uint8)


@dataclass(frozen=True)
class Clusters:
    """Items in their clusters, and families of near copies: of different items, but nearly equal.

    `alike` are families so large that they only say how such items look: those are not joined;
    `groups` are those whose items are joined.
    """

    items: tuple[Item, ...]
    groups: frozenset[str]
    families: Families
    alike: Families

    @property
    def near(self) -> tuple[tuple[str, ...], ...]:
        """The families of near copies, by id."""
        return tuple(tuple(item.id for item in family) for family in self.families)

    def remarks(self, column: str | None) -> list[str]:
        """A sentence on the groups, which a column names."""
        count = len(self.groups)
        of = "files" if column is None else f"groups of `{column}`"
        sentence = f"items of one of the {count} {of} are never parted by a cut"
        return [sentence] if count else []

    def warnings(self, items: Sequence[Item], labels: Encoding, column: str | None) -> list[str]:
        """Sentences on families and groups, with the items as they were split.

        `labels` says what labels are, and `column` names the groups.
        """
        classes = labels is Encoding.INDEX
        split_of = {item.id: item.split or "" for item in items}
        mixed = [own for own in self.families if classes and len({i.label for i in own}) > 1]
        parted = [own for own in self.families if len({split_of[item.id] for item in own}) > 1]
        groups: defaultdict[str, set[str]] = defaultdict(set)
        for item in items:
            groups[item.group].add(split_of[item.id])
        torn = sorted(name for name in self.groups if len(groups[name]) > 1)
        return [
            *(_alike(own) for own in self.alike),
            *([_mixed(mixed)] if mixed else []),
            *([_parted(parted, split_of)] if parted else []),
            *([_torn(torn, len(self.groups), f"{column}")] if torn else []),
        ]


def clustered(items: Sequence[Item], sketches: Mapping[str, str], grouped: bool) -> Clusters:
    """Put near copies into one cluster, and items of one group, where they are `grouped`.

    `sketches` are those of items by identity. A cluster is called by the first hash of its groups,
    or by its first identity where it has none, so that new items hardly ever rename it.
    """
    members: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        members[item.identity].append(item)
    names = sorted(members)
    pairs = near_copies([sketches.get(name, "") for name in names])
    near = _joined((names[one], names[other]) for one, other in pairs.tolist())
    most = max(_MOST, int(_SHARE * len(names)))
    links = [(min(own), name) for own in near if len(own) <= most for name in own]
    groups = {item.group: hashed(item.group) for item in items if grouped and item.group}
    links += [(item.identity, groups[item.group]) for item in items if item.group in groups]
    cluster_of: dict[str, str] = {}
    for own in _joined(links):
        cluster_of |= dict.fromkeys(own, min(own.intersection(groups.values()) or own))
    every = [tuple(item for name in sorted(own) for item in members[name]) for own in near]
    return Clusters(
        tuple(replace(i, cluster=cluster_of.get(i.identity, i.cluster)) for i in items),
        frozenset(groups),
        tuple(family for family in every if _different(family) <= most),
        tuple(family for family in every if _different(family) > most),
    )


def _joined(links: Iterable[tuple[str, str]]) -> list[set[str]]:
    """What is linked, in order of its first."""
    pairs = list(links)
    if not pairs:  # as in most sets, which needn't wait for scipy's tree
        return []
    from scipy.cluster.hierarchy import DisjointSet

    sets = DisjointSet()
    for one, other in pairs:
        sets.add(one)
        sets.add(other)
        sets.merge(one, other)
    return sorted(map(set, sets.subsets()), key=min)


def _different(family: Sequence[Item]) -> int:
    return len({item.identity for item in family})


def _alike(family: Sequence[Item]) -> str:
    return (
        f"{len(family)} items look so alike, such as {family[0].id!r} and {family[1].id!r}, that "
        "near copies among them are not told. If some belong together, list them with a column of "
        "groups (--group)."
    )


def _mixed(families: Sequence[Sequence[Item]]) -> str:
    one = families[0][0]
    other = next(item for item in families[0] if item.label != one.label)
    what = "Near copies" if len(families) == 1 else f"{len(families)} families of near copies"
    return (
        f"{what} have different labels, such as {one.id!r} ({one.label}) and {other.id!r} "
        f"({other.label}). Correct the wrong ones."
    )


def _parted(families: Sequence[Sequence[Item]], split_of: Mapping[str, str]) -> str:
    def rank(item: Item) -> int:
        return SPLITS.index(split_of[item.id])

    last = [max(map(rank, family)) for family in families]
    pairs = zip(families, last, strict=True)
    learned = [
        (item, family) for family, last_rank in pairs for item in family if rank(item) < last_rank
    ]
    one, family = learned[0]
    other = max(family, key=rank)
    what = (
        "1 item is a near copy of one"
        if len(learned) == 1
        else (f"{len(learned)} items are near copies of some")
    )
    return (
        f"{what} held out from it, such as {one.id!r} in {split_of[one.id]} of {other.id!r} in "
        f"{split_of[other.id]}, so that what is measured there may flatter. Remove one of them."
    )


def _torn(groups: Sequence[str], count: int, column: str) -> str:
    return (
        f"{len(groups)} of {count} groups of `{column}` are in more than one of the splits as "
        f"named, such as {groups[0]!r}, so that what is measured may flatter."
    )


def near_copies(sketches: Sequence[str]) -> np.ndarray:
    """Pairs of positions (P, 2) that link all items whose sketches differ in at most 10 bits.

    Sketches are of 256 bits, as hex; an empty one is near none. They are cut into 11 bands, so that
    of two that differ in 10 bits one band is equal (Manku, Jain and Das Sarma 2007): only items of
    a band's bucket are looked at, and of a bucket with more than 64 each item's next 64 in order.
    Of several pairs that say the same some are left out.
    """
    places = np.flatnonzero([bool(sketch) for sketch in sketches])
    raw = np.frombuffer(bytes.fromhex("".join(sketches)), np.uint8).reshape(-1, _BITS // 8)
    rows, first, same = np.unique(raw, axis=0, return_index=True, return_inverse=True)
    same = same.ravel()
    again = np.flatnonzero(first[same] != np.arange(len(same)))
    pairs = [np.stack([first[same[again]], again], axis=1)]
    bits = np.unpackbits(rows, axis=1)
    edges = np.linspace(0, _BITS, _FAR + 2).astype(int)
    for low, high in pairwise(edges.tolist()):
        keys = bits[:, low:high] @ (1 << np.arange(high - low))
        pairs.append(first[_in_buckets(rows, keys)])
    return np.asarray(places[np.unique(np.concatenate(pairs), axis=0)])


def _in_buckets(rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Pairs of near rows (P, 2) with one key."""
    order = np.argsort(keys, kind="stable")  # rows are sorted, and so are those of a bucket
    keys, words = keys[order], rows.view(np.uint16)
    pairs = [np.empty((0, 2), dtype=np.intp)]
    ahead = np.arange(len(order))
    for step in range(1, _WINDOW + 1):
        ahead = ahead[ahead < len(order) - step]
        ahead = ahead[keys[ahead] == keys[ahead + step]]
        if not len(ahead):
            break
        one, other = order[ahead], order[ahead + step]
        near = _bits_set()[words[one] ^ words[other]].sum(axis=1) <= _FAR
        pairs.append(np.stack([one[near], other[near]], axis=1))
    return np.concatenate(pairs)
