"""NannyML and Evidently before streams, in windows of so many items: alarms and ranges, as JSON.

Run in an environment of its own: `python drift_monitors.py MONITOR WINDOW FOLDER ANSWERS.json`,
with a file of arrays for each stream in the folder. All settings are the libraries' own.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

SHARE = 0.5  # of the columns, from which on Evidently speaks of drift in the data


def frame(rows, letter):
    """Rows (N, D) with a name for each column."""
    columns = [f"{letter}{number}" for number in range(rows.shape[1])]
    return pd.DataFrame(np.asarray(rows, dtype=np.float64), columns=columns)


def estimated(stream, window):
    """NannyML's confidence-based estimate of the accuracy (CBPE): alarms, and a range a window."""
    import nannyml as nml

    reference, later = (answers(stream, part) for part in ("reference", "stream"))
    reference["truth"] = stream["reference_targets"]
    labels = range(stream["reference_chances"].shape[1])
    chances = "p1" if len(labels) == 2 else {label: f"p{label}" for label in labels}
    estimator = nml.CBPE(
        metrics=["accuracy"],
        problem_type="classification_binary" if len(labels) == 2 else "classification_multiclass",
        y_pred="answer",
        y_pred_proba=chances,
        y_true="truth",
        chunk_size=window,
    )
    table = estimator.fit(reference).estimate(later).filter(period="analysis").to_df()["accuracy"]
    bounds = table[["lower_confidence_boundary", "upper_confidence_boundary"]]
    return {"alarms": table["alert"].tolist(), "ranges": bounds.to_numpy(float).tolist()}


def reconstructed(stream, window):
    """NannyML's error of reconstruction by principal components, with the ranges of its CBPE."""
    import nannyml as nml

    reference, later = (frame(stream[f"{part}_features"], "x") for part in ("reference", "stream"))
    calculator = nml.DataReconstructionDriftCalculator(
        column_names=list(reference.columns), chunk_size=window
    )
    result = calculator.fit(reference).calculate(later).filter(period="analysis").to_df()
    row = {"alarms": result["reconstruction_error"]["alert"].tolist()}
    try:
        return row | {"ranges": estimated(stream, window)["ranges"]}
    except nml.exceptions.CalculatorException:  # as for a class that one item of the reference has
        return row


def answers(stream, part):
    """The probabilities of each class, and the likeliest one."""
    table = frame(stream[f"{part}_chances"], "p")
    table["answer"] = stream[f"{part}_chances"].argmax(axis=1)
    return table


def moved_features(stream, window):
    """Evidently's drift of the features."""
    reference, later = (frame(stream[f"{part}_features"], "x") for part in ("reference", "stream"))
    return {"alarms": reports(reference, later, window, [])}


def moved_answers(stream, window):
    """Evidently's drift of the answers: probabilities, and the class."""
    reference, later = (answers(stream, part) for part in ("reference", "stream"))
    return {"alarms": reports(reference, later, window, ["answer"])}


def reports(reference, later, window, categories):
    """Whether each window drifted as a data set, up to the first that did.

    The count is that of the preset for drift, which draws every column besides, at ten times the
    cost.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import DriftedColumnsCount

    numbers = [column for column in reference.columns if column not in categories]
    kinds = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    known = Dataset.from_pandas(reference, data_definition=kinds)
    alarms = []
    for start in range(0, len(later) - window + 1, window):
        part = later.iloc[start : start + window].reset_index(drop=True)
        now = Dataset.from_pandas(part, data_definition=kinds)
        result = Report([DriftedColumnsCount(drift_share=SHARE)]).run(now, known).dict()
        alarms.append(bool(result["metrics"][0]["value"]["share"] >= SHARE))
        if alarms[-1]:
            break
    return alarms


MONITORS = {
    "reconstruction": reconstructed,
    "accuracy": estimated,
    "features": moved_features,
    "answers": moved_answers,
}


def main(monitor, window, folder, out):
    """All streams in a folder, by their names."""
    warnings.simplefilter("ignore")
    rows = {}
    for place in sorted(Path(folder).glob("*.npz")):
        with np.load(place) as stream:
            try:
                rows[place.stem] = MONITORS[monitor](dict(stream), int(window))
            except Exception as error:
                rows[place.stem] = {"error": f"{type(error).__name__}: {error}"[:300]}
    Path(out).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
