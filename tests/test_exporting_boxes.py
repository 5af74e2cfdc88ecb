"""Detectors in other forms: the boxes that the saved model finds, suppressed inside the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectors import SIDE, fitted_to_squares
from PIL import Image

import headstart as hs
from headstart.contracts.suppression import Candidates, rows, surest
from headstart.errors import HeadstartError
from headstart.forms.description import Described
from headstart.pipeline.exporting.boxes import moved

pytest.importorskip("onnxruntime", reason="needs the extra export")
pytest.importorskip("onnx2torch")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small detector that was fitted to squares, and their folder."""
    return fitted_to_squares(tmp_path_factory.getbasetemp() / "squares")[1:]


def levels(file: Path) -> np.ndarray:
    """A picture of 64 x 48 on a grey square, as whoever knows nothing of Headstart feeds it."""
    whole = np.full((SIDE, SIDE, 3), 114, np.uint8)
    whole[:48] = np.asarray(Image.open(file))
    return whole.transpose(2, 0, 1)[None]


@pytest.fixture(scope="module")
def expected(fitted: tuple[Path, Path]) -> np.ndarray:
    """The boxes (100, 6) that the saved model finds in a picture."""
    model, data = fitted
    pixels = torch.from_numpy(levels(data / "1.png")).float() / 255
    with torch.inference_mode():
        boxes: torch.Tensor = hs.load(model).model.eval()(pixels)
    return boxes.reshape(100, 6).numpy()


def run(form: str, folder: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What a folder answers in its own runtime."""
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "model.onnx")
        names = [each.name for each in session.get_outputs()]
        return dict(zip(names, session.run(names, {"pixels": pixels}), strict=True))
    if form == "openvino":
        openvino = pytest.importorskip("openvino")
        model = openvino.Core().read_model(str(folder / "model.xml"))
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        network = openvino.Core().compile_model(model, "CPU", exact)
        answers = network({"pixels": pixels})
        return {name: np.array(answers[name]) for name in ("boxes", "labels", "scores")}
    own = torch.export.load(folder / "model.pt2").module()
    with torch.inference_mode():
        answers = own(torch.from_numpy(pixels))
    parts = zip(("boxes", "labels", "scores"), answers, strict=True)
    return {name: each.numpy() for name, each in parts}


@pytest.mark.parametrize("form", ["onnx", "openvino", "torch"])
def test_a_file_finds_the_boxes_that_the_model_finds(
    form: str, fitted: tuple[Path, Path], expected: np.ndarray, tmp_path: Path
) -> None:
    model, data = fitted
    result = hs.export(model, form, tmp_path / "out", check=data)
    assert (result.changed, result.items, result.metric) == (0, 40, "AP")
    assert result.original.score.value == pytest.approx(result.exported.score.value, abs=1e-3)
    facts = Described.of(tmp_path / "out").facts
    assert facts["labels"] == ["blue", "red"] and facts["threshold"] == 0.5
    assert facts["inputs"]["pixels"]["shape"] == ["N", 3, SIDE, SIDE]
    assert facts["outputs"]["boxes"]["shape"] == ["N", 100, 4]
    assert "longer side" in (tmp_path / "out" / "README.md").read_text()
    pixels = levels(data / "1.png")
    for count in (1, 3):  # any number at once
        answers = run(form, tmp_path / "out", np.concatenate([pixels] * count))
        assert answers["boxes"].shape == (count, 100, 4) and answers["labels"].dtype == np.int64
        for each in range(count):
            np.testing.assert_allclose(answers["scores"][each], expected[:, 4], atol=1e-4)
            clear = expected[:, 4] > 0.01
            corners, names = answers["boxes"][each][clear], answers["labels"][each][clear]
            order = np.lexsort((corners[:, 0], names))  # equal scores have no order
            own = expected[clear]
            other = np.lexsort((own[:, 0], own[:, 5]))
            np.testing.assert_allclose(corners[order], own[other][:, :4], atol=1e-3)
    if form == "onnx":
        import onnx

        graph = onnx.load(tmp_path / "out" / "model.onnx")
        assert "NonMaxSuppression" in {node.op_type for node in graph.graph.node}
        entries = {each.key: each.value for each in graph.metadata_props}
        assert json.loads(entries["headstart"])["labels"] == ["blue", "red"]


@pytest.mark.parametrize(
    ("form", "int8", "message"),
    [("sklearn", False, "no estimator for boxes"), ("onnx", True, "behind suppression")],
)
def test_forms_that_hold_no_boxes_are_refused(
    form: str, int8: bool, message: str, fitted: tuple[Path, Path], tmp_path: Path
) -> None:
    model, data = fitted
    with pytest.raises(HeadstartError, match=message):
        hs.export(model, form, tmp_path / "out", int8=int8, check=data)
    assert not (tmp_path / "out").exists()


def test_the_surer_of_two_boxes_stays_unless_they_are_of_other_classes_or_pictures() -> None:
    corners = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.12, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]])
    scores = torch.tensor([[[0.9, 0.0], [0.8, 0.7], [0.5, 0.0]], [[0.0, 0.0], [0.6, 0.0], [0, 0]]])
    candidates = surest(corners.expand(2, 3, 4), scores, 1000)
    boxes = rows(candidates, 0.6, 0.003).reshape(2, 100, 6)
    first = [(round(float(each[4]), 3), int(each[5])) for each in boxes[0] if each[4] > 0]
    assert first == [(0.9, 0), (0.7, 1), (0.5, 0)]
    assert boxes[1, 0].tolist() == pytest.approx([0.12, 0.1, 0.5, 0.5, 0.6, 0])
    assert not boxes[1, 1:].any()
    whole = rows(candidates, None, 0.003).reshape(2, 100, 6)
    assert [int((each[:, 4] > 0).sum()) for each in whole] == [4, 1]


def test_boxes_of_many_classes_and_pictures_are_suppressed_as_torchvision_does() -> None:
    """Apart by class and picture, also where there are many of both, whose places lie far off."""
    from torchvision.ops import batched_nms

    generator = torch.Generator().manual_seed(0)
    low = torch.rand(3, 60, 2, generator=generator) * 0.7
    corners = torch.cat([low, low + 0.02 + 0.2 * torch.rand(3, 60, 2, generator=generator)], 2)
    scores = torch.rand(3, 60, generator=generator) + 0.01
    kinds = torch.randint(0, 2, (3, 60), generator=generator) * 79
    own = rows(Candidates(corners, scores, kinds), 0.5, 0.003).reshape(3, 100, 6)
    for boxes, *each in zip(own, corners, scores, kinds, strict=True):
        stay = batched_nms(*each, 0.5)
        count = int((boxes[:, 4] > 0).sum())
        assert count == len(stay)
        torch.testing.assert_close(boxes[:count, 4], each[1][stay])
        torch.testing.assert_close(boxes[:count, :4], each[0][stay])


def test_a_changed_box_is_counted() -> None:
    boxes = np.zeros((1, 100, 6), np.float32)
    boxes[0, 0], boxes[0, 1] = [0.1, 0.1, 0.5, 0.5, 0.9, 0], [0.6, 0.6, 0.9, 0.9, 0.5, 1]
    assert moved(boxes, boxes).tolist() == [0.0]
    for place, value in ((0, 0.102), (4, 0.91)):
        other = boxes.copy()
        other[0, 0, place] = value
        assert moved(other, boxes)[0] == pytest.approx(abs(value - boxes[0, 0, place]), rel=1e-3)
    renamed, missing, edge = boxes.copy(), boxes.copy(), boxes.copy()
    renamed[0, 0, 5], missing[0, 0], edge[0, 1, 4] = 1, 0, 0.4995
    assert np.isinf(moved(renamed, boxes)) and np.isinf(moved(boxes, missing))
    assert moved(edge, boxes)[0] == pytest.approx(0.0005, rel=1e-2)  # too near the threshold
    assert np.isinf(moved(np.full_like(boxes, np.nan), boxes))
    line = boxes.copy()
    line[0, 0, 2] = line[0, 0, 0]  # clipped at an edge: it has no area
    assert moved(line, line).tolist() == [0.0]
