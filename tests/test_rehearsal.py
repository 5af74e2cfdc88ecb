"""Ten pictures learned by heart before a long training, and why that may fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detectors import detector, squares

import headstart as hs
from headstart import catalog
from headstart.errors import HeadstartError
from headstart.evidence import rehearsal
from headstart.tasks.detection.causes import ByHeart

SEEN = {"height": 100, "width": 100}


def _pictures(side: float, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Objects of two classes, and boxes that fit them."""
    truth, boxes = np.full((count, 2, 5), -1.0), np.zeros((count, 100, 6))
    truth[:, 0] = [100, 100, 1, 0, 0]
    for number in range(count):
        truth[number, 1] = [0.2, 0.2, 0.2 + side, 0.2 + side, number % 2]
        boxes[number, 0] = [0.2, 0.2, 0.2 + side, 0.2 + side, 0.9, number % 2]
    return boxes, truth


def test_what_is_known_by_heart_scores_one() -> None:
    boxes, truth = _pictures(0.4)
    assert ByHeart().score(boxes.reshape(4, -1), truth) == pytest.approx(1.0)


def test_objects_may_be_too_small() -> None:
    boxes, truth = _pictures(0.05)
    assert "4 of 4 objects are under 8 pixels" in ByHeart().cause(boxes * 0, truth, SEEN)


def test_classes_may_be_mixed() -> None:
    boxes, truth = _pictures(0.4)
    boxes[:, 0, 5] = 1 - boxes[:, 0, 5]
    assert ByHeart().score(boxes.reshape(4, -1), truth) < 0.9
    assert "their classes are not" in ByHeart().cause(boxes.reshape(4, -1), truth, SEEN)


def test_boxes_may_be_off() -> None:
    boxes, truth = _pictures(0.4)
    boxes[:, 0, [0, 2]] += 0.2
    assert "don't fit them" in ByHeart().cause(boxes.reshape(4, -1), truth, SEEN)


def test_objects_may_not_be_told_from_background() -> None:
    boxes, truth = _pictures(0.2)
    boxes[:, 0, :4] += 0.5
    assert "are not told from" in ByHeart().cause(boxes.reshape(4, -1), truth, SEEN)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps are too few to learn anything, and every training counts as long."""
    pytest.importorskip("onnx2torch")
    monkeypatch.setattr(rehearsal, "_STEPS", 2)
    monkeypatch.setattr(rehearsal, "LONG", 0.0)


@pytest.mark.usefixtures("short")
def test_a_long_training_that_would_be_in_vain_is_refused_with_its_cause(tmp_path: Path) -> None:
    reference = f"graph:{detector(tmp_path / 'small.onnx')}"
    data, out = squares(tmp_path / "data", 24), tmp_path / "model"
    strategy = "feature-extraction?head=trained"
    with pytest.raises(HeadstartError, match=r"by heart .* --epochs") as refusal:
        hs.fit(data, reference, out, strategy=strategy, scratch=False, evidence="quick")
    assert "Traceback" not in str(refusal.value) and not (out / "headstart.json").exists()
    insisting: dict[str, Any] = {"scratch": False, "evidence": "quick", "epochs": 1}
    result = hs.fit(data, reference, out, strategy=strategy, **insisting)
    assert "AP" in str(result)


@pytest.mark.usefixtures("short")
def test_the_ladder_goes_on_where_cheap_layers_do_not_learn(tmp_path: Path) -> None:
    reference = f"graph:{detector(tmp_path / 'small.onnx')}"
    data, out = squares(tmp_path / "data", 24), tmp_path / "model"
    hs.fit(data, reference, out, strategy="auto", scratch=False, evidence="quick", epochs=1)
    arms = json.loads((out / "evidence.json").read_text())
    assert arms["strategy"] == "last-stages?count=1&probe=false&decay=0.05"


@pytest.mark.parametrize(("quick", "count"), [(1e9, 2), (0.0, 1)])
def test_good_answers_end_the_ladder_where_more_would_take_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: float, count: int
) -> None:
    pytest.importorskip("onnx2torch")
    monkeypatch.setattr("headstart.tasks.detection._ENOUGH", 0.0)
    monkeypatch.setattr("headstart.pipeline.selection.rungs.LONG", quick)
    monkeypatch.setattr(rehearsal, "_STEPS", 2)
    reference, out = f"graph:{detector(tmp_path / 'small.onnx')}", tmp_path / "model"
    data = squares(tmp_path / "data", 24)
    hs.fit(data, reference, out, strategy="auto", scratch=False, evidence="none", epochs=1)
    arms = json.loads((out / "evidence.json").read_text())["tried"]
    ladder = list(catalog.task("image-boxes").ladder)
    assert list(arms) == ladder[:count]
