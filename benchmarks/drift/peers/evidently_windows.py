"""Evidently's data set drift of windows of a hundred features, by its defaults, as JSON.

Run in an environment of its own: `python evidently_windows.py STREAM.npz ANSWER.json`.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

WINDOW = 100
MOST = 100  # features, drawn at random, as each column takes its own test


def main(place, out):
    """The end of the first window in which half of the columns drift."""
    warnings.simplefilter("ignore")
    with np.load(place) as stream:
        reference, rows = stream["reference"], stream["rows"]
    chosen = np.random.default_rng(0).permutation(reference.shape[1])[:MOST]
    columns = [f"f{number}" for number in chosen]
    known = pd.DataFrame(reference[:, chosen], columns=columns)
    answer = {"after": None}
    for after in range(WINDOW, len(rows) + 1, WINDOW):
        window = pd.DataFrame(rows[after - WINDOW : after, chosen], columns=columns)
        found = Report([DataDriftPreset()]).run(window, known).dict()
        share = found["metrics"][0]["value"]["share"]
        if share >= 0.5:
            answer["after"] = after
            break
    with open(out, "w", encoding="utf-8") as file:
        json.dump(answer, file)


main(*sys.argv[1:])
