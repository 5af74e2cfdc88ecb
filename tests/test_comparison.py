"""Two saved models on the same items: paired differences, sizes, and what was seen before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from conftest import Fitted
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.errors import HeadstartError
from headstart.evidence import Interval, paired
from headstart.loading import record, weights
from headstart.results.comparison import Compared, Comparison, changes

State = dict[str, Tensor]


def side(
    model: str, parameters: int = 10, seconds: float = 0.1, overlap: int | None = 0
) -> Compared:
    """One model of a made-up comparison."""
    return Compared(model, Interval(0.5, 0.4, 0.6), parameters, 40, seconds, overlap)


def comparison(
    scores: tuple[np.ndarray, np.ndarray], targets: np.ndarray | None = None, **more: Compared
) -> Comparison:
    """A made-up comparison over two labels."""
    models = more.get("first", side("A")), more.get("second", side("B"))
    where = np.zeros(len(scores[0]), dtype=np.int64) if targets is None else targets
    by_label = changes(*scores, where, ("ants", "bees"))
    difference = paired(scores[1], scores[0])
    return Comparison("accuracy", len(where), *models, difference, by_label)


def remade(
    folder: Path, out: Path, change: Callable[[State], State], labels: tuple[str, ...]
) -> Path:
    """A saved model with other weights or labels."""
    shutil.copytree(folder, out)
    state = change(dict(weights.read(folder / "model.safetensors").state))
    weights.save(state, out / "model.safetensors", {"format": "pt"})
    entries = record.read(out)
    entries |= {"weights_sha256": weights.digest(state), "labels": list(labels)}
    record.write(out, entries)
    return out


def flipped(state: State) -> State:
    """The two rows of the head in each other's place."""
    return state | {name: state[name].flip(0) for name in ("head.weight", "head.bias")}


def test_models_that_know_labels_in_another_order_are_compared_by_label(
    fitted: Fitted, tmp_path: Path
) -> None:
    same = remade(fitted.folder, tmp_path / "same", flipped, ("bees", "ants"))
    result = hs.compare(fitted.folder, same, fitted.pictures)
    assert result.difference.value == 0 and result.better is None and result.smaller is None
    assert result.items == 80 and sum(change.items for change in result.by_label) == 80
    sizes = fitted.result.evidence.data["sizes"]
    assert result.first.overlap == result.second.overlap == sizes["train"] + sizes["validation"]
    assert len(result.warnings) == 2 and "its score flatters" in str(result)


def test_a_worse_model_is_told_with_its_labels(fitted: Fitted, tmp_path: Path) -> None:
    wrong = remade(fitted.folder, tmp_path / "wrong", flipped, ("ants", "bees"))
    (wrong / "plan.json").unlink()
    done = CliRunner().invoke(
        app, ["compare", str(fitted.folder), str(wrong), str(fitted.pictures), "--json"]
    )
    assert done.exit_code == 0, done.stderr
    content = json.loads(done.stdout)
    scored = hs.evaluate(fitted.folder, fitted.pictures)
    assert content["first"]["score"] == scored.score.to_json()
    assert content["difference"]["value"] == pytest.approx(1 - 2 * scored.score.value, abs=1e-4)
    assert content["better"] == str(fitted.folder)
    assert [row["label"] for row in content["by_label"]] == ["ants", "bees"]
    assert content["second"]["overlap"] is None
    assert "is not recorded" in content["warnings"][1]
    assert content["first"]["size"] == (fitted.folder / "model.safetensors").stat().st_size
    assert content["first"]["speed"] > 0


def test_models_for_other_labels_are_refused(fitted: Fitted, tmp_path: Path) -> None:
    other = remade(fitted.folder, tmp_path / "other", dict, ("ants", "wasps"))
    with pytest.raises(HeadstartError, match=r"alone knows bees.*alone knows wasps"):
        hs.compare(fitted.folder, other, fitted.pictures)
    entries = record.read(other) | {"task": "image-regression", "task_settings": {}}
    record.write(other, entries)
    with pytest.raises(HeadstartError, match=r"is for image-classification and .* for image-regr"):
        hs.compare(fitted.folder, other, fitted.pictures)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_the_other_way_round_it_is_the_negative(rows: list[tuple[bool, bool, bool]]) -> None:
    first, second, where = (np.array(column) for column in zip(*rows, strict=True))
    scores = first.astype(np.float64), second.astype(np.float64)
    targets = where.astype(np.int64)
    one, other = comparison(scores, targets), comparison(scores[::-1], targets)
    assert one.difference.value == pytest.approx(-other.difference.value)
    assert one.difference.low == pytest.approx(-other.difference.high, abs=0.05)
    weighed = sum(change.items * change.difference.value for change in one.by_label)
    assert weighed / one.items == pytest.approx(one.difference.value)


def test_smaller_and_faster_are_told_where_they_are_clear() -> None:
    even = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    verdict = comparison(even, second=side("B", parameters=5, seconds=0.05))
    assert (verdict.smaller, verdict.faster, verdict.better) == ("B", "B", None)
    assert "B is smaller.\nB is faster." in str(verdict)
    verdict = comparison(even, second=side("B", seconds=0.095))
    assert (verdict.smaller, verdict.faster) == (None, None)
    assert "Neither answers better" in str(verdict) and "Both are about as fast." in str(verdict)


def test_numbers_have_no_rows_by_label() -> None:
    scores = np.array([0.5, 0.7, 0.9]), np.array([0.5, 0.7, 0.9])
    verdict = comparison(scores, np.zeros((3, 2), dtype=np.float32))
    entry: Mapping[str, object] = verdict.to_json()
    assert entry["by_label"] == [] and json.dumps(entry)
