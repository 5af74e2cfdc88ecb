"""The law of the splits: content alone says where an item goes."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.splits import FROM_TRAIN, UNSPLIT, Shares, cut, position

digests = st.binary(max_size=6).map(lambda raw: hashlib.blake2b(raw, digest_size=16).hexdigest())
shares = st.sampled_from([UNSPLIT, FROM_TRAIN])
classes = st.dictionaries(st.sampled_from("abc"), st.sets(digests, min_size=1, max_size=30))


def apart(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same classes without content that two of them share."""
    counts = Counter(digest for own in found.values() for digest in own)
    return {label: {d for d in own if counts[d] == 1} for label, own in found.items()}


@given(digests)
def test_positions_fill_zero_to_one(digest: str) -> None:
    assert 0 <= position(digest) < 1


def test_the_ends_of_the_range() -> None:
    assert position("0" * 32) == 0
    assert position("f" * 32) < 1


@given(classes, shares)
def test_order_and_repetition_say_nothing(found: dict[str, set[str]], shares: Shares) -> None:
    found = apart(found)
    forwards = {label: sorted(own) for label, own in found.items()}
    backwards = {label: sorted(found[label], reverse=True) * 2 for label in sorted(found)[::-1]}
    assert cut(forwards, shares) == cut(backwards, shares)


@given(classes, classes, shares)
def test_new_items_move_no_others(
    found: dict[str, set[str]], new: dict[str, set[str]], shares: Shares
) -> None:
    together = apart({label: found.get(label, set()) | new.get(label, set()) for label in "abc"})
    old = {label: own & found.get(label, set()) for label, own in together.items()}
    before, moved_before = cut(old, shares)
    after, moved_after = cut(together, shares)
    exceptions = set(moved_before) | set(moved_after)
    assert all(before[digest] == after[digest] for digest in before if digest not in exceptions)


@given(classes, st.sets(digests, min_size=1), shares)
def test_one_class_says_nothing_about_another(
    found: dict[str, set[str]], new: set[str], shares: Shares
) -> None:
    found = apart(found)
    new -= set().union(*found.values())
    before, _ = cut(found, shares)
    after, _ = cut({**found, "other": new}, shares)
    assert before == {digest: after[digest] for digest in before}


@given(classes, shares)
def test_a_class_with_enough_items_is_in_every_split(
    found: dict[str, set[str]], shares: Shares
) -> None:
    found = apart(found)
    split_of, _ = cut(found, shares)
    for own in found.values():
        held = {split_of[digest] for digest in own}
        if len(own) >= len(shares):
            assert held == {name for name, _ in shares}
        elif own:
            assert "train" in held


@given(classes, shares)
def test_only_what_an_empty_split_needs_is_moved(
    found: dict[str, set[str]], shares: Shares
) -> None:
    found = apart(found)
    for label, own in found.items():
        edges = []
        total = 0.0
        for name, share in shares:
            edges.append((name, total, total + share))
            total += share
        natural = {
            d: next((n for n, low, high in edges if low <= position(d) < high), edges[-1][0])
            for d in own
        }
        split_of, moved = cut({label: own}, shares)
        assert {d for d in own if split_of[d] != natural[d]} <= set(moved)
        missing = {name for name, _ in shares} - set(natural.values())
        assert {split_of[d] for d in moved} <= missing
        assert len(moved) <= len(missing)


def test_the_nearest_item_moves() -> None:
    # positions 0.5, 0.6, 0.9: all train; test is [0, .15) and validation [.15, .3)
    half, six, nine = "8" + "0" * 31, "9" + "9" * 31, "e" + "6" * 31
    split_of, moved = cut({"a": [nine, six, half]}, UNSPLIT)
    assert split_of == {half: "validation", six: "test", nine: "train"}
    assert sorted(moved) == sorted([half, six])


def test_two_items_at_least_train() -> None:
    low, lower = "1" + "0" * 31, "0" * 32  # both in the test range
    split_of, moved = cut({"a": [low, lower]}, UNSPLIT)
    assert split_of == {low: "train", lower: "test"}
    assert moved == [low]


@pytest.mark.parametrize("shares", [UNSPLIT, FROM_TRAIN])
def test_the_shares_hold(shares: Shares) -> None:
    own = [
        hashlib.blake2b(bytes([n % 256, n // 256]), digest_size=16).hexdigest()
        for n in range(20_000)
    ]
    counts = Counter(cut({"a": own}, shares)[0].values())
    for name, share in shares:
        assert counts[name] / len(own) == pytest.approx(share, abs=0.01)
