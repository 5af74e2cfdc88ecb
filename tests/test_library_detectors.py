"""Detectors of torchvision and transformers: fitted, saved, and opened by their own libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import squares
from safetensors.torch import load_file, save_file

import headstart as hs
from headstart import catalog
from headstart.contracts.detector import Boxes, LibraryHead
from headstart.contracts.model import Batch, Model
from headstart.errors import HeadstartError, WeightsError

SIDE = 96
QUICK: dict[str, Any] = {"scratch": False, "epochs": 2, "evidence": "quick"}
HEAD_ALONE = "feature-extraction?head=trained"
SMALL = "torchvision:ssdlite320_mobilenet_v3_large", "torchvision:fcos_resnet50_fpn"
LARGE = (
    *("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_resnet50_fpn_v2"),
    *("retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "maskrcnn_resnet50_fpn"),
)
KINDS = ("detr", "rt_detr", "d_fine", "yolos")
OTHERS = ("conditional_detr", "deformable_detr", "rt_detr_v2", "table-transformer", "dab-detr")


def _config(kind: str) -> Any:
    """A tiny detector of this kind."""
    library: Any = import_module("transformers")
    sizes: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16]}
    sizes |= {"depths": [1, 1, 1, 1], "out_features": ["stage2", "stage3", "stage4"]}
    feed: dict[str, Any] = {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "num_queries": 20}
    feed |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_layers": 2}
    if kind == "yolos":
        layers: dict[str, Any] = {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        }
        layers |= {"intermediate_size": 64, "patch_size": 16, "num_detection_tokens": 20}
        return library.YolosConfig(**layers, image_size=[SIDE, SIDE])
    if kind in ("rt_detr", "rt_detr_v2", "d_fine"):
        rest: dict[str, Any] = {
            "encoder_hidden_dim": 16,
            "encoder_in_channels": [8, 16, 16],
            "d_model": 16,
        }
        rest |= {"decoder_in_channels": [16, 16, 16], "num_denoising": 4}
        if kind == "d_fine":
            stages: dict[str, Any] = {
                "stage_in_channels": [8, 8, 8, 16],
                "stage_mid_channels": [8, 8, 8, 8],
            }
            stages |= {"stage_out_channels": [8, 8, 16, 16], "stage_num_blocks": [1, 1, 1, 1]}
            stages |= {"stage_numb_of_layers": [1, 1, 1, 1], "stem_channels": [3, 8, 8]}
            trunk: Any = library.HGNetV2Config(**sizes, **stages)
            return library.DFineConfig(backbone_config=trunk, hidden_expansion=1.0, **rest, **feed)
        trunk = library.RTDetrResNetConfig(**sizes, layer_type="basic")
        own = {"rt_detr": library.RTDetrConfig, "rt_detr_v2": library.RTDetrV2Config}[kind]
        return own(backbone_config=trunk, **rest, **feed)
    several = kind == "deformable_detr"
    trunk = library.ResNetConfig(
        **{**sizes, "out_features": sizes["out_features"] if several else ["stage4"]},
        layer_type="basic",
    )
    rest = {"backbone_config": trunk, "use_timm_backbone": False, "encoder_layers": 1}
    rest |= {"num_feature_levels": 3} if several else {}
    rest |= {"hidden_size" if kind == "dab-detr" else "d_model": 32}
    return library.AutoConfig.for_model(kind, **rest, **feed)


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A tiny detector of the kind that the test names, saved by transformers."""
    from transformers import AutoModelForObjectDetection

    torch.manual_seed(0)
    auto: Any = AutoModelForObjectDetection
    auto.from_config(_config(request.param)).save_pretrained(tmp_path / "own")
    return tmp_path / "own"


def _untrained(reference: str, labels: list[str]) -> tuple[Any, Model]:
    torch.manual_seed(0)
    task = catalog.task("image-boxes")
    backbone = task.backbone(catalog.load_backbone(reference))
    own = task.for_backbone(backbone)
    return own, Model.of(backbone, own.head(backbone.feature_dim, labels))


def _targets() -> torch.Tensor:
    """A picture with an object of the second class, and one without any."""
    targets = torch.full((2, 2, 5), -1.0)
    targets[:, 0] = torch.tensor([SIDE, SIDE, 1, 0, 0])
    targets[0, 1] = torch.tensor([0.2, 0.3, 0.7, 0.8, 1.0])
    return targets


def _learns(reference: str) -> None:
    """A step has a finite loss and gradients, and answers are rows of sorted boxes."""
    task, model = _untrained(reference, ["red", "blue"])
    side = int(reference.partition("size=")[2].partition("&")[0])
    pictures = torch.rand(2, 3, side, side)
    step = task.step(model.train(), Batch(pictures, _targets()))
    assert step.loss.isfinite() and step.loss > 0
    step.loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(each.isfinite().all() for each in gradients)
    with torch.inference_mode():
        rows = task.predictions(model.eval()(pictures).numpy())
    assert rows.shape == (2, 100, 6) and (np.diff(rows[:, :, 4], axis=1) <= 0).all()
    assert rows[:, :, 4].max() <= 1 and set(np.unique(rows[:, :, 5])) <= {0.0, 1.0}


@pytest.mark.parametrize("reference", SMALL)
def test_a_detector_of_torchvision_learns(reference: str) -> None:
    _learns(f"{reference}?pretrained=false&size={SIDE}")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(f"{n}?size={SIDE}" for n in LARGE), "ssd300_vgg16?size=300"])
def test_other_detectors_of_torchvision_learn(name: str) -> None:
    _learns(f"torchvision:{name}&pretrained=false")


@pytest.mark.parametrize("folder", KINDS, indirect=True)
def test_a_detector_of_transformers_learns(folder: Path) -> None:
    _learns(f"hf:{folder}?size={SIDE}")


@pytest.mark.slow
@pytest.mark.parametrize("folder", OTHERS, indirect=True)
def test_other_detectors_of_transformers_learn(folder: Path) -> None:
    _learns(f"hf:{folder}?size={SIDE}")


@pytest.mark.parametrize("folder", ["detr"], indirect=True)
def test_a_detector_of_transformers_is_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    (card,) = catalog.hub("hf").cards("own")
    assert (card.reference, card.modality, card.at_hand) == ("hf:own", "image", True)


@pytest.mark.parametrize("reference", [*SMALL, "torchvision:retinanet_resnet50_fpn"])
def test_what_a_graph_of_torchvisions_holds_is_its_own_choice(reference: str) -> None:
    """The choice of boxes written as one of arrays is the library's, whose classes are many."""
    _chooses_alike(f"{reference}?pretrained=false&size={SIDE}")


@pytest.mark.parametrize("folder", KINDS, indirect=True)
def test_what_a_graph_of_transformers_holds_is_its_own_choice(folder: Path) -> None:
    _chooses_alike(f"hf:{folder}?size={SIDE}")


def test_a_detector_of_two_stages_has_none() -> None:
    name = "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn"
    _, model = _untrained(f"{name}?pretrained=false&size={SIDE}", ["red"])
    with pytest.raises(NotImplementedError, match="looks a second time"):
        _in_graph(model, {})


def _chooses_alike(reference: str) -> None:
    """Weights are drawn so that places answer differently; scores are raised to powers."""
    _, model = _untrained(reference, ["red", "blue"])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.head.named_parameters():
            if parameter.dim() > 1:
                own = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(own / own[0].numel() ** 0.5)
            elif "bias" in name:
                parameter.zero_()
    model.head.powers.copy_(torch.tensor([0.7, 1.3]))  # type: ignore[operator]
    with torch.inference_mode():
        maps = model.eval().features(torch.rand(2, 3, SIDE, SIDE, generator=generator))
        maps = {name: torch.randn(each.shape, generator=generator) for name, each in maps.items()}
        expected = model.head(maps).reshape(2, 100, 6)
        own = _in_graph(model, maps).reshape(2, 100, 6)
    assert (expected[..., 4] > 0).any()
    torch.testing.assert_close(own[..., 4], expected[..., 4], rtol=1e-3, atol=1e-4)
    clear = expected[..., 4] > expected[:, -1:, 4] + 1e-3  # others have no order
    middles, theirs = (each[clear][:, :4].mean(1).sort().values for each in (own, expected))
    torch.testing.assert_close(middles, theirs, rtol=1e-3, atol=1e-3)


def _in_graph(model: Model, maps: dict[str, torch.Tensor]) -> torch.Tensor:
    assert isinstance(model.head, LibraryHead)
    return model.head.in_graph(maps)


def _fresh(code: str, *arguments: Path) -> Any:
    """What a script prints as JSON in a process that knows nothing of us."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


TORCHVISION = """
import json, sys, torch
from safetensors.torch import load_file
from torchvision.models import get_model
folder = sys.argv[1]
own = json.load(open(folder + "/config.json"))
count = len(own["label_names"]) + own["first_class"]
model = get_model(own["architecture"], weights=None, weights_backbone=None, num_classes=count)
model.load_state_dict(load_file(folder + "/model.safetensors"))
model.transform.fixed_size = (96, 96)
model.transform.image_mean, model.transform.image_std = [0.0] * 3, [1.0] * 3
with torch.inference_mode():
    found = model.eval()([torch.load(sys.argv[2])])[0]
print(json.dumps({"labels": own["label_names"], "scores": found["scores"][:20].tolist(),
                  "boxes": found["boxes"][:20].tolist()}))
"""
TRANSFORMERS = """
import json, sys, torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection
folder = sys.argv[1]
model = AutoModelForObjectDetection.from_pretrained(folder).eval()
processor = AutoImageProcessor.from_pretrained(folder)
with torch.inference_mode():
    outputs = model(pixel_values=torch.load(sys.argv[2])[None])
found = processor.post_process_object_detection(outputs, threshold=0.0)[0]
order = found["scores"].argsort(descending=True)[:20]
import numpy as np
from PIL import Image
fed = processor(Image.fromarray(np.zeros((48, 64, 3), np.uint8)), return_tensors="pt")
print(json.dumps({"labels": [model.config.id2label[n] for n in range(len(model.config.id2label))],
                  "scores": found["scores"][order].tolist(), "fed": list(fed["pixel_values"].shape),
                  "boxes": found["boxes"][order].tolist()}))
"""


def _opens(model: Path, code: str, unit: float, tmp_path: Path) -> dict[str, Any]:
    """The library's own answers to a picture are those of the saved model."""
    predictor = hs.load(model)
    predictor.model.get_buffer("head.powers").fill_(1.0)  # which the library has none of
    picture = torch.rand(3, SIDE, SIDE)
    torch.save(picture, tmp_path / "picture.pt")
    with torch.inference_mode():
        rows = predictor.model.eval()(picture[None]).reshape(-1, 6).numpy()
    theirs: dict[str, Any] = _fresh(code, model, tmp_path / "picture.pt")
    count = min(len(theirs["scores"]), 20)
    assert count and theirs["labels"] == ["blue", "red"]
    np.testing.assert_allclose(rows[:count, 4], theirs["scores"], rtol=1e-3, atol=1e-4)
    clear = np.array(theirs["scores"]) > theirs["scores"][-1] + 1e-4  # others have no order
    clear |= not clear.any()  # where all queries answer alike, all of them are here
    middles = np.sort(rows[:count, :4][clear].mean(axis=1))
    own = np.sort(np.array(theirs["boxes"])[clear].mean(axis=1)) / unit
    np.testing.assert_allclose(middles, own, rtol=1e-2, atol=1e-2)
    return theirs


def _checked(folder: Path) -> None:
    checks = json.loads((folder / "evidence.json").read_text())["checks"]
    assert checks["equal in a fresh process"] and all(checks.values())


def _lively(path: Path) -> Path:
    """Weights of SSDlite for 90 classes, drawn so that places answer differently."""
    from torchvision.models import get_model

    torch.manual_seed(0)
    network = get_model("ssdlite320_mobilenet_v3_large", weights=None, weights_backbone=None)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            torch.nn.init.kaiming_normal_(parameter)
    save_file({n: t.contiguous() for n, t in network.state_dict().items()}, path)
    return path


@pytest.mark.slow
def test_a_saved_detector_opens_in_torchvision(tmp_path: Path) -> None:
    reference = f"{SMALL[0]}@{_lively(tmp_path / 'weights.safetensors')}?size={SIDE}"
    data, out = squares(tmp_path / "data", 16), tmp_path / "model"
    hs.fit(data, reference, out, strategy=HEAD_ALONE, **QUICK)
    _checked(out)
    assert "get_model(own" in (out / "README.md").read_text()
    state = load_file(out / "model.safetensors")
    assert "head.classification_head.module_list.0.1.weight" in state
    _opens(out, TORCHVISION, SIDE, tmp_path)
    assert len(hs.load(out).predict([data / "1.png"])) == 1
    again = hs.fit(data, f"checkpoint:{out}", tmp_path / "again", strategy=HEAD_ALONE, **QUICK)
    assert "AP" in str(again)


@pytest.mark.slow
@pytest.mark.parametrize("folder", KINDS, indirect=True)
def test_a_saved_detector_opens_in_transformers(folder: Path, tmp_path: Path) -> None:
    data, out = squares(tmp_path / "data", 16), tmp_path / "model"
    reference = f"hf:{folder}?size={SIDE}"
    hs.fit(data, reference, out, strategy=HEAD_ALONE, **QUICK)
    _checked(out)
    theirs = _opens(out, TRANSFORMERS, 1.0, tmp_path)
    assert theirs["fed"] == [1, 3, SIDE, SIDE]
    assert "AutoModelForObjectDetection" in (out / "README.md").read_text()


@pytest.mark.slow
def test_a_detector_of_torchvision_leaves_as_onnx(tmp_path: Path) -> None:
    weights = _lively(tmp_path / "weights.safetensors")
    _leaves(f"{SMALL[0]}@{weights}?size={SIDE}", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["yolos"], indirect=True)
def test_a_detector_of_transformers_leaves_as_onnx(folder: Path, tmp_path: Path) -> None:
    _leaves(f"hf:{folder}?size={SIDE}", tmp_path)


def _leaves(reference: str, tmp_path: Path) -> None:
    """A file that onnxruntime opens finds the boxes that the fitted model finds, sure or not."""
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra export")
    data, out = squares(tmp_path / "data", 16), tmp_path / "model"
    hs.fit(data, reference, out, strategy=HEAD_ALONE, **QUICK)
    result = hs.export(out, "onnx", tmp_path / "onnx", check=data)
    assert (result.changed, result.items) == (0, 16)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 3, SIDE, SIDE), np.uint8)
    predictor = hs.load(out)
    fed = predictor.reader.modality.collate(list(pixels), predictor.reader.preprocess)
    with torch.inference_mode():
        expected = predictor.model.eval()(fed).reshape(3, 100, 6).numpy()
    session = runtime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    boxes, scores = session.run(["boxes", "scores"], {"pixels": pixels})  # any number at once
    sure = expected[..., 4]
    assert sure.max() > 0
    np.testing.assert_allclose(scores, sure, rtol=1e-3, atol=1e-4)
    clear = sure > sure[:, -1:] + 1e-3  # others have no order
    clear |= not clear.any()  # where all queries answer alike, all of them are here
    middles, theirs = (np.sort(each[clear][:, :4].mean(1)) for each in (boxes, expected))
    np.testing.assert_allclose(middles, theirs, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("folder", ["detr"], indirect=True)
def test_pretrained_layers_are_kept_but_those_of_classes(folder: Path) -> None:
    _, model = _untrained(f"hf:{folder}?size={SIDE}", ["a", "b", "c", "d", "e"])
    own, state = load_file(folder / "model.safetensors"), model.head.state_dict()
    name = "bbox_predictor.layers.0.weight"
    assert torch.equal(state[f"network.{name}"], own[name])
    assert state["network.class_labels_classifier.weight"].shape[0] == 6  # and no object


def test_boxes_without_sides_are_no_objects() -> None:
    calls: list[int] = []

    class Counting(LibraryHead):
        def losses(self, maps: Any, objects: Any) -> torch.Tensor:
            calls.extend(len(each.kinds) for each in objects)
            return torch.zeros(())

        def candidates(self, maps: Any) -> Any:
            raise NotImplementedError

        def answers(self, maps: Any) -> Any:
            scores = torch.tensor([0.2, 0.9])
            yield Boxes(torch.rand(2, 4), scores, torch.tensor([1, 0]))

    head = Counting(torch.nn.Identity(), 2, SIDE)
    targets = _targets()
    targets[1, 1] = torch.tensor([0.5, 0.5, 0.5, 0.9, 0.0])
    head.loss({}, targets)
    assert calls == [1, 0]
    row = head({}).reshape(100, 6)
    assert row[:, 4].tolist()[:3] == pytest.approx([0.9, 0.2, 0.0]) and row[0, 5] == 0


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("torchvision:fcos_resnet50_fpn?pretrained=false&size=3", "says size=3"),
        ("torchvision:ssd300_vgg16?pretrained=false&size=96", "can't read pictures of 96 px"),
        ("torchvision:fcos_resnet50_fpn@NOTHING", "has no weights 'NOTHING'"),
        ("torchvision:fcos_resnet5_fpn", "Did you mean"),
        ("torchvision:fcos_resnet50_fpn?crop=1", "crop"),
    ],
)
def test_what_no_detector_has_is_refused(reference: str, message: str) -> None:
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(reference)


def test_weights_of_another_detector_are_refused(tmp_path: Path) -> None:
    save_file({"backbone.body.conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"hold|fit"):
        catalog.load_backbone(f"torchvision:fcos_resnet50_fpn@{tmp_path}/w.safetensors")
