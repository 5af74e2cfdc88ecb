"""Gradient boosting by XGBoost; its trees become tensors, so that using them needs no XGBoost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, ClassVar, final

import numpy as np

from headstart.contracts.head import TrainingSet
from headstart.errors import HeadstartError
from headstart.heads.boosting import ROUNDS, Boosting, Grown, Tree
from headstart.runtime.machine import WORTH_THREADS

DEPTHS = (2, 5)  # of a tree
_RATE, _FEATURES, _ITEMS = 0.1, 0.3, 0.8  # step of a round; shares that a split and a tree see


@final
class XGBoost(Boosting):
    """Gradient boosting with second derivatives and a penalty on the leaves.

    Reference: Chen and Guestrin 2016.
    """

    sizes: ClassVar[tuple[int, int]] = DEPTHS

    def demand(self) -> None:
        """Raise HeadstartError where XGBoost is not installed."""
        if find_spec("xgboost") is None:
            raise HeadstartError(
                "The head xgboost needs the package xgboost, which is not installed. "
                "Run: pip install 'headstart[xgboost]'"
            )

    def grown(self, training: TrainingSet, classes: int, size: int) -> Grown:
        """Trees of so many levels at most, by XGBoost."""
        import xgboost

        objective = {0: "reg:squarederror", 2: "binary:logistic"}.get(classes, "multi:softprob")
        settings = {
            "objective": objective,
            "base_score": 0.5 if classes == 2 else 0.0,  # log odds of 0, or a number of 0
            "max_depth": size,
            "eta": _RATE,
            "colsample_bynode": _FEATURES,
            "subsample": _ITEMS,
            "tree_method": "hist",
            "seed": 0,
            "nthread": 1 if ROUNDS * training.features.size < WORTH_THREADS else 0,  # 0 is all
            "verbosity": 0,
        }
        if classes > 2:
            settings["num_class"] = classes
        matrix = xgboost.DMatrix(training.features, training.targets, weight=training.weights)
        booster = xgboost.train(settings, matrix, ROUNDS)
        content = json.loads(bytes(booster.save_raw("json")))
        trees = [_tree(each) for each in content["learner"]["gradient_booster"]["model"]["trees"]]
        raw = len(trees) // ROUNDS
        return Grown([trees[n * raw : (n + 1) * raw] for n in range(ROUNDS)], np.zeros(raw))


def _tree(nodes: Mapping[str, Any]) -> Tree:
    """XGBoost sends an item left where it is below a threshold, not where it equals it."""
    left, right = (np.array(nodes[f"{side}_children"]) for side in ("left", "right"))
    split = np.array(nodes["split_conditions"], dtype=np.float32)  # a leaf keeps its value here
    below = np.nextafter(split, np.float32(-np.inf))
    return Tree(np.array(nodes["split_indices"]), below, left, right, split)
