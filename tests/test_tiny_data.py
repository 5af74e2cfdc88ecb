"""Hardly any items, and settings that no run can have: a right result, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures

import headstart as hs
from headstart.loading.weights import read

TINY = "seeded:convnet?width=4"


def fit(data: Path, out: Path, strategy: str | None = "lp-ft", **chosen: Any) -> Any:
    settings = hs.Settings(**{"epochs": 2, "device": "cpu", **chosen})
    return hs.fit(data, TINY, out, strategy=strategy, settings=settings)


@pytest.mark.parametrize("items", [2, 3, 5])
@pytest.mark.slow
def test_two_classes_of_a_few_items_are_fitted_or_refused(items: int, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": items, "bees": items})
    try:
        record = fit(data, tmp_path / "model").to_json()
    except hs.HeadstartError as error:
        assert str(error).count(". ") == 1 and items == 2
        assert not (tmp_path / "model").exists()
    else:
        assert record["verdict"] in ("unknown", "no evidence")  # so few items prove nothing
        assert all(0 <= arm["value"] <= 1 for arm in record["arms"].values())


def test_a_class_of_one_item_is_refused(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 1, "bees": 9})
    with pytest.raises(hs.HeadstartError, match=r"'ants'.*only one usable item\. Give at least"):
        fit(data, tmp_path / "model")


@pytest.mark.parametrize("strategy", ["full-fine-tuning", "lp-ft"])
def test_a_rate_far_too_high_is_said_and_never_a_model_of_nan(
    strategy: str, pictures: Path, tmp_path: Path
) -> None:
    record = fit(
        pictures, tmp_path / "model", strategy, learning_rate=1e35, scratch=False, evidence="none"
    ).to_json()
    messages = [each for each in record["warnings"] if "no longer finite" in each]
    assert len(messages) == 1 and messages[0].endswith("Give a lower --learning-rate.")
    assert f"The training of {strategy} ended after" in messages[0]
    state = read(tmp_path / "model" / "model.safetensors").state
    assert all(np.isfinite(tensor.numpy()).all() for tensor in state.values())
    assert "NaN" not in (tmp_path / "model" / "evidence.json").read_text()


@pytest.mark.parametrize(
    "chosen",
    [
        *(
            {"epochs": 0},
            {"batch_size": 0},
            {"batch_size": -3},
            {"epochs": -1},
            {"learning_rate": -1.0},
        ),
        *(
            {"learning_rate": float("nan")},
            {"seed": -1},
            {"seeds": 0},
            {"views": -2},
            {"budget": -1.0},
        ),
    ],
)
def test_settings_that_no_run_can_have_are_one_sentence(
    chosen: dict[str, Any], pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(hs.HeadstartError, match=next(iter(chosen))) as error:
        fit(pictures, tmp_path / "model", **chosen)
    assert "Give" in str(error.value)
    assert list(tmp_path.iterdir()) in ([pictures], [pictures, tmp_path / "cache"])
