"""The estimators of scikit-learn: its checks, searches, scores, clones and pickles."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import headstart as hs
import headstart.sklearn as estimators
from headstart.errors import DataError
from headstart.sklearn import HeadstartClassifier, HeadstartRegressor

BACKBONE, WORDS = "seeded:convnet?width=4", "seeded:text-encoder"
QUICK: dict[str, Any] = {"strategy": "feature-extraction"}
NUMBERS = "it fits on a table of numbers, which holds neither pictures nor texts and is refused"
REFUSED_OTHERWISE = "it wants a table of numbers refused by a ValueError in words of its own"
UNLIKE_A_TABLE = {  # checks of scikit-learn that only what takes numbers can pass, and why
    **dict.fromkeys(
        (
            "check_fit_score_takes_y",
            "check_estimators_overwrite_params",
            "check_dont_overwrite_parameters",
            "check_estimators_fit_returns_self",
            "check_readonly_memmap_input",
            "check_n_features_in_after_fitting",
            "check_positive_only_tag_during_fit",
            "check_estimators_dtypes",
            "check_dtype_object",
            "check_pipeline_consistency",
            "check_estimators_pickle",
            "check_f_contiguous_array_estimator",
            "check_supervised_y_2d",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_dict_unchanged",
            "check_fit_idempotent",
            "check_fit_check_is_fitted",
            "check_n_features_in",
            "check_fit2d_predict1d",
        ),
        NUMBERS,
    ),
    **dict.fromkeys(
        (
            "check_estimators_empty_data_messages",
            "check_estimators_nan_inf",
            "check_fit2d_1sample",
            "check_fit2d_1feature",
            "check_fit1d",
        ),
        REFUSED_OTHERWISE,
    ),
}
OF_CLASSIFIERS = dict.fromkeys(
    (
        "check_classifier_data_not_an_array",
        "check_classifiers_one_label",
        "check_classifiers_classes",
        "check_classifiers_train",
    ),
    NUMBERS,
)
OF_REGRESSORS = dict.fromkeys(
    (
        "check_regressors_train",
        "check_regressor_data_not_an_array",
        "check_regressor_multioutput",
        "check_regressors_no_decision_function",
        "check_regressors_int",
    ),
    NUMBERS,
)
PASSED = {
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_estimators_unfitted",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_complex_data",
    "check_estimator_sparse_tag",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_supervised_y_no_nan",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_requires_y_none",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Pictures of two classes, by turns."""
    root = write_pictures(tmp_path_factory.mktemp("items"), {"ants": 20, "bees": 20})
    return [str(root / name / f"{n:03}.png") for n in range(20) for name in ("ants", "bees")]


def classes(files: list[str]) -> list[str]:
    return [Path(file).parent.name for file in files]


@pytest.fixture(scope="module")
def model(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A classifier of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield HeadstartClassifier(BACKBONE, **QUICK).fit(files, classes(files))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "failing"),
    [
        (HeadstartClassifier(BACKBONE), UNLIKE_A_TABLE | OF_CLASSIFIERS),
        (HeadstartRegressor(BACKBONE), UNLIKE_A_TABLE | OF_REGRESSORS),
    ],
)
def test_the_checks_of_scikit_learn(
    monkeypatch: pytest.MonkeyPatch, estimator: Any, failing: dict[str, str]
) -> None:
    """All that make sense for what takes no table pass, and the others fail as expected."""
    tags = estimators._Estimator.__sklearn_tags__

    def as_for_tables(self: Any) -> Any:
        result = tags(self)
        result.input_tags.two_d_array = True  # or all checks but the first are left out
        return result

    monkeypatch.setattr(estimators._Estimator, "__sklearn_tags__", as_for_tables)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            estimator, expected_failed_checks=failing, on_fail=None, on_skip=None
        )
    status = {each["check_name"]: each["status"] for each in results}
    assert [name for name, result in status.items() if result == "failed"] == []
    assert {name for name, result in status.items() if result == "passed"} >= PASSED
    assert set(failing) == {name for name, result in status.items() if result == "xfail"}


def test_answers_are_those_of_the_saved_model(model: Any, files: list[str]) -> None:
    assert list(model.classes_) == ["ants", "bees"]
    shares = model.predict_proba(files)
    assert shares.shape == (40, 2)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    saved = hs.load(model.folder_)
    np.testing.assert_array_equal(shares, saved.predict_proba(files))
    assert list(model.predict(files)) == [each.label for each in saved.predict(files)]
    assert model.score(files, classes(files)) > 0.8
    pictures = [Image.open(file) for file in files]
    for container in (pictures, np.stack([np.asarray(each) for each in pictures])):
        np.testing.assert_allclose(model.predict_proba(container), shares, rtol=1e-5, atol=1e-6)
    with pytest.raises(DataError, match=r"gone\.png can't be used: it does not exist"):
        model.predict(["gone.png"])


def test_a_clone_is_not_fitted_and_a_pickle_holds_the_folder_alone(
    model: Any, files: list[str]
) -> None:
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copied.predict(files)
    raw = pickle.dumps(model)
    assert len(raw) < 2_000  # no weights
    again = pickle.loads(raw)
    np.testing.assert_array_equal(again.predict_proba(files), model.predict_proba(files))


def test_a_temporary_model_goes_with_its_estimator_unless_it_was_pickled(
    files: list[str], tmp_path: Path
) -> None:
    def folder(pickled: bool) -> Path:
        fitted = HeadstartClassifier(BACKBONE, **QUICK).fit(files[:24], classes(files[:24]))
        if pickled:
            pickle.dumps(fitted)
        return Path(fitted.folder_)

    gone, persistent = folder(False), folder(True)
    gc.collect()
    assert not gone.parent.exists()
    assert persistent.exists()


def test_labels_keep_their_type(files: list[str], tmp_path: Path) -> None:
    codes = np.array([name == "bees" for name in classes(files)])
    fitted = HeadstartClassifier(BACKBONE, out=tmp_path / "m", **QUICK).fit(files, codes)
    assert Path(fitted.folder_) == tmp_path / "m"
    assert fitted.predict(files[:4]).dtype == bool
    assert fitted.score(files, codes) > 0.8
    names = estimators._names(np.array([0.0, 1.5]))
    assert names == ["class 0", "class 1"]  # as tables would read 0.0 as 0
    assert estimators._names(np.array([2, 10])) == ["2", "10"]
    assert estimators._names(np.array(["NaN", "x"])) == ["NaN", "x"]


def test_numbers_of_pictures(files: list[str]) -> None:
    levels = [float(np.asarray(Image.open(file))[..., 0].mean()) for file in files]  # of red
    fitted = HeadstartRegressor(BACKBONE, **QUICK).fit(files, levels)
    assert fitted.predict(files[:5]).shape == (5,)
    assert fitted.score(files, levels) > 0.5
    with pytest.raises(ValueError, match="NaN"):
        HeadstartRegressor(BACKBONE).fit(files, [*levels[:-1], float("nan")])


@pytest.mark.slow
def test_searches_pipelines_and_scores(files: list[str]) -> None:
    texts = [f"{'an ant that crawls' if n % 2 else 'a bee that flies'} {n}" for n in range(40)]
    kinds = ["ant" if n % 2 else "bee" for n in range(40)]
    scores = cross_val_score(HeadstartClassifier(WORDS, **QUICK), texts, kinds, cv=2)
    assert scores.min() > 0.8
    piped = make_pipeline(
        FunctionTransformer(lambda items: [Image.open(item).convert("L") for item in items]),
        HeadstartClassifier(BACKBONE, strategy="last-stages"),
    )
    search = GridSearchCV(piped, {"headstartclassifier__epochs": [1, 2]}, cv=2)
    search.fit(files, classes(files))
    assert search.best_params_["headstartclassifier__epochs"] in (1, 2)
    assert search.predict(files).shape == (40,)


def test_the_package_imports_no_scikit_learn() -> None:
    script = "import sys, headstart; headstart.Settings(); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
