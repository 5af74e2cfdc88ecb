"""Gradient boosting: many small trees, each grown on what those before it got wrong."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.head import SURE, HeadFitter, Shape, TrainingSet, damaged, demand_tensors
from headstart.contracts.standardisation import Standardisation
from headstart.contracts.targets import Encoding
from headstart.runtime.machine import threads_for

LEAVES = (4, 15)  # of a tree
_RATE, _FEATURES = 0.1, 0.3  # step of each round; share of the features that a split looks at
ROUNDS = 100
WORTH_STOPPING = (25, 50, ROUNDS)  # rounds after which validation may find it best to stop
_DEEPEST = 64
_TENSORS = {
    "feature": ("nodes",),
    "threshold": ("nodes",),
    "branches": ("nodes", "two"),
    "value": ("nodes",),
    "roots": ("rounds", "raw"),
    "mixing": ("raw", "labels"),
    "bias": ("labels",),
    "depth": (),
}
_INTEGERS = ("feature", "branches", "roots", "depth")


@dataclass(frozen=True)
class Tree:
    """One tree, node by node: an item goes left where its feature is at most the threshold.

    `left` and `right` are places in these arrays, below 0 in a leaf, of which `value` counts.
    """

    feature: np.ndarray
    threshold: np.ndarray  # float32
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class Grown:
    """Rounds of one tree for each raw output, to whose sums `start` (raw,) is added.

    Raw outputs are one logit a class, the log odds of the second of two classes, or a number.
    """

    rounds: Sequence[Sequence[Tree]]
    start: np.ndarray


class Boosting(HeadFitter):
    """Boosted trees of two sizes, each after several numbers of rounds; validation picks one.

    Whatever grew them, they become tensors, run on any device and are saved as numbers.
    """

    sizes: ClassVar[tuple[int, int]]  # of a tree: what that counts is the library's

    @abstractmethod
    def grown(self, training: TrainingSet, classes: int, size: int) -> Grown:
        """Trees of a size for targets (N,): of so many classes, or numbers where there are none."""

    def candidates(self, training: TrainingSet) -> Iterator[nn.Module]:
        """Ensembles of small and of larger trees, the shortest first. Raises DataError."""
        Standardisation.of(training.features)  # trees need none, but finite numbers
        for size in self.sizes:
            tensors = self._tensors(training, size)
            for count in WORTH_STOPPING:
                yield TreeEnsemble(_first(tensors, count))

    def restored(self, state: Mapping[str, Tensor], shape: Shape) -> nn.Module:
        """The same trees. Raises WeightsError where the tensors are none."""
        sizes = demand_tensors(state, _TENSORS, {"labels": shape.labels, "two": 2}, _INTEGERS)
        depth = int(state["depth"])
        bounds = {"feature": shape.width, "branches": sizes["nodes"], "roots": sizes["nodes"]}
        for name, most in bounds.items():
            if state[name].min() < 0 or state[name].max() >= most:
                raise damaged(f"{name} leads nowhere")
        if not 0 <= depth <= _DEEPEST:
            raise damaged(f"its trees are {depth} deep")
        return TreeEnsemble(state)

    def _tensors(self, training: TrainingSet, size: int) -> dict[str, Tensor]:
        parts, mixing, bias = [], [], np.zeros(training.shape.labels)
        for targets, classes, rows in _questions(training, bias):
            part = self.grown(replace(training, targets=targets), classes, size)
            parts.append(part)
            mixing.append(rows)
            bias += part.start @ rows
        if not parts:  # nothing varies
            parts, mixing = [_nothing()], [np.zeros((1, len(bias)))]
        rounds = [[tree for part in parts for tree in part.rounds[n]] for n in range(ROUNDS)]
        return _tensors(rounds, np.concatenate(mixing), bias)


@final
class TreeEnsemble(nn.Module):
    """Features (N, D) to outputs (N, labels): sums over trees, all walked down at once."""

    feature: Tensor
    threshold: Tensor
    branches: Tensor
    value: Tensor
    roots: Tensor
    mixing: Tensor
    bias: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in _TENSORS:
            self.register_buffer(name, tensors[name])
        self.steps = int(tensors["depth"])

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, log odds, or numbers. A leaf leads to itself."""
        features = inputs.to(self.threshold.dtype)
        node = torch.zeros_like(features[:, :1], dtype=torch.int64) + self.roots.flatten()
        for _ in range(self.steps):
            right = features.gather(1, self.feature[node]) > self.threshold[node]
            node = self.branches.flatten()[2 * node + right.to(torch.int64)]
        raw = self.value[node].reshape(-1, *self.roots.shape).sum(dim=1)
        return raw @ self.mixing + self.bias


def _questions(
    training: TrainingSet, bias: np.ndarray
) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """What trees are grown for: targets (N,), classes, and how raw outputs make up outputs.

    Outputs that training never contradicts get their value in `bias` instead.
    """
    shape = training.shape
    if shape.encoding is Encoding.INDEX:
        present, targets = np.unique(training.targets, return_inverse=True)
        bias[np.setdiff1d(np.arange(shape.labels), present)] = -SURE
        rows = np.eye(shape.labels)[present]
        if len(present) > 1:
            yield targets, len(present), np.diff(rows, axis=0) / 2 if len(present) == 2 else rows
        return
    for place, column in enumerate(training.targets.T):
        rows = np.eye(shape.labels)[[place]]
        if shape.encoding is Encoding.AMOUNTS:
            yield column, 0, rows
        elif column.min() == column.max():
            bias[place] = SURE if column[0] else -SURE
        else:
            yield column.astype(np.int64), 2, rows


def _nothing() -> Grown:
    none, zero = np.array([-1]), np.zeros(1, np.float32)
    return Grown([[Tree(np.array([0]), zero, none, none, zero)]] * ROUNDS, np.zeros(1))


def _tensors(
    rounds: Sequence[Sequence[Tree]], mixing: np.ndarray, bias: np.ndarray
) -> dict[str, Tensor]:
    """All trees' nodes in a row, in the order of the rounds."""
    trees = [tree for each in rounds for tree in each]
    starts = np.cumsum([0, *(len(tree.feature) for tree in trees)])
    leaves = np.concatenate([tree.left < 0 for tree in trees])
    own = np.arange(starts[-1])
    left, right = (
        np.concatenate([part + start for part, start in zip(parts, starts, strict=False)])
        for parts in ([tree.left for tree in trees], [tree.right for tree in trees])
    )
    branches = np.where(leaves[:, None], own[:, None], np.stack([left, right], axis=1))
    feature, threshold, value = (
        np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("feature", "threshold", "value")
    )
    return {
        "feature": torch.from_numpy(np.where(leaves, 0, feature).astype(np.int64)),
        "threshold": torch.from_numpy(np.where(leaves, 0, threshold).astype(np.float32)),
        "branches": torch.from_numpy(branches.astype(np.int64)),
        "value": torch.from_numpy(np.where(leaves, value, 0).astype(np.float32)),
        "roots": torch.from_numpy(starts[:-1].reshape(len(rounds), -1).copy()),
        "mixing": torch.from_numpy(mixing).float(),
        "bias": torch.from_numpy(bias).float(),
        "depth": torch.tensor(max(_depth(tree) for tree in trees)),
    }


def _first(tensors: Mapping[str, Tensor], rounds: int) -> dict[str, Tensor]:
    """The same trees up to a round, without the nodes of later ones."""
    roots = tensors["roots"]
    nodes = len(tensors["feature"]) if rounds >= len(roots) else int(roots[rounds, 0])
    cut = {name: tensors[name][:nodes] for name in ("feature", "threshold", "branches", "value")}
    return {**tensors, **cut, "roots": roots[:rounds]}


def _depth(tree: Tree) -> int:
    """How many steps lead to the deepest leaf."""
    level, depth = np.array([0]), 0
    while True:
        level = level[tree.left[level] >= 0]
        if not len(level):
            return depth
        level, depth = np.concatenate([tree.left[level], tree.right[level]]), depth + 1


@final
class GradientBoosting(Boosting):
    """Gradient boosting on binned features by scikit-learn; numbers by squared error.

    Reference: Friedman 2001; histograms as in LightGBM (Ke et al. 2017).
    """

    sizes: ClassVar[tuple[int, int]] = LEAVES

    def grown(self, training: TrainingSet, classes: int, size: int) -> Grown:
        """Trees of so many leaves, by scikit-learn."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        model = kind(
            learning_rate=_RATE,
            max_iter=ROUNDS,
            max_leaf_nodes=size,
            max_features=_FEATURES,
            min_samples_leaf=min(20, max(1, len(training.targets) // 20)),
            early_stopping=False,
            random_state=0,
        )
        with threads_for(ROUNDS * training.features.size):
            model.fit(training.features, training.targets, sample_weight=training.weights)
        rounds = [[_tree(each.nodes) for each in trees] for trees in model._predictors]
        return Grown(rounds, np.ravel(model._baseline_prediction))


def _tree(nodes: Any) -> Tree:
    """Scikit-learn compares in double precision, features are single: rounded down, all agree."""
    exact = nodes["num_threshold"]
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    leaf = nodes["is_leaf"] == 1
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    return Tree(nodes["feature_idx"], threshold, left, right, nodes["value"])
