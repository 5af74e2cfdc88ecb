"""The head as an ordinary estimator of scikit-learn: numbers and names in files, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import numpy as np

from headstart.forms.form import FEATURES, Form, FormError, Leaving, Run

if TYPE_CHECKING:
    from headstart.forms.network import Linked

NUMBERS: Final = "estimator.safetensors"  # `coef_` (rows, D) and `intercept_` (rows,) float32
_CLASS, _NAMES = "class", "names"
LOGISTIC, SEVERAL, LINEAR = "LogisticRegression", "MultiOutputClassifier", "LinearRegression"
_OF_KIND: Final = {"softmax": LOGISTIC, "sigmoid": SEVERAL, "affine": LINEAR}


@final
class Sklearn(Form):
    """`estimator.json` and `estimator.safetensors`, which take the features that a head reads.

    Classes are a LogisticRegression, label sets a MultiOutputClassifier of such, numbers a
    LinearRegression.
    """

    file: ClassVar[str] = "estimator.json"
    more: ClassVar[tuple[str, ...]] = (NUMBERS,)
    takes_features: ClassVar[bool] = True

    def write(self, leaving: Leaving) -> None:
        """Write a linear head. Raises FormError for another one."""
        from torch import nn

        from headstart.loading import arrays

        answers, labels = leaving.whole.answers, json.loads(leaving.facts)["labels"]
        if not isinstance(answers.head, nn.Linear) or answers.link is None:
            raise FormError("scikit-learn has no estimator for a head that isn't linear")
        own = (answers.head.weight, answers.head.bias)
        weight, bias = (each.detach().numpy().astype(np.float32) for each in own)
        numbers = _linked(answers.link, weight, bias)
        arrays.save(numbers, leaving.folder / NUMBERS, {})
        facts = {_CLASS: _OF_KIND[answers.link.kind], _NAMES: labels}
        text = json.dumps(facts, indent=1, ensure_ascii=False)
        (leaving.folder / self.file).write_text(f"{text}\n", encoding="utf-8")

    def opened(self, folder: Path) -> Run:
        """The estimator, asked for probabilities, or for numbers."""
        own = estimator(folder)

        def run(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            rows = batch[FEATURES]
            if type(own).__name__ == LINEAR:
                return {"values": np.asarray(own.predict(rows)).reshape(len(rows), -1)}
            shares = own.predict_proba(rows)
            if isinstance(shares, list):  # one pair of columns a label
                shares = np.stack([pair[:, 1] for pair in shares], axis=1)
            return {"probabilities": np.asarray(shares)}

        return run


def estimator(folder: Path) -> Any:
    """The fitted estimator that a folder holds; of label sets it answers 0 and 1 a label."""
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.multioutput import MultiOutputClassifier

    from headstart.loading import arrays

    facts = json.loads((folder / Sklearn.file).read_text(encoding="utf-8"))
    numbers = arrays.read(folder / NUMBERS).arrays()
    weight, bias = numbers["coef_"], numbers["intercept_"]
    if facts[_CLASS] == LOGISTIC:
        return _fitted(LogisticRegression(), weight, bias, np.array(facts[_NAMES]))
    if facts[_CLASS] == LINEAR:
        return _fitted(LinearRegression(), weight, bias)
    several = MultiOutputClassifier(LogisticRegression())
    several.estimators_ = [
        _fitted(LogisticRegression(), weight[row : row + 1], bias[row : row + 1], np.arange(2))
        for row in range(len(weight))
    ]
    several.classes_ = [each.classes_ for each in several.estimators_]
    return several


def _fitted(own: Any, weight: np.ndarray, bias: np.ndarray, classes: Any = None) -> Any:
    own.coef_, own.intercept_, own.n_features_in_ = weight, bias, weight.shape[1]
    if classes is not None:
        own.classes_ = classes
    return own


def _linked(link: Linked, weight: np.ndarray, bias: np.ndarray) -> dict[str, np.ndarray]:
    """A layer as scikit-learn has it: two classes in one row, numbers in the user's units."""
    if link.kind == "softmax" and len(weight) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    if link.kind == "affine":
        slope, offset = link.slope.numpy(), link.offset.numpy()
        weight, bias = weight * slope[:, None], bias * slope + offset
    parts = {"coef_": weight, "intercept_": bias}
    return {name: np.ascontiguousarray(each, np.float32) for name, each in parts.items()}
