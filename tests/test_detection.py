"""Boxes from data to answers: the detector taken apart, its last layers trained, saved, drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import CLASSES, SIDE, WIDTH, detector, fitted_to_squares, squares
from PIL import Image
from typer.testing import CliRunner

import headstart as hs
from headstart import catalog
from headstart.cli import app
from headstart.contracts.boxes import matches
from headstart.contracts.levels import Level
from headstart.contracts.model import Batch, Model
from headstart.contracts.places import Motion
from headstart.errors import HeadstartError
from headstart.tasks.detection import Detection
from headstart.tasks.detection.assignment import assign, overlaps
from headstart.tasks.detection.head import DetectionHead
from headstart.tasks.detection.thresholds import best

pytest.importorskip("onnx2torch")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small detector."""
    return detector(tmp_path_factory.mktemp("detector") / "small.onnx")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """It, fitted to squares, and the folder of pictures."""
    return fitted_to_squares(tmp_path_factory.getbasetemp() / "squares")


def _network(file: Path, labels: list[str]) -> tuple[Any, Model]:
    task = catalog.task("image-boxes")
    backbone = task.backbone(catalog.load_backbone(f"graph:{file}"))
    own = task.for_backbone(backbone)
    return own, Model.of(backbone, own.head(backbone.feature_dim, labels)).eval()


def test_a_detector_is_told_by_its_last_layers(file: Path) -> None:
    backbone = catalog.load_backbone(f"graph:{file}")
    assert list(backbone.stages) == ["trunk", "branches"]
    assert [level.stride for level in backbone.levels] == [8, 16]
    assert backbone.levels[0].reads == {"cls": "cls0", "reg": "reg0", "obj": "reg0"}
    assert backbone.levels[1].layers["cls"][0].shape == (CLASSES, WIDTH, 1, 1)
    assert backbone.feature_dim == 4 * WIDTH and backbone.preprocess["crop_mode"] == "letterbox"
    pictures = torch.rand(2, 3, SIDE, SIDE)
    rows = torch.nn.Sequential(*backbone.stages.values())(pictures)
    assert rows.shape == (2, 4 * WIDTH)  # for tasks of whole pictures


def test_its_maps_are_those_of_the_file(file: Path) -> None:
    openvino = pytest.importorskip("openvino")
    _, model = _network(file, ["red"])
    pictures = torch.rand(1, 3, SIDE, SIDE)
    graph = openvino.Core().read_model(str(file))
    graph.add_outputs(["head.obj_preds.0"])
    ready = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = ready((pictures.flip(1) * 255).numpy())["head.obj_preds.0"]
    with torch.inference_mode():
        maps = model.features(pictures)
        own = model.get_submodule("head.layers.0.obj")(maps["reg0"])
    np.testing.assert_allclose(own.numpy(), expected, rtol=1e-3, atol=1e-2)


def test_a_random_one_has_other_weights_and_the_same_shape(file: Path) -> None:
    torch.manual_seed(0)
    trained = catalog.load_backbone(f"graph:{file}")
    random = catalog.load_backbone(trained.architecture)
    states = [each.stages["trunk"].state_dict() for each in (trained, random)]
    assert states[0].keys() == states[1].keys()
    kernels = [name for name in states[0] if states[0][name].dim() == 4]
    assert kernels and not any(torch.equal(states[0][n], states[1][n]) for n in kernels)
    assert not random.levels[0].layers and not random.origin.pretrained


def test_the_untrained_head_says_where_objects_are_and_not_which(file: Path) -> None:
    task, model = _network(file, ["red", "blue"])
    with torch.inference_mode():
        rows = task.predictions(model(torch.rand(2, 3, SIDE, SIDE)).numpy())
    assert rows.shape == (2, 100, 6)
    assert (np.diff(rows[:, :, 4], axis=1) <= 1e-6).all()  # the surest first
    assert (rows[:, :, 4] <= 0.5).all()  # objectness times a half


def test_steps_learn_boxes_and_that_a_picture_has_none() -> None:
    """Maps of noise, wide enough for the last layers to learn what is where by heart."""
    torch.manual_seed(0)
    roles = ("cls", "reg", "obj")
    level = Level(8, dict.fromkeys(roles, "map0"), dict.fromkeys(roles, 160))
    task = Detection()
    task.levels = [level]
    model = Model({}, task.head(0, ["red"]))
    optimizer = torch.optim.Adam(model.head.parameters(), lr=0.002)
    maps = {"map0": torch.randn(2, 160, 8, 8)}
    targets = torch.full((2, 2, 5), -1.0)
    targets[:, 0] = torch.tensor([64, 64, 1, 0, 0])
    targets[1, 0, 2] = 0
    targets[0, 1] = torch.tensor([0.25, 0.25, 0.625, 0.625, 0])
    losses = []
    for _ in range(300):
        step = task.step(model, Batch(maps, targets))
        optimizer.zero_grad()
        step.loss.backward()  # type: ignore[no-untyped-call] # of torch
        optimizer.step()
        losses.append(float(step.loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
    with torch.inference_mode():
        rows = task.predictions(model.eval()(maps).numpy())
    assert matches(rows[0, :1], targets[0].numpy(), np.array([0.5]))[0, 0] == 1
    assert rows[0, 0, 4] > 2 * rows[1, 0, 4]


def test_places_near_an_object_answer_for_it() -> None:
    places = torch.tensor([[4.0, 4, 8], [12, 4, 8], [60, 60, 8]])
    boxes = torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8], [56, 56, 64, 64]])
    truth, kinds = torch.tensor([[0.0, 0, 8, 8], [56, 56, 64, 64]]), torch.tensor([0, 1])
    own, objects, overlap = assign(boxes, torch.full((3, 2), 0.5), places, truth, kinds)
    assert own.tolist() == [0, 2] and objects.tolist() == [0, 1]
    assert overlap.tolist() == pytest.approx([1.0, 1.0])
    half = overlaps(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 1]]))
    assert half.tolist() == [[0.5]]


def test_views_move_boxes_with_pictures() -> None:
    modality = catalog.modality("image")
    preprocess = {"channels": 3, "height": 64, "width": 64, "crop": 1.0, "mean": (), "std": ()}
    preprocess |= {"crop_mode": "letterbox", "interpolation": "nearest"}
    pixels = np.zeros((48, 96, 3), np.uint8)
    pixels[12:24, 12:36] = 255
    file = Path("square.png")
    import io

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    targets = np.array([[[96, 48, 1, 0, 0], [0.125, 0.125, 0.375, 0.25, 0]]], np.float32)
    names = set()
    for seed in range(12):
        motion = modality.motion(preprocess, np.random.default_rng(seed))
        view = modality.decode(buffer.getvalue(), preprocess, np.random.default_rng(seed))
        rows, columns = np.nonzero(view[0] > 200)
        moved = Detection().moved(targets, [motion])[0, 1, :4] * 64
        own = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(moved - own).max() <= 1.5, (file, motion)
        assert motion is not None
        names.add((motion.mirrored, motion.scale == 1.0))
    assert len(names) > 1
    assert Detection().moved(targets, [None]).tolist() == targets.tolist()
    twice = Detection().moved(targets, [Motion(True, 1.0)])
    again = Detection().moved(twice, [Motion(True, 1.0)])
    np.testing.assert_allclose(again, targets, atol=1e-6)


@pytest.mark.parametrize("lying", [True, False])
def test_thin_pictures_keep_their_shape(lying: bool) -> None:
    """640 x 14 on 64 pixels: 1.4 rows of it, and not the one row that whole pixels leave."""
    import io

    buffer, size = io.BytesIO(), (640, 14) if lying else (14, 640)
    Image.new("RGB", size, (254, 254, 254)).save(buffer, "PNG")
    preprocess = {"channels": 3, "height": 64, "width": 64, "crop": 1.0, "mean": (), "std": ()}
    preprocess |= {"crop_mode": "letterbox", "interpolation": "bilinear"}
    view = catalog.modality("image").decode(buffer.getvalue(), preprocess)[0].astype(float)
    view = view if lying else view.T
    assert (view[0] == 254).all() and (view[2:] == 114).all()
    np.testing.assert_allclose(view[1], 114 + 0.4 * 140, atol=10)  # within 1/16 of a pixel


def test_boxes_are_asked_for_at_some_steps_wide_before_training() -> None:
    roles = ("cls", "reg", "obj")
    level = Level(8, dict.fromkeys(roles, "map0"), dict.fromkeys(roles, 16))
    head = DetectionHead([level], 1)
    with torch.inference_mode():
        raw, _ = head.raw({"map0": torch.zeros(1, 16, 4, 4)})
    sides = raw[..., 2:4] - raw[..., :2]
    torch.testing.assert_close(sides, torch.full_like(sides, 32.0))


def test_the_threshold_of_a_class_is_where_f1_is_best() -> None:
    truth = np.full((2, 2, 5), -1.0)
    truth[:, 0] = [100, 100, 1, 0, 0]
    truth[:, 1] = [0.1, 0.1, 0.5, 0.5, 0]
    boxes = np.zeros((2, 100, 6))
    boxes[0, 0], boxes[1, 0] = [0.1, 0.1, 0.5, 0.5, 0.9, 0], [0.1, 0.1, 0.5, 0.5, 0.6, 0]
    boxes[0, 1] = [0.6, 0.6, 0.9, 0.9, 0.2, 0]
    assert best(boxes, truth, 0) == pytest.approx(0.4)
    assert 0 < best(boxes * [1, 1, 1, 1, 0, 1], truth, 0) < 1  # where nothing is known


def test_it_is_fitted_saved_and_opened_again(fitted: Any) -> None:
    result, model, _ = fitted
    evidence = json.loads((model / "evidence.json").read_text())
    assert evidence["metric"] == "AP" and evidence["data"]["kind"] == "boxes"
    assert {"naive", "zero-shot", "chosen"} <= evidence["arms"].keys()
    assert all(evidence["checks"].values()) and len(evidence["checks"]) >= 2
    assert evidence["boxes"]["classes"][0]["label"] == "blue"
    assert {row["metric"] for row in evidence["metrics"]} >= {"AP50", "AP75"}
    assert "Boxes" in (model / "report.html").read_text()
    assert "AP" in str(result)


def test_answers_are_in_pixels_of_the_picture(fitted: Any, tmp_path: Path) -> None:
    _, model, data = fitted
    predictor = hs.load(model)
    small = predictor.predict([data / "1.png"])[0].answer
    with Image.open(data / "1.png") as picture:
        picture.resize((128, 96)).save(tmp_path / "twice.png")
    predictor.model.get_buffer("head.powers").fill_(0.05)  # so that there are boxes, however unsure
    one, two = (predictor.predict([p])[0].answer for p in (data / "1.png", tmp_path / "twice.png"))
    assert small["size"] == [64, 48] and two["size"] == [128, 96]
    assert one["boxes"] and two["boxes"]
    inside = [side for box in two["boxes"] for side in box["box"]]
    assert 0 <= min(inside) and max(inside) <= 128
    with pytest.raises(HeadstartError, match="no row of features"):
        predictor.embed([data / "1.png"])


def test_boxes_are_drawn_and_written_as_coco(fitted: Any, tmp_path: Path) -> None:
    _, model, data = fitted
    run = CliRunner().invoke
    out, folder = tmp_path / "found.json", tmp_path / "drawn"
    files = [str(data / f"{number}.png") for number in (1, 2)]
    ended = run(app, ["predict", str(model), *files, "--draw", str(folder), "-o", str(out)])
    assert ended.exit_code == 0, ended.output
    assert sorted(each.name for each in folder.iterdir()) == ["1.jpg", "2.jpg"]
    document = json.loads(out.read_text())
    assert [each["width"] for each in document["images"]] == [64, 64]
    assert {"images", "categories", "annotations"} == document.keys()
    for suffix in ("csv", "jsonl", "parquet"):
        ended = run(app, ["predict", str(model), *files, "-o", str(tmp_path / f"found.{suffix}")])
        assert ended.exit_code == 0, ended.output


def test_it_is_judged_on_other_data(fitted: Any, tmp_path: Path) -> None:
    _, model, _ = fitted
    evaluation = hs.evaluate(model, squares(tmp_path / "more", 12, seed=5))
    assert evaluation.metric == "AP"
    assert 0 <= evaluation.score.value <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--explain"], "can't be explained"),
        (["--abstain"], ""),
    ],
)
def test_what_has_no_meaning_for_boxes_is_refused(
    fitted: Any, arguments: list[str], message: str
) -> None:
    _, model, data = fitted
    ended = CliRunner().invoke(app, ["predict", str(model), str(data / "1.png"), *arguments])
    assert ended.exit_code != 0 and "Traceback" not in ended.output
    assert message in " ".join(ended.output.split())


def test_any_network_with_maps_is_a_trunk() -> None:
    task = catalog.task("image-boxes")
    plain = catalog.load_backbone("seeded:convnet?size=32")
    names = Model.of(plain, torch.nn.Identity()).backbone_state().keys()
    trunk = task.backbone(plain)
    own = task.for_backbone(trunk)
    model = Model.of(trunk, own.head(trunk.feature_dim, ["red"])).eval()
    assert model.backbone_state().keys() == names  # as its own library has them
    pictures = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        maps = model.features(pictures)
        rows = own.predictions(model(pictures).numpy())
    strides = [level.stride for level in trunk.levels]
    assert strides == sorted(set(strides)) and strides[-1] > 1
    assert [maps[level.reads["cls"]].shape[-1] * level.stride for level in trunk.levels] == [
        32 for _ in strides
    ]
    assert rows.shape == (2, 100, 6) and trunk.summary is not None
    assert trunk.summary(maps).shape == (2, trunk.feature_dim)


def test_a_network_without_maps_is_refused() -> None:
    backbone = catalog.load_backbone("seeded:convnet?size=4")
    from dataclasses import replace

    flat = replace(backbone, stages={"all": torch.nn.Flatten()}, pool=torch.nn.Identity())
    with pytest.raises(HeadstartError, match="gives no maps of places"):
        catalog.task("image-boxes").backbone(flat)


@pytest.mark.slow
def test_a_trunk_is_fitted_and_saved(tmp_path: Path) -> None:
    data = squares(tmp_path / "data", 24)
    out = tmp_path / "model"
    settings: dict[str, Any] = {"scratch": False, "epochs": 2, "evidence": "quick"}
    hs.fit(
        data,
        "seeded:convnet?size=32",
        out,
        strategy="last-stages?count=1&probe=false",
        **settings,
    )
    assert len(hs.load(out).predict([data / "1.png"])) == 1


def test_several_backbones_are_not_ranked_by_rows(file: Path, tmp_path: Path) -> None:
    data = squares(tmp_path / "data", 16)
    with pytest.raises(HeadstartError, match="says nothing of boxes"):
        hs.fit(data, [f"graph:{file}", f"graph:{file}?size={SIDE}"], tmp_path / "model")
