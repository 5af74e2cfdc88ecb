"""The plan of a run: it repeats the same model, and only on the same data and weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import SCRATCH_RATES, Fitted
from tiny import untimed

import headstart as hs
from headstart import defaults, plan
from headstart.data import load
from headstart.modalities.image import Image


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_plan_repeats_the_run(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "SCRATCH_RATES", SCRATCH_RATES)
    again = hs.reproduce(fitted.folder / "plan.json", tmp_path / "again")
    assert weights(again.folder) == weights(fitted.folder)
    assert untimed(again.to_json()) == untimed(fitted.result.to_json())
    assert (again.folder / "plan.json").read_text() == (fitted.folder / "plan.json").read_text()


def test_a_run_that_a_budget_cut_is_repeated_without_one(pictures: Path, tmp_path: Path) -> None:
    settings = hs.Settings(scratch=False, epochs=2000, budget=6)
    cut = hs.fit(
        pictures, "seeded:convnet", tmp_path / "cut", strategy="full-fine-tuning", settings=settings
    )
    arm = cut.evidence.dropped or cut.evidence.arms["chosen"]
    assert "ended by the budget" in arm.note
    fit_plan = plan.read(cut.folder)
    assert fit_plan.chosen().budget is None
    assert len(fit_plan.pace) == arm.steps > 0
    assert list(fit_plan.pace) == sorted(fit_plan.pace)
    again = hs.reproduce(cut.folder, tmp_path / "again")
    assert weights(again.folder) == weights(cut.folder)


def test_other_data_are_refused(fitted: Fitted, pictures: Path, tmp_path: Path) -> None:
    fit_plan = plan.read(fitted.folder)
    same = load(fitted.pictures, Image())
    assert fit_plan.apply(same).fingerprint == same.fingerprint == fit_plan.fingerprint
    (pictures / "ants" / "001.png").unlink()
    with pytest.raises(hs.DataError, match="0 items are new and 1 are missing"):
        hs.reproduce(fitted.folder, tmp_path / "again", data=pictures)
    moved = pictures / "ants" / "002.png"
    moved.rename(pictures / "bees" / "moved.png")
    with pytest.raises(hs.DataError, match="0 items are new and 1 are missing"):
        hs.reproduce(fitted.folder, tmp_path / "again", data=pictures)


def test_other_labels_are_refused(fitted: Fitted, pictures: Path, tmp_path: Path) -> None:
    moved = pictures / "ants" / "002.png"
    moved.rename(pictures / "bees" / "moved.png")
    with pytest.raises(hs.DataError, match="has other labels than when the plan was made"):
        hs.reproduce(fitted.folder, tmp_path / "again", data=pictures)


def test_other_weights_are_refused(fitted: Fitted, tmp_path: Path) -> None:
    content = json.loads((fitted.folder / "plan.json").read_text())
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(content | {"weights": "sha256:0"}))
    with pytest.raises(hs.WeightsError, match="has other weights than when"):
        hs.reproduce(changed, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"data": 1}', '{"splits": {"train": 3}}'], ids=str
)
def test_what_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(hs.HeadstartError, match=r"plan\.json can't be read as a plan"):
        plan.read(tmp_path)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(hs.HeadstartError, match=r"plan\.json does not exist"):
        hs.reproduce(tmp_path, tmp_path / "again")


def test_a_plan_says_what_was_trained_on(fitted: Fitted, tmp_path: Path) -> None:
    training_items = plan.trained_on(fitted.folder)
    dataset = load(fitted.pictures, Image())
    used = dataset.split("train") + dataset.split("validation")
    assert training_items == frozenset(item.identity for item in used)
    assert plan.trained_on(tmp_path) is None


def test_a_plan_gives_no_consent_to_run_code(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADSTART_TRUST", raising=False)
    touched = tmp_path / "touched"
    code = tmp_path / "networks.py"
    code.write_text(f"open({str(touched)!r}, 'w')\n")
    content = json.loads((fitted.folder / "plan.json").read_text())
    backbone = f"file:{code}:small?size=16&trust=true"
    (tmp_path / "plan.json").write_text(json.dumps(content | {"backbone": backbone}))
    with pytest.raises(hs.HeadstartError, match="is not trusted"):
        hs.reproduce(tmp_path, tmp_path / "again")
    assert not touched.exists()
