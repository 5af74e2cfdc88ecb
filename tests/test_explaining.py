"""Explanations on the report's page: those of the most confident mistakes, and no others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from conftest import Fitted

import headstart as hs
from headstart import artifact
from headstart.data import Item, load_labelled
from headstart.explain import PictureExplanation, explain
from headstart.pipeline.pictures import COUNT, explanations
from headstart.report.contents import explained
from headstart.report.page import write_page
from headstart.serve import Predictor
from headstart.serve.running import InTorch


@pytest.fixture
def mistaken(fitted: Fitted) -> tuple[Predictor, tuple[Item, ...], dict[str, Any]]:
    """A model, items, and a record in which eight of these are mistakes."""
    predictor = hs.load(fitted.folder)
    items = load_labelled(fitted.pictures, predictor.reader.modality, predictor.labels).items
    record = artifact.read_evidence(fitted.folder)
    mistakes = [
        {"id": item.id, "label": "ants", "predicted": "bees", "probability": 0.9, "score": 0.9}
        for item in items[: COUNT + 2]
    ]
    record["items"]["mistakes"] = mistakes
    return predictor, items, record


def test_the_first_mistakes_are_explained_on_the_page(mistaken: Any, tmp_path: Path) -> None:
    predictor, items, record = mistaken
    progress = tiny.Recording()
    result = explanations(predictor, items, record, progress)
    names = [row["id"] for row in record["items"]["mistakes"]]
    assert list(result) == [explained(name) for name in names[:COUNT]]
    assert all(value.startswith("data:image/jpeg;base64,") for value in result.values())
    assert progress.said == []
    page = write_page(tmp_path, record, result).read_text(encoding="utf-8")
    assert page.count("Why the model says so") == COUNT
    assert explanations(predictor, items, {}, progress) == {}


def test_a_pooled_map_is_explained_without_torch_as_grad_cam_does(fitted: Fitted) -> None:
    predictor = hs.load(fitted.folder)
    file = next(path for path in sorted(fitted.pictures.rglob("*")) if path.is_file())
    (ours,) = explain(predictor, [file])
    assert ours.method.endswith("cells of the map that is pooled.")
    assert not isinstance(predictor.running, InTorch)
    predictor.model  # noqa: B018  # answers through torch from now on
    (theirs,) = explain(predictor, [file])
    assert theirs.method.startswith("Grad-CAM on ")
    assert theirs.method != ours.method
    assert ours.label == theirs.label
    assert ours.output.value == pytest.approx(theirs.output.value, abs=1e-4)
    assert isinstance(ours, PictureExplanation) and isinstance(theirs, PictureExplanation)
    assert ours.heat.max() == pytest.approx(1.0)
    np.testing.assert_allclose(ours.heat, theirs.heat, atol=1e-3)
    np.testing.assert_array_equal(ours.picture, theirs.picture)


def test_without_captum_the_page_does_without(
    mistaken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, items, record = mistaken
    predictor.model  # noqa: B018  # answers through torch from now on
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    progress = tiny.Recording()
    assert explanations(predictor, items, record, progress) == {}
    assert any("without an explanation" in each for each in progress.said)
