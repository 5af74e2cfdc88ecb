"""The transformer for scikit-learn: any kind of input, clones, pickles, pipelines."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import headstart as hs
from headstart.errors import DataError, HeadstartError

REFERENCE = "seeded:convnet"
WORDS = "seeded:text-encoder"
NUMBERS = "it feeds tables of numbers, and this takes pictures or texts"
UNLIKE_A_TABLE = {  # checks of scikit-learn that only what takes numbers can pass, and why
    **dict.fromkeys(
        (
            "check_fit_score_takes_y",
            "check_estimators_dtypes",
            "check_dtype_object",
            "check_pipeline_consistency",
            "check_estimators_pickle",
            "check_f_contiguous_array_estimator",
            "check_transformer_data_not_an_array",
            "check_transformer_general",
            "check_transformer_preserve_dtypes",
            "check_transformers_unfitted_stateless",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_dict_unchanged",
            "check_fit_idempotent",
            "check_fit2d_predict1d",
        ),
        NUMBERS,
    ),
    **dict.fromkeys(
        (
            "check_complex_data",
            "check_estimators_empty_data_messages",
            "check_estimators_nan_inf",
            "check_estimator_sparse_tag",
            "check_fit1d",
        ),
        "it wants fit to refuse data, and fit looks at none",
    ),
    **dict.fromkeys(
        ("check_n_features_in_after_fitting", "check_n_features_in"),
        "items have no number of columns",
    ),
}


@pytest.fixture
def files(pictures: Path) -> list[Path]:
    """Some files of pictures, of both classes."""
    return [pictures / name / f"{n:03}.png" for n in range(6) for name in ("ants", "bees")]


def featurizer(reference: str = REFERENCE, **chosen: Any) -> hs.Featurizer:
    return hs.Featurizer(reference, **{"device": "cpu", "engine": "torch", **chosen})


def test_features_are_those_that_extract_writes(pictures: Path, tmp_path: Path) -> None:
    settings = hs.Settings(device="cpu", engine="torch")
    hs.export_features(pictures, REFERENCE, tmp_path / "a.npz", settings=settings)
    with np.load(tmp_path / "a.npz") as file:
        result = featurizer().transform([pictures / name for name in file["ids"]])
        np.testing.assert_array_equal(result, file["features"])


def test_every_kind_of_picture_gives_the_same(files: list[Path]) -> None:
    model = featurizer()
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    expected = model.transform(files)
    assert expected.shape == (12, 32)
    assert expected.dtype == np.float32
    names = [str(file) for file in files]
    pictures = [Image.fromarray(each) for each in pixels]
    raw = [file.read_bytes() for file in files]
    kinds: dict[str, Any] = {
        "names": names,
        "an array of names": np.array(names),
        "objects": np.array(files, dtype=object),
        "a column": np.array(names, dtype=object)[:, None],
        "a tuple": tuple(raw),
        "stacked": pixels,
        "arrays": list(pixels),
        "fractions": pixels / 255,
        "pictures": pictures,
        "mixed": [files[0], pictures[1], pixels[2], *raw[3:]],
    }
    for kind, inputs in kinds.items():
        np.testing.assert_allclose(model.transform(inputs), expected, rtol=1e-5, err_msg=kind)


def test_pictures_of_other_modes_are_read_as_their_files_are(tmp_path: Path) -> None:
    rng, model = np.random.default_rng(0), featurizer()
    grey = rng.integers(0, 255, (1, 20, 20, 1), np.uint8)
    flat = model.transform(grey)
    np.testing.assert_array_equal(model.transform(grey[..., 0]), flat)
    np.testing.assert_allclose(model.transform(grey.repeat(3, axis=3)), flat, rtol=1e-4)
    turned = Image.fromarray(rng.integers(0, 255, (20, 30, 3), np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was turned
    for suffix in ("png", "tiff"):
        turned.save(tmp_path / f"a.{suffix}", exif=exif)
        file = tmp_path / f"a.{suffix}"
        np.testing.assert_array_equal(model.transform([Image.open(file)]), model.transform([file]))


def test_texts_and_files_of_texts(tmp_path: Path) -> None:
    model, texts = featurizer(WORDS), ["a small cat", "a dog that barks at night", "ants"]
    (tmp_path / "a.txt").write_text(texts[1])
    result = model.transform(texts)
    assert result.shape[0] == 3
    np.testing.assert_allclose(model.transform(texts[::-1])[::-1], result, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.transform([tmp_path / "a.txt"])[0], result[1])
    np.testing.assert_array_equal(model.transform(np.array(texts)), result)
    with pytest.raises(DataError, match=r"Item 1 is of type int, which is no text\. Give strings"):
        model.transform(["a", 3])


def test_a_batch_of_any_size_gives_the_same(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = featurizer(batch_size=32).transform(files)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "another"))
    np.testing.assert_allclose(
        featurizer(batch_size=5).transform(files), whole, rtol=1e-4, atol=1e-6
    )


def test_nothing_gives_no_rows() -> None:
    assert featurizer().transform([]).shape == (0, 32)


def test_it_clones_and_pickles_by_reference(files: list[Path]) -> None:
    model = featurizer(batch_size=4).fit(files)
    before = model.transform(files)
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(batch_size=8).batch_size == 8
    content = pickle.dumps(model)
    assert len(content) < 500
    again = pickle.loads(content)
    assert vars(again) == vars(model)
    np.testing.assert_array_equal(again.transform(files), before)
    assert model.get_feature_names_out().tolist() == [f"f{n}" for n in range(32)]
    assert repr(model).startswith("Featurizer(")


def test_it_stands_before_any_estimator(files: list[Path]) -> None:
    labels = [file.parent.name for file in files]
    flow = make_pipeline(featurizer(), StandardScaler(), LogisticRegression())
    flow.fit(files, labels)
    assert flow.score(files, labels) == 1.0
    assert pickle.loads(pickle.dumps(flow)).predict(files).tolist() == labels
    wider = "seeded:convnet?width=8"
    grid = {"featurizer__backbone": [REFERENCE, wider], "logisticregression__C": [0.01, 1.0]}
    search = GridSearchCV(flow, grid, cv=2, error_score="raise").fit(files, labels)
    assert search.best_score_ > 0.5
    assert len(search.cv_results_["params"]) == 4
    names = search.best_estimator_[:-1].get_feature_names_out()
    assert names[0] == "f0"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["/nowhere/a.png"], r"Item 0 \(/nowhere/a.png\) can't be used"),
        ([b"no picture"], "Item 0 can't be used"),
        ("a.png", "'a.png' is no list of items"),
        (3, "'3' is no list of items"),
        (np.full((2, 8, 8, 3), 2.0), "Item 0 has values from 2 to 2, and fractions"),
        ([np.zeros((8, 8, 3), int)], r"an array of int64 \(8, 8, 3\), which is no picture"),
        (np.zeros((2, 8, 8, 5), np.uint8), r"the shape \(8, 8, 5\), which is no picture"),
        ([None], "of type NoneType"),
    ],
)
def test_what_is_no_picture_is_one_sentence(inputs: Any, message: str) -> None:
    with pytest.raises(HeadstartError, match=message):
        featurizer().transform(inputs)


def test_settings_are_looked_at_when_fitted() -> None:
    for wrong in (
        {"engine": "steam"},
        {"batch_size": 0},
        {"precision": "fp8"},
        {"device": "abacus"},
    ):
        with pytest.raises(HeadstartError, match=next(iter(wrong))):
            featurizer(**wrong).fit([])
    with pytest.raises(HeadstartError, match="nowhere"):
        featurizer("nowhere:x").fit([])


def test_the_checks_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that make sense for what takes no table pass, and the others fail as expected."""
    tags = hs.Featurizer.__sklearn_tags__

    def as_for_tables(self: hs.Featurizer) -> Any:
        result = tags(self)
        result.input_tags.two_d_array = True  # or all checks but the first are left out
        return result

    monkeypatch.setattr(hs.Featurizer, "__sklearn_tags__", as_for_tables)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = check_estimator(
            featurizer(), expected_failed_checks=UNLIKE_A_TABLE, on_fail=None, on_skip=None
        )
    status = {each["check_name"]: each["status"] for each in outcomes}
    assert [name for name, result in status.items() if result == "failed"] == []
    passed = {name for name, result in status.items() if result == "passed"}
    assert {
        "check_estimator_cloneable",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_estimator_repr",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimators_overwrite_params",
        "check_estimators_fit_returns_self",
        "check_mixin_order",
    } <= passed
    assert set(UNLIKE_A_TABLE) == {name for name, result in status.items() if result == "xfail"}
