"""NannyML's reconstruction error of windows of a hundred, and the accuracy it estimates, as JSON.

Run in an environment of its own: `python nannyml_windows.py STREAM.npz ANSWER.json`.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd
from nannyml import CBPE, DataReconstructionDriftCalculator

WINDOW = 100


def main(place, out):
    """The end of the first window that alarms, and bounds of the accuracy in it."""
    warnings.simplefilter("ignore")
    with np.load(place) as stream:
        arrays = {name: stream[name] for name in stream.files}
    columns = [f"f{number}" for number in range(arrays["reference"].shape[1])]
    known, later = (pd.DataFrame(arrays[name], columns=columns) for name in ("reference", "rows"))
    drift = DataReconstructionDriftCalculator(column_names=columns, chunk_size=WINDOW)
    result = drift.fit(known).calculate(later).filter(period="analysis").to_df()
    alarms = np.flatnonzero(result[("reconstruction_error", "alert")].to_numpy())
    answer = {"after": None, "accuracy": None}
    if len(alarms):
        answer["after"] = int((alarms[0] + 1) * WINDOW)
        answer["accuracy"] = _accuracy(arrays, int(alarms[0]))
    with open(out, "w", encoding="utf-8") as file:
        json.dump(answer, file)


def _accuracy(arrays, chunk):
    labels = [str(number) for number in range(arrays["known"].shape[1])]
    binary = len(labels) == 2

    def frame(chances):
        answers = chances.argmax(axis=1)
        if binary:
            return pd.DataFrame({"p": chances[:, 1], "answer": answers})
        table = {f"p{label}": chances[:, int(label)] for label in labels}
        return pd.DataFrame({**table, "answer": answers.astype(str)})

    known = frame(arrays["known"])
    known["truth"] = arrays["targets"] if binary else arrays["targets"].astype(str)
    probabilities = "p" if binary else {label: f"p{label}" for label in labels}
    estimator = CBPE(
        y_pred_proba=probabilities,
        y_pred="answer",
        y_true="truth",
        problem_type="classification_binary" if binary else "classification_multiclass",
        metrics=["accuracy"],
        chunk_size=WINDOW,
    )
    later = frame(arrays["chances"])
    table = estimator.fit(known).estimate(later).filter(period="analysis").to_df()
    names = ("lower_confidence_boundary", "upper_confidence_boundary")
    return [float(table[("accuracy", name)].iloc[chunk]) for name in names]


main(*sys.argv[1:])
