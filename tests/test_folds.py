"""Folds over all items: each is judged once, clusters stay together, content alone says where."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data import (
    DataReport,
    Dataset,
    FileSource,
    Item,
    everything,
    fold_dataset,
    load,
    most_folds,
    refolded,
)
from headstart.errors import DataError
from headstart.modalities.image import Image

SPLITS = ("train", "validation", "test")


def dataset(rows: list[tuple[str, str]], kind: str = "classes") -> Dataset:
    """A data set of items with these labels and clusters."""
    items = tuple(
        Item(f"{n}", label, SPLITS[n % 3], FileSource(Path()), f"{n:032x}", cluster=cluster)
        for n, (label, cluster) in enumerate(rows)
    )
    labels = tuple(sorted({item.label for item in items}))
    return Dataset(
        Path(), items, labels if kind == "classes" else ("n",), DataReport(0, {}, ""), kind
    )


classes = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 12).map(lambda n: f"{n:032x}")),
    min_size=6,
    max_size=60,
).map(lambda rows: dataset([*rows, ("a", "x"), ("a", "y"), ("b", "z"), ("b", "y")]))


def where(whole: Dataset) -> dict[str, str | None]:
    return {item.id: item.split for item in whole.items}


@given(classes, st.integers(0, 2), st.integers(2, 5))
def test_every_item_is_judged_once_by_what_never_saw_its_cluster(
    whole: Dataset, repeat: int, folds: int
) -> None:
    folds = min(folds, most_folds(whole))
    parts = [fold_dataset(whole, fold, folds, repeat) for fold in range(folds)]
    tested = [item.id for part in parts for item in part.split("test")]
    assert sorted(tested) == sorted(item.id for item in whole.items)
    for part in parts:
        assert [item.id for item in part.items] == [item.id for item in whole.items]
        assert part.split("test") and part.split("train")
        splits: defaultdict[str, set[str | None]] = defaultdict(set)
        for item in part.items:
            splits[item.cluster].add(item.split)
        assert all(len(own) == 1 for own in splits.values())


@given(st.lists(st.sampled_from("abc"), min_size=9, max_size=60), st.integers(2, 4))
def test_single_items_are_judged_in_equal_shares(labels: list[str], folds: int) -> None:
    whole = dataset([(label, "") for label in [*"aaaabbbbcccc", *labels]])
    for fold in range(folds):
        part = fold_dataset(whole, fold, folds)
        tested, total = (Counter(i.label for i in s) for s in (part.split("test"), whole.items))
        for label, count in total.items():
            assert count // folds <= tested[label] <= -(-count // folds)
        for split in ("train", "validation"):
            assert {item.label for item in part.split(split)} == set("abc")


@given(classes)
def test_the_order_of_items_says_nothing(whole: Dataset) -> None:
    turned = Dataset(whole.root, whole.items[::-1], whole.labels, whole.report)
    for fold in range(2):
        assert where(fold_dataset(whole, fold, 2)) == where(fold_dataset(turned, fold, 2))
        assert where(refolded(whole, fold, 2)) == where(refolded(turned, fold, 2))
    assert where(everything(whole)) == where(everything(turned))


def test_repeats_share_out_otherwise() -> None:
    whole = dataset([("ab"[n % 2], "") for n in range(60)])
    tested = {
        frozenset(i.id for i in fold_dataset(whole, 0, 5, repeat).split("test"))
        for repeat in (0, 1, 2)
    }
    assert len(tested) == 3


def test_a_share_is_for_validation() -> None:
    whole = dataset([("ab"[n % 2], "") for n in range(100)])
    part = fold_dataset(whole, 3, 5, validation=0.25)
    assert [len(part.split(name)) for name in SPLITS] == [60, 20, 20]
    learned = everything(whole, validation=0.1)
    assert [len(learned.split(name)) for name in SPLITS] == [90, 10, 0]


@given(classes)
def test_everything_is_learned_from(whole: Dataset) -> None:
    learned = everything(whole)
    assert [item.id for item in learned.items] == [item.id for item in whole.items]
    assert not learned.split("test")
    assert {item.label for item in learned.split("train")} == {i.label for i in whole.items}


def test_a_class_of_few_items_is_always_learned_from() -> None:
    whole = dataset([("a", f"{n}") for n in range(8)] + [("b", f"{n % 2 + 20}") for n in range(9)])
    assert most_folds(whole) == 10
    for fold in range(5):
        assert {item.label for item in fold_dataset(whole, fold, 5).split("train")} == {"a", "b"}
    with pytest.raises(DataError, match="to 11 folds, as 10 is the most that leave"):
        fold_dataset(whole, 0, 11)
    lone = dataset([("a", "1"), ("a", "2"), ("b", "3")])
    assert most_folds(lone) == 0
    with pytest.raises(DataError, match="to 2 folds, as 1 is the most that leave"):
        fold_dataset(lone, 0, 2)


def test_numbers_are_spread_over_their_range() -> None:
    values = np.random.default_rng(0).normal(size=200)
    whole = dataset([(f"{value!r}", "") for value in values.tolist()], "numbers")
    tenths = np.quantile(values, np.arange(1, 10) / 10)
    for fold in range(5):
        part = fold_dataset(whole, fold, 5)
        own = part.targets("test")[:, 0]
        assert np.bincount(np.searchsorted(tenths, own), minlength=10).tolist() == [4] * 10
    assert most_folds(whole) == 200


def test_label_sets_keep_their_shares() -> None:
    rows = [(('["x"]', '["x", "y"]', "[]")[n % 3], "") for n in range(60)]
    items = dataset(rows).items
    whole = Dataset(Path(), items, ("x", "y"), DataReport(0, {}, ""), "label sets")
    for fold in range(4):
        assert fold_dataset(whole, fold, 4).targets("test").sum(axis=0).tolist() == [10, 5]


def test_photos_are_judged_by_folds(pictures: Path) -> None:
    (pictures / "ants" / "twin.png").write_bytes((pictures / "ants" / "000.png").read_bytes())
    whole = load(pictures, Image())
    for fold in range(5):
        split_of = where(fold_dataset(whole, fold, 5))
        assert split_of["ants/twin.png"] == split_of["ants/000.png"]
