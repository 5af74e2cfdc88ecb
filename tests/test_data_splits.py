"""The laws of the splits: exact shares, nothing parted that belongs together, few items moved."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.splits import FROM_TRAIN, UNSPLIT, Counts, Shares, cut, spread

digests = st.integers(0, 10**6).map(
    lambda number: hashlib.blake2b(f"{number}".encode(), digest_size=16).hexdigest()
)
shares = st.sampled_from([UNSPLIT, FROM_TRAIN])
single = st.dictionaries(
    digests, st.sampled_from("abcd").map(lambda label: {label: 1}), max_size=80
)
mixed = st.dictionaries(
    digests,
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=1, max_size=3),
    max_size=40,
)
pure = st.dictionaries(
    digests, st.tuples(st.sampled_from("abc"), st.integers(1, 9)).map(lambda own: dict([own]))
)


def sizes(clusters: Counts) -> Counter[str]:
    """Items of each class."""
    return sum((Counter(own) for own in clusters.values()), Counter[str]())


def held(clusters: Counts, split_of: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """Items by split and class."""
    counts: Counter[tuple[str, str]] = Counter()
    for name, own in clusters.items():
        counts.update({(split_of[name], label): count for label, count in own.items()})
    return counts


@given(single, shares)
def test_shares_are_exact(clusters: Counts, shares: Shares) -> None:
    result = held(clusters, cut(clusters, shares))
    of_class = sizes(clusters)
    if min(of_class.values(), default=0) < 1 / min(share for _, share in shares):
        return  # a class of few items has more than its share, so that it is in every split
    for name, share in shares[:-1]:
        total = sum(result[name, label] for label in of_class)
        assert abs(total - share * of_class.total()) <= 0.5 + 1e-6
        for label, size in of_class.items():
            assert abs(result[name, label] - share * size) < 1 + 1e-6


@pytest.mark.parametrize("size", [7, 10, 13])
def test_many_small_classes_are_not_rounded_alike(size: int) -> None:
    clusters = {
        hashlib.blake2b(f"{label} {n}".encode()).hexdigest(): {f"{label}": 1}
        for label in range(100)
        for n in range(size)
    }
    counts = Counter(cut(clusters, UNSPLIT).values())
    assert counts["test"] == counts["validation"] == pytest.approx(15 * size, abs=0.5)


@given(mixed, shares)
def test_order_says_nothing(clusters: Counts, shares: Shares) -> None:
    backwards = {name: clusters[name] for name in sorted(clusters, reverse=True)}
    assert cut(clusters, shares) == cut(backwards, shares)


@given(mixed, single, digests, st.sampled_from("abcd"), shares)
def test_a_new_item_moves_few_others(
    several: Counts, single: Counts, new: str, label: str, shares: Shares
) -> None:
    clusters = {**single, **several}
    clusters.pop(new, None)
    alone = Counter(next(iter(own)) for own in clusters.values() if sum(own.values()) == 1)
    for few in "abcd":
        if alone[few] < len(shares):  # a cluster of several may then have to fill a split
            clusters = {name: own for name, own in clusters.items() if few not in own}
    before = cut(clusters, shares)
    after = cut({**clusters, new: {label: 1}}, shares)
    moved = [name for name in before if before[name] != after[name]]
    assert all(sum(clusters[name].values()) == 1 for name in moved)
    for split, _ in shares[:-1]:
        for to, away in ((before, after), (after, before)):
            crossed = [name for name in moved if to[name] == split != away[name]]
            classes = Counter(next(iter(clusters[name])) for name in crossed)
            assert not classes or max(classes.values()) == 1
            assert len(classes.keys() - {label}) <= 1


@given(pure, shares)
def test_a_class_of_enough_clusters_is_in_every_split(clusters: Counts, shares: Shares) -> None:
    result = held(clusters, cut(clusters, shares))
    families = Counter(label for own in clusters.values() for label in own)
    for label, count in families.items():
        splits = {split for split, other in result if other == label}
        assert "train" in splits
        assert count < len(shares) or splits == {name for name, _ in shares}


@given(mixed, st.integers(2, 6))
def test_no_part_is_empty(clusters: Counts, parts: int) -> None:
    part_of = spread(clusters, {f"{n}": 1 / parts for n in range(parts)})
    assert part_of.keys() == clusters.keys()
    assert len(set(part_of.values())) == min(parts, len(clusters))


@given(single, st.integers(2, 6))
def test_parts_of_single_items_are_equal(clusters: Counts, parts: int) -> None:
    result = held(clusters, spread(clusters, {f"{n}": 1 / parts for n in range(parts)}))
    for label, size in sizes(clusters).items():
        own = [result[f"{n}", label] for n in range(parts)]
        assert sum(own) == size and max(own) - min(own) <= 1


def test_patients_of_several_classes_keep_the_shares() -> None:
    clusters = {
        hashlib.blake2b(f"{patient}".encode()).hexdigest(): {
            label: 1 + (7 * patient + 3 * place) % 11 for place, label in enumerate("abc")
        }
        for patient in range(60)
    }
    result, of_class = held(clusters, cut(clusters, UNSPLIT)), sizes(clusters)
    for name, share in UNSPLIT:
        for label, size in of_class.items():
            assert result[name, label] / size == pytest.approx(share, abs=0.03)
