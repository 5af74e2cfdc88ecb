"""scikit-learn's LogisticRegressionCV on standardised features of the frozen network."""

from __future__ import annotations

from timed import LEARNED, arguments, features, write


def main() -> None:
    """Extract, fit with the strength picked by three folds, predict."""
    args = arguments(__doc__)
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, labels = features(args, LEARNED)
    test, _ = features(args, ("test",))
    folds = StratifiedKFold(3, shuffle=True, random_state=args.seed)
    options = {"l1_ratios": (0.0,), "use_legacy_attributes": False}
    probe = LogisticRegressionCV(Cs=10, cv=folds, max_iter=1000, **options)
    model = make_pipeline(StandardScaler(), probe).fit(train, labels)
    write(args, "sklearn", [str(label) for label in model.predict(test)])


if __name__ == "__main__":
    main()
