"""Headstart as estimators of scikit-learn: `fit` on pictures or texts, and all that builds on it.

from headstart.sklearn import HeadstartClassifier

model = HeadstartClassifier("timm:mobilenetv2_100").fit(paths, labels)
"""

from __future__ import annotations

import shutil
import tempfile
import unicodedata
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from headstart.defaults import Settings
from headstart.forms.sklearn import estimator
from headstart.loading import record
from headstart.pipeline.flow import fit
from headstart.pipeline.opening import load
from headstart.pipeline.options import settings_of
from headstart.serve import Predictor

__all__ = ["HeadstartClassifier", "HeadstartRegressor", "exported_head"]

_QUICK = Settings(scratch=False, evidence="none")  # a search compares scores of its own
_OPEN = 2  # models kept open, so that predict and score open one once


class _Estimator(BaseEstimator, ABC):  # type: ignore[misc]  # it has no types
    """A model that `headstart.fit` makes, and the folder it is saved in.

    `backbone` and `strategy` are as in `headstart.fit`; `epochs` and `learning_rate` are settings
    that a search may vary, `random_state` is the seed, and `settings` holds all others: by default
    no network is trained from scratch, and no more evidence is measured than the choice takes.
    `out` is the model's folder; without it the model lies in a temporary one that goes with the
    estimator. In a search, where several are fitted, leave it out.

    A clone is not fitted. A pickle holds the folder's path in `folder_` and never weights, so that
    it opens where that folder is; a temporary one stays from then on. Items are a list, an array
    (N, H, W, C) or a column of whatever `headstart.Predictor.predict` takes.
    """

    def __init__(
        self,
        backbone: str | Sequence[str] | None = None,
        *,
        strategy: str | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        random_state: int | None = None,
        out: str | Path | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.backbone = backbone
        self.strategy = strategy
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.out = out
        self.settings = settings

    @abstractmethod
    def fit(self, X: Any, y: Any) -> _Estimator:
        """Make a model of items X and their targets y. Raises HeadstartError as `fit` does."""

    def _fit(self, X: Any, y: Any, targets: str) -> None:
        if issparse(X):
            raise TypeError("Sparse input holds no pictures or texts. Give a list of items.")
        varied: dict[str, Any] = {
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "seed": self.random_state,
        }
        options = {name: value for name, value in varied.items() if value is not None}
        options |= {"targets": targets, "missing": ""}
        settings = settings_of(self.settings or _QUICK, options)
        folder = _Folder.temporary() if self.out is None else _Folder(str(self.out))
        result = fit(
            (X, y),
            self.backbone,
            folder.model,
            strategy=self.strategy,
            settings=settings,
            progress=False,
        )
        self._folder, self.folder_ = folder, str(result.folder)

    def _predictor(self) -> Predictor:
        check_is_fitted(self, "folder_")
        place = Path(self.folder_) / record.FILE
        return _opened(self.folder_, place.stat().st_mtime_ns if place.exists() else 0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags


@final
class HeadstartClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A pretrained network transferred to the classes of pictures or texts.

    After `fit`: `classes_`, the labels (K,) as they were given; `folder_`, the saved model.
    """

    def fit(self, X: Any, y: Any) -> HeadstartClassifier:
        """Make a model of items X and their classes y (N,).

        Raises HeadstartError for anything that `headstart.fit` can't use, and ValueError for
        targets that are no classes.
        """
        labels = column_or_1d(y)
        check_classification_targets(labels)
        classes, codes = np.unique(labels, return_inverse=True)
        names = _names(classes)
        self._fit(X, [names[code] for code in codes], "classes")
        self.classes_, self._names = classes, names
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (N, K), columns as in `classes_`; 0 for a class that was left out.

        Raises DataError for the first item that can't be read.
        """
        predictor = self._predictor()
        answers = predictor.predict_proba(X)
        shares = np.zeros((len(answers), len(self.classes_)))
        shares[:, [self._names.index(label) for label in predictor.labels]] = answers
        return shares

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each item, (N,). Raises DataError as `predict_proba` does."""
        check_is_fitted(self, "folder_")
        likeliest: np.ndarray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest


@final
class HeadstartRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A pretrained network transferred to numbers of pictures or texts.

    After `fit`: `folder_`, the saved model.
    """

    def fit(self, X: Any, y: Any) -> HeadstartRegressor:
        """Make a model of items X and their numbers y, (N,) or (N, K).

        Raises HeadstartError for anything that `headstart.fit` can't use, and ValueError for
        targets that are no finite numbers.
        """
        if y is None:
            raise ValueError("HeadstartRegressor requires y to be passed, but the target y is None")
        numbers = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        self._fit(X, numbers, "numbers")
        self._flat = numbers.ndim == 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each item, shaped as y. Raises DataError where one can't be read."""
        rows = []
        for each in self._predictor().stream(X):
            if each.error:
                raise each.unusable()
            answer = each.answer.get("values", {"": each.answer.get("value")})
            rows.append(list(answer.values()))
        numbers = np.array(rows, dtype=np.float64)
        return numbers[:, 0] if self._flat else numbers

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@final
class _Folder:
    """A model's place. A temporary one is removed with its last owner, unless that was pickled."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._remove: weakref.finalize[Any, Any] | None = None

    @classmethod
    def temporary(cls) -> _Folder:
        root = tempfile.mkdtemp(prefix="headstart-")
        folder = cls(str(Path(root) / "model"))
        folder._remove = weakref.finalize(folder, shutil.rmtree, root, ignore_errors=True)
        return folder

    def __reduce__(self) -> tuple[type[_Folder], tuple[str]]:
        if self._remove is not None:
            self._remove.detach()
        return _Folder, (self.model,)


def _names(classes: np.ndarray) -> list[str]:
    """A name for each class that a data set takes as it is; numbered where theirs would change."""
    names = [str(each) for each in classes.tolist()]
    if classes.dtype.kind in "iu" or all(map(_is_plain, names)):
        return names
    return [f"class {number}" for number in range(len(names))]


def _is_plain(name: str) -> bool:
    """Whether a class's name can't be read as a number, a truth value, a list, or nothing."""
    stripped = unicodedata.normalize("NFC", name).strip()
    return name == stripped and name[:1].isalpha() and name.lower() not in ("true", "false")


@lru_cache(maxsize=_OPEN)
def _opened(folder: str, stamp: int) -> Predictor:
    return load(folder)


def exported_head(folder: str | Path) -> Any:
    """The estimator of scikit-learn that `export` wrote into a folder, ready to predict.

    A LogisticRegression for classes, a MultiOutputClassifier of such for label sets, or a
    LinearRegression for numbers, on the features (N, D) that `Predictor.embed` answers. Raises
    HeadstartError where there is none.
    """
    return estimator(Path(folder))
