"""Near copies: items whose sketches hardly differ, found without looking at every pair."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

_BITS = 256  # of a sketch, 64 hex digits
_FAR = 10  # bits in which near copies differ at most
_WINDOW = 64  # items of one bucket that are looked at after each


@cache
def _bits_set() -> np.ndarray:
    """How many bits are set in each number of 16 bits, (65536,) uint8."""
    return np.array([number.bit_count() for number in range(2**16)], dtype=np.uint8)


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


def _in_buckets(kept: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Pairs of near rows (P, 2) with one key."""
    order = np.argsort(keys, kind="stable")  # rows are sorted, and so are those of a bucket
    keys, words = keys[order], kept.view(np.uint16)
    found = [np.empty((0, 2), dtype=np.intp)]
    ahead = np.arange(len(order))
    for step in range(1, _WINDOW + 1):
        ahead = ahead[ahead < len(order) - step]
        ahead = ahead[keys[ahead] == keys[ahead + step]]
        if not len(ahead):
            break
        one, other = order[ahead], order[ahead + step]
        near = _bits_set()[words[one] ^ words[other]].sum(axis=1) <= _FAR
        found.append(np.stack([one[near], other[near]], axis=1))
    return np.concatenate(found)
