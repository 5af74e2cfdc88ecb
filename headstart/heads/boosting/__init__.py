"""Gradient boosting: many small trees, each grown on what those before it got wrong."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from headstart.contracts.head import TrainingSet
from headstart.heads.boosting.trees import ROUNDS, Boosting, Grown, Tree

LEAVES = (4, 15)  # of a tree
_RATE, _FEATURES = 0.1, 0.3  # step of each round; share of the features that a split looks at


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
