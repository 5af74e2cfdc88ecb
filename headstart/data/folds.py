"""Items shared out anew: folds, of which each holds some back, and subsets, each in the next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.sources import Item
from headstart.data.splits import Counts, cut, hashed, spread
from headstart.data.targets import kind_named
from headstart.errors import DataError

_LEARNED = ("train", "validation")
_BINS = 10  # strata that numbers are cut into, by rank


def refolded(dataset: Dataset, fold: int, folds: int) -> Dataset:
    """The data set with one of `folds` equal parts for validation and the others for training.

    The test items are left out. Each label keeps its share in every part, and items of one cluster
    stay together.
    """
    learned = [item for item in dataset.items if item.split in _LEARNED]
    part_of = _Shares.of(dataset, learned).folds(folds)
    return _with(
        dataset,
        learned,
        {cluster: "validation" if part == fold else "train" for cluster, part in part_of.items()},
    )


def fold_dataset(
    dataset: Dataset, fold: int, folds: int, repeat: int = 0, validation: float = 0.2
) -> Dataset:
    """All items shared out anew: one of `folds` equal parts to test on, the rest to learn from.

    Whatever split an item is in, it is in the test split of exactly one fold of each `repeat`,
    which content alone says; each `repeat` shares out otherwise. Every label keeps its share in
    every part (numbers by the tenth that they fall into), and items of one cluster stay together.
    Of the rest a share is for validation: of a class at least one cluster where it has two left,
    and never all. A class of fewer clusters than folds is tested in some of them. Raises DataError
    for more folds than `most_folds` answers.
    """
    most = most_folds(dataset)
    if not 2 <= folds <= most:
        raise DataError(
            f"{dataset.root} can't be shared out to {folds} folds, as {max(1, most)} is the most "
            "that leave different items of every class to learn from. Label more items."
        )
    part_of = _Shares.of(dataset, dataset.items, f"{repeat}").folds(folds)
    rest = [item for item in dataset.items if part_of[item.cluster] != fold]
    split_of = _Shares.of(dataset, rest, f"{repeat} {fold}").held_out(validation)
    test = {cluster: "test" for cluster, part in part_of.items() if part == fold}
    return _with(dataset, dataset.items, split_of | test)


def everything(dataset: Dataset, validation: float = 0.2) -> Dataset:
    """All items to learn from, whatever split they are in: some for validation, none to test."""
    split_of = _Shares.of(dataset, dataset.items).held_out(validation)
    return _with(dataset, dataset.items, split_of)


def most_folds(dataset: Dataset) -> int:
    """How many folds `judged` can share the items out to; 0 where there can't be two.

    As many as there are clusters, where each class has two at least, so that one is always learned
    from.
    """
    stratum = kind_named(dataset.kind).stratum
    pairs = {(stratum(item.label), item.cluster) for item in dataset.items}
    fewest = min(Counter(label for label, _ in pairs).values(), default=0)
    return len({item.cluster for item in dataset.items}) if fewest > 1 else 0


@dataclass(frozen=True)
class _Shares:
    """Clusters by a name that a salt gives them, and how many items of each stratum they hold."""

    names: Mapping[str, str]
    counts: Counts

    @classmethod
    def of(cls, dataset: Dataset, items: Iterable[Item], salt: str = "") -> _Shares:
        different = {item.identity: item for item in items}
        ordered = [different[identity] for identity in sorted(different)]
        labels = [item.label for item in ordered]
        targets = kind_named(dataset.kind).encode(labels, dataset.labels)
        names = {item.cluster: hashed(f"{salt} {item.cluster}") for item in ordered}
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for item, stratum in zip(ordered, strata(targets).tolist(), strict=True):
            counts[names[item.cluster]][f"{stratum}"] += 1
        return cls(names, counts)

    def folds(self, count: int) -> dict[str, int]:
        """The part of each cluster, of so many equal ones."""
        part_of = spread(self.counts, {f"{part}": 1 / count for part in range(count)})
        return {cluster: int(part_of[name]) for cluster, name in self.names.items()}

    def held_out(self, share: float) -> dict[str, str]:
        """The split of each cluster: validation for a share of every stratum, else train."""
        split_of = cut(self.counts, (("validation", share), ("train", 1 - share)))
        return {cluster: split_of[name] for cluster, name in self.names.items()}


def _with(dataset: Dataset, items: Iterable[Item], split_of: Mapping[str, str]) -> Dataset:
    return replace(
        dataset, items=tuple(replace(item, split=split_of[item.cluster]) for item in items)
    )


def nested(targets: np.ndarray, seed: int = 0) -> np.ndarray:
    """An order of the positions (N,) of which every beginning holds each label in its share.

    `targets` are class numbers (N,), label sets or numbers (N, outputs); a set counts as a label of
    its own, and numbers by the tenth that the first one falls into. Of two beginnings the shorter
    lies in the longer one, whatever their lengths.
    """
    stratum_of = strata(targets)
    rng = np.random.default_rng(seed)
    place = np.empty(len(stratum_of))
    for stratum in np.unique(stratum_of):
        own = np.flatnonzero(stratum_of == stratum)
        place[rng.permutation(own)] = (np.arange(len(own)) + rng.random()) / len(own)
    return np.argsort(place, kind="stable")


def strata(targets: np.ndarray) -> np.ndarray:
    """What each of N targets belongs to that keeps its share: (N,), as `nested` says."""
    if targets.ndim == 1:
        return targets
    if np.isin(targets, (0.0, 1.0)).all():
        return np.unique(targets, axis=0, return_inverse=True)[1].ravel()
    ranks = np.argsort(
        np.argsort(targets.reshape(len(targets), -1)[:, 0], kind="stable"), kind="stable"
    )
    return np.asarray(ranks * _BINS // len(targets))
