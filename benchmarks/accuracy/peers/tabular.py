"""AutoGluon's TabularPredictor on the features of the frozen network, for the time that is left."""

from __future__ import annotations

import tempfile

from timed import LEARNED, arguments, features, left, write

SAVED = 0.75  # of the time left: it takes longer than its limit


def main() -> None:
    """Extract, fit, predict."""
    args = arguments(__doc__)
    import pandas
    from autogluon.tabular import TabularPredictor

    train, labels = features(args, LEARNED)
    test, _ = features(args, ("test",))
    table = pandas.DataFrame(train).rename(columns=str).assign(label=labels)
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor("label", path=folder, verbosity=1)
        predictor.fit(table, time_limit=SAVED * left(args))
        predicted = predictor.predict(pandas.DataFrame(test).rename(columns=str))
        write(args, "autogluon", [str(label) for label in predicted])


if __name__ == "__main__":
    main()
