"""skada's shallow methods, and what its scorers choose: answers on each target, as JSON.

Run in an environment of its own: `python skada_methods.py FOLDER ANSWERS.json`, with a file of
arrays for each draw in the folder.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from skada import (
    CORALAdapter,
    LinearOTMappingAdapter,
    SubspaceAlignmentAdapter,
    make_da_pipeline,
)
from skada.metrics import ImportanceWeightedScorer, PredictionEntropyScorer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def methods_on(source, targets, target):
    """Fit each method on source and target, answer the target, ask the scorers."""
    features = np.concatenate([source, target]).astype(float)
    domains = np.concatenate([np.ones(len(source)), np.full(len(target), -2)]).astype(int)
    labels = np.concatenate([targets, np.full(len(target), -1)])
    width = min(100, len(source) // 2, len(target) // 2, features.shape[1])
    adapters = {
        "CORAL": CORALAdapter(reg=0.1),
        "LinearOT": LinearOTMappingAdapter(reg=0.1),
        "subspace alignment": SubspaceAlignmentAdapter(n_components=width),
    }
    scorers = {"entropy": PredictionEntropyScorer(), "IW": ImportanceWeightedScorer()}
    rows = {}
    for name, adapter in adapters.items():
        began = time.perf_counter()
        last = LogisticRegression(C=0.1, max_iter=300).set_fit_request(sample_weight=True)
        last = last.set_score_request(sample_weight=True)
        method = make_da_pipeline(StandardScaler(), adapter, last)
        row = {}
        try:
            method.fit(features, labels.copy(), sample_domain=domains)
            answers = method.predict(target.astype(float), sample_domain=domains[len(source) :])
            row["answers"] = [int(answer) for answer in answers]
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}"[:200]
        for scorer, score in scorers.items():
            try:
                row[scorer] = float(score(method, features, labels.copy(), sample_domain=domains))
            except Exception as error:
                row[f"{scorer} error"] = f"{type(error).__name__}: {error}"[:200]
        row["seconds"] = time.perf_counter() - began
        rows[name] = row
    return rows


def main(folder, out):
    """All draws in a folder, by their names."""
    warnings.simplefilter("ignore")
    rows = {}
    for place in sorted(Path(folder).glob("*.npz")):
        with np.load(place) as draw:
            rows[place.stem] = methods_on(draw["source"], draw["targets"], draw["target"])
    Path(out).write_text(json.dumps(rows), encoding="utf-8")


main(*sys.argv[1:])
