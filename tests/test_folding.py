"""Few items are judged by folds: every item once, choosing nested, the model made from all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures
from tiny import Recording

import headstart as hs
from headstart import defaults
from headstart.evidence import Arm, choose
from headstart.evidence.folds import Folds
from headstart.pipeline.folding import Folding
from headstart.results import Result

TINY = "seeded:convnet?width=4"
FEW = {"ants": 24, "bees": 24}
QUICK: dict[str, Any] = {"epochs": 1, "device": "cpu", "evidence": "quick", "judge": "cv"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two classes of 24 small pictures."""
    return write_pictures(tmp_path / "pictures", FEW)


def fit(data: Path, out: Path, strategy: str | None = None, **chosen: Any) -> Result:
    return hs.fit(data, TINY, out, strategy=strategy, settings=hs.Settings(**QUICK | chosen))


def saved(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "evidence.json").read_text())
    return record


@pytest.mark.parametrize(
    ("items", "held_out", "explicit", "expected"),
    [
        (299, 45, False, "cv"),
        (300, 45, False, "holdout"),
        (400, 29, False, "cv"),
        (20, 3, True, "holdout"),
        (20, 0, True, "cv"),
    ],
)
def test_few_items_are_judged_by_folds_unless_the_user_names_the_test(
    items: int, held_out: int, explicit: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "FOLDED", 300)
    monkeypatch.setattr(defaults, "LEAST_HELD_OUT", 30)
    assert defaults.judge(items, held_out, explicit) == expected


@pytest.fixture(scope="module")
def features_alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Pictures, and a model of their features, judged by folds."""
    root = tmp_path_factory.mktemp("folded")
    pictures = write_pictures(root / "pictures", FEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        result = fit(pictures, root / "model", "feature-extraction", scratch=False)
    return pictures, result


def test_features_are_judged_on_every_item_and_fitted_to_all(
    features_alone: tuple[Path, Result],
) -> None:
    pictures, result = features_alone
    record = result.evidence
    saved_record, count = saved(result.folder), len(list(pictures.rglob("*.png")))
    assert saved_record["judge"] == {"by": "folds", "items": count, "folds": 5, "repeats": 4}
    assert saved_record["held_out"] == count
    assert record.arms["features"].rows.shape == (4, count)
    assert "Judged by 4 × 5 folds of all" in str(result)
    plan = json.loads((result.folder / "plan.json").read_text())
    assert plan["splits"]["test"] == []
    assert len(plan["splits"]["train"]) + len(plan["splits"]["validation"]) == count
    best = hs.load(result.folder).predict(sorted(pictures.rglob("*.png"))[:3])
    assert len(best) == 3


def test_scratch_is_trained_in_each_fold_and_the_gain_shows_their_luck(
    pictures: Path, tmp_path: Path
) -> None:
    record = fit(pictures, tmp_path / "model", "last-stages").evidence
    count = len(list(pictures.rglob("*.png")))
    for name in ("scratch", "chosen", "naive"):
        assert record.arms[name].rows.shape[1] == count
    saved_record = saved(tmp_path / "model")
    assert (saved_record["gain"]["trainings"], saved_record["gain"]["assumed"]) == (5, 0.0)
    assert "In the first fold: Scratch: rates" in saved_record["protocol"]
    assert saved_record["calibration"] is not None
    assert sum(row["items"] for row in saved_record["classes"]["rows"]) == count


def test_folds_give_the_same_model_and_evidence_again(pictures: Path, tmp_path: Path) -> None:
    first = fit(pictures, tmp_path / "one", "last-stages", scratch=False)
    again = hs.reproduce(tmp_path / "one", tmp_path / "two")
    assert np.array_equal(first.evidence.arms["chosen"].rows, again.evidence.arms["chosen"].rows)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_a_saved_model_is_proved_by_folds_later(
    features_alone: tuple[Path, Result], tmp_path: Path
) -> None:
    shutil.copytree(features_alone[1].folder, tmp_path / "model")
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    proved = hs.prove(tmp_path / "model").evidence
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before
    assert proved.folds is not None
    assert "scratch" in proved.arms


def test_several_strategies_are_compared_on_the_folds(pictures: Path, tmp_path: Path) -> None:
    record = fit(pictures, tmp_path / "model", "auto", scratch=False, budget=300.0).evidence
    assert {"feature-extraction", "last-stages", "lp-ft"} <= record.searched.keys()
    light = fit(pictures, tmp_path / "light", "auto", scratch=False).evidence
    assert light.searched.keys() == {"feature-extraction", "last-stages"}
    count = len(list(pictures.rglob("*.png")))
    assert all(len(arm.checked) == count for arm in record.searched.values())


def test_a_budget_that_has_no_time_for_folds_still_makes_a_model(
    pictures: Path, tmp_path: Path
) -> None:
    progress = Recording()
    settings = hs.Settings(**QUICK | {"budget": 8.0})
    result = hs.fit(
        pictures, TINY, tmp_path / "model", strategy="lp-ft", settings=settings, progress=progress
    )
    assert (result.folder / "model.safetensors").exists()


def arm(name: str, scores: Sequence[float]) -> Arm:
    checked = np.array(scores)
    outputs = np.stack([checked, 1 - checked], axis=1)
    selection_key = float(checked.mean()), 0.0
    return Arm(name, checked, selection_key, 1.0, checked=checked, outputs={"test": outputs})


def test_what_choosing_is_worth_is_seen_on_folds_that_had_no_part_in_it(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two arms is right on one half: where one half chooses, the other half pays."""
    of = np.repeat([0, 1], 4)[None]
    left, right = arm("a", [1, 1, 1, 1, 0, 0, 0, 0]), arm("b", [0, 0, 0, 0, 1, 1, 1, 1])
    monkeypatch.setattr(
        Folding, "_arm", lambda self, like, rows, folds: arm("nested", rows[0][:, 0].tolist())
    )
    folding = Folding(whole=None, parts=[], folds=Folds(of))  # type: ignore[arg-type]
    best, nested = folding.chosen({"a": left, "b": right}, choose)
    assert best in ("a", "b")
    assert nested.scores.mean() == 0.0  # though each arm is right on half of all items
