"""Encoders of pictures from transformers: equal to their library, before and after saving."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import unheld
from encoders import LABELS, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version
from picture_encoders import KINDS, PROCESSOR, network, pictures, save_pictures, side
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, WeightsError
from headstart.features.engine.openvino import OpenVinoEngine
from headstart.hubs.huggingface.pictures.families import FAMILIES, WHOLE

EVERY = pytest.mark.parametrize("kind", KINDS)
CLASSIFIED = pytest.mark.parametrize("kind", [k for k in KINDS if "vision_model" not in k])
TOKENS = ("clip", "clip_vision_model", "deit", "dinov2", "dinov2_with_registers", "vit")


def saved_by_library(folder: Path, kind: str, classifier: bool = False, **changes: Any) -> Path:
    """A tiny encoder with a processor for the pictures it takes."""
    crop = {"crop_size": {"height": side(kind), "width": side(kind)}}
    return save_pictures(folder, network(kind, classifier), crop | changes)


def features(backbone: Backbone, batch: Tensor) -> Tensor:
    """What all stages make of a batch."""
    with torch.no_grad():
        rows: Tensor = nn.Sequential(*backbone.prefix()).eval()(batch)
    return rows


def library_features(network: Any, batch: Tensor, pooling: str) -> Tensor:
    """The library's own features of a tower."""
    tower = (
        network.vision_model if type(network).__name__ in ("CLIPModel", "SiglipModel") else network
    )
    with torch.no_grad():
        answer = tower(batch)
    last: Tensor = answer.last_hidden_state
    if pooling == "pooler":
        pooled: Tensor = answer.pooler_output.flatten(1)
        return pooled
    if pooling == "cls":
        return last[:, 0]
    return last.mean(1) if last.dim() == 3 else last.mean((-2, -1))


# --- networks ---


@CLASSIFIED
def test_a_classifier_equals_its_library(kind: str, tmp_path: Path) -> None:
    model = network(kind, classifier=True)
    backbone = catalog.load_backbone(f"hf:{saved_by_library(tmp_path, kind, True)}")
    assert isinstance(backbone.head, nn.Linear)
    batch = pictures(kind)
    with torch.no_grad():
        head, logits = backbone.head(features(backbone, batch)), model(batch).logits
    assert torch.allclose(head, logits, atol=1e-5)
    assert (backbone.modality, backbone.library) == ("image", "transformers")
    assert list(backbone.stages) == ["embeddings", "layer 0", "layer 1"]


@pytest.mark.parametrize("pooling", ["pooler", "cls", "mean"])
@EVERY
def test_features_equal_their_library(kind: str, pooling: str, tmp_path: Path) -> None:
    reference = f"hf:{saved_by_library(tmp_path, kind)}?pooling={pooling}"
    if pooling == "cls" and kind.split()[0] not in TOKENS:
        with pytest.raises(HeadstartError, match=r"'cls' is not known of the kind .* Give one of"):
            catalog.load_backbone(reference)
        return
    backbone, batch = catalog.load_backbone(reference), pictures(kind)
    expected = library_features(network(kind), batch, pooling)
    assert torch.allclose(features(backbone, batch), expected, atol=1e-5)
    assert backbone.feature_dim == expected.shape[1]


@EVERY
def test_stages_part_the_network(kind: str, tmp_path: Path) -> None:
    backbone = catalog.load_backbone(f"hf:{saved_by_library(tmp_path, kind)}")
    states = [stage.state_dict() for stage in backbone.prefix()]
    names = [name for state in states for name in state]
    assert len(names) == len(set(names))
    model = Model.of(backbone, nn.Identity()).eval()
    batch = pictures(kind)
    with torch.no_grad():
        for stop in range(1, len(backbone.stages)):
            between = model.features(batch, stop=stop)
            assert isinstance(between, Tensor)
            assert torch.equal(model(between, start=stop), model(batch))
    model.train()
    model(batch).square().sum().backward()
    without = [n for n, p in model.stages.named_parameters() if p.grad is None]
    passed_by = ("mask_token", "post_layernorm")  # saved, as its library wants them
    assert [name for name in without if not any(part in name for part in passed_by)] == []


@unheld
@EVERY
def test_openvino_agrees(kind: str, tmp_path: Path) -> None:
    backbone = catalog.load_backbone(f"hf:{saved_by_library(tmp_path, kind)}")
    batch = pictures(kind)
    expected = features(backbone, batch)
    stages = nn.Sequential(*backbone.prefix()).eval()
    engine = OpenVinoEngine(stages, batch, "fp32", None)
    np.testing.assert_allclose(engine.run(batch[:2]), expected[:2].numpy(), atol=1e-3)
    assert torch.allclose(features(backbone, batch), expected, atol=1e-5)  # tracing changed nothing


@pytest.mark.parametrize("whole", WHOLE)
def test_of_two_towers_the_one_for_pictures_is_taken(whole: str, tmp_path: Path) -> None:
    both = catalog.load_backbone(f"hf:{saved_by_library(tmp_path / 'both', whole)}?pooling=pooler")
    tower = network(whole).vision_model
    alone = save_pictures(tmp_path / "alone", tower)
    backbone = catalog.load_backbone(f"hf:{alone}?pooling=pooler")
    assert backbone.origin.weights_hash == both.origin.weights_hash
    assert backbone.native.items() >= both.native.items()
    assert "text_config" not in catalog.load_backbone(f"hf:{tmp_path / 'both'}").native


# --- artifacts ---


@CLASSIFIED
def test_its_library_opens_a_classifier(kind: str, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    processors: Any = AutoImageProcessor
    backbone = catalog.load_backbone(f"hf:{saved_by_library(tmp_path / 'source', kind)}")
    head = nn.Linear(backbone.feature_dim, len(LABELS))
    folder = saved(tmp_path / "saved", backbone, head)
    theirs, info = AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    assert theirs.config.id2label == dict(enumerate(LABELS))
    batch = pictures(kind)
    with torch.no_grad():
        logits = theirs.eval()(batch).logits
        result = head(features(backbone, batch))
    assert torch.allclose(result, logits, atol=1e-5)
    assert processors.from_pretrained(folder).crop_size.height == side(kind)
    for reference in (f"checkpoint:{folder}", f"hf:{folder}"):
        again = catalog.load_backbone(reference)
        assert torch.allclose(features(again, batch), features(backbone, batch), atol=1e-5)
        assert isinstance(again.head, nn.Linear)
        assert torch.equal(again.head.weight, head.weight)
        assert again.origin.weights_hash == backbone.origin.weights_hash
        assert (again.preprocess, again.files) == (backbone.preprocess, backbone.files)


@pytest.mark.parametrize("pooling", ["pooler", "mean"])
@EVERY
def test_its_library_opens_the_tower(kind: str, pooling: str, tmp_path: Path) -> None:
    from transformers import AutoModel

    source = saved_by_library(tmp_path / "source", kind)
    backbone = catalog.load_backbone(f"hf:{source}?pooling={pooling}")
    folder = saved(tmp_path / "saved", backbone)
    theirs, batch = AutoModel.from_pretrained(folder).eval(), pictures(kind)
    expected = library_features(theirs, batch, pooling)
    assert torch.allclose(features(backbone, batch), expected, atol=1e-5)
    again = catalog.load_backbone(f"checkpoint:{folder}")
    assert torch.equal(features(again, batch), features(backbone, batch))
    assert isinstance(again.head, nn.Linear)


# --- weights ---


def test_a_bin_and_half_precision(tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path, "vit")
    expected = catalog.load_backbone(f"hf:{folder}").origin.weights_hash
    state = load_file(folder / "model.safetensors")
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert catalog.load_backbone(f"hf:{folder}").origin.weights_hash == expected
    save_file({n: t.half() for n, t in state.items()}, folder / "model.safetensors")
    half = catalog.load_backbone(f"hf:{folder}")
    assert next(iter(half.stages["layer 0"].parameters())).dtype == torch.float32


def test_random_weights_follow_the_seed_and_loaded_ones_leave_it_alone(tmp_path: Path) -> None:
    folder, hashes = saved_by_library(tmp_path, "vit"), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        origin = catalog.load_backbone(f"hf:{folder}?pretrained=false").origin
        assert not origin.pretrained
        hashes.append(origin.weights_hash)
    assert hashes[0] == hashes[1] != hashes[2]
    before = torch.get_rng_state()
    catalog.load_backbone(f"hf:{folder}")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {n: t for n, t in state.items() if "layernorm" not in n}, "missing: "),
        (lambda state: {n: t[..., :1] for n, t in state.items()}, "differ in shape: "),
        (lambda state: {f"odd.{n}": t for n, t in state.items()}, "does not fit the network"),
    ],
)
def test_weights_of_another_network(change: Any, message: str, tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path, "vit")
    path = folder / "model.safetensors"
    state = {n: t.clone() for n, t in change(load_file(path)).items()}
    save_file(state, path, {"format": "pt"})
    with pytest.raises(WeightsError, match=message) as caught:
        catalog.load_backbone(f"hf:{folder}")
    assert str(caught.value).count(". ") == 1


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file, or drop those that are None."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: v for name, v in content.items() if v is not None}))


def test_fewer_layers_than_the_weights_have(tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path, "vit")
    edit(folder / "config.json", num_hidden_layers=1)
    with pytest.raises(WeightsError, match="left over: "):
        catalog.load_backbone(f"hf:{folder}")


def test_kinds_that_are_not_read_are_one_sentence(tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path, "vit")
    edit(folder / "config.json", model_type="beit")
    with pytest.raises(HeadstartError, match="is of the kind 'beit', not an encoder") as caught:
        catalog.load_backbone(f"hf:{folder}")
    assert all(kind in str(caught.value) for kind in (*FAMILIES, *WHOLE))


# --- pictures ---


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with some noise, as photos have them."""
    draws = np.random.default_rng(seed)
    coarse = draws.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    smooth = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noise = draws.integers(-12, 13, smooth.shape)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def ours(backbone: Backbone, picture: Image.Image) -> Tensor:
    """The picture as our modality feeds it."""
    raw = io.BytesIO()
    picture.save(raw, "png")
    image = catalog.modality("image")
    item = image.decode(raw.getvalue(), backbone.preprocess)
    batch: Tensor = image.collate([item], backbone.preprocess)
    return batch[0]


def theirs(folder: Path, picture: Image.Image) -> Tensor:
    """The picture as the library's own processor feeds it."""
    from transformers import AutoImageProcessor

    processors: Any = AutoImageProcessor
    processor = processors.from_pretrained(folder)
    fed: Tensor = processor(picture, return_tensors="pt")["pixel_values"][0]
    return fed


# torch 2.8 rounds the weights of a bilinear resize more coarsely than Pillow; 2.15 does not.
OLD = Version(torch.__version__) < Version("2.9")
LEEWAY = 0.25 if OLD else 0.02


def alike(backbone: Backbone, folder: Path, picture: Image.Image) -> None:
    """Assert that both feed the same, but for a level of 255 here and there."""
    result, expected = ours(backbone, picture), theirs(folder, picture)
    level = 1 / (255 * min(backbone.preprocess["std"]))
    assert result.shape == expected.shape
    off = (result - expected).abs()
    assert off.max() <= 1.01 * level, off.max() / level
    assert off.mean() <= LEEWAY * level, off.mean() / level


SQUARE = {"height": 32, "width": 32}
PROCESSORS: dict[str, dict[str, Any]] = {
    "clip": PROCESSOR,
    "clip odd": {**PROCESSOR, "size": {"shortest_edge": 37}, "resample": 2},
    "clip of today": {**PROCESSOR, "do_convert_rgb": True, "resample": 3},
    "old names": {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "size": 36,
        "crop_size": 32,
        "resample": 3,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
    "vit": {"image_processor_type": "ViTImageProcessor", "size": SQUARE, "resample": 2},
    "vit fast": {"image_processor_type": "ViTImageProcessorFast", "size": SQUARE},
    "vit of old": {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 2},
    "deit": {
        "image_processor_type": "DeiTImageProcessor",
        "size": {"height": 36, "width": 36},
        "crop_size": SQUARE,
        "resample": 3,
    },
    "bit": {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 33},
        "crop_size": SQUARE,
    },
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": SQUARE},
    "convnext": {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": 32},
        "crop_pct": 0.875,
    },
    "convnext odd": {
        "feature_extractor_type": "ConvNextFeatureExtractor",
        "image_processor_type": "ConvNextImageProcessor",
        "size": 32,
        "crop_pct": 0.95,
    },
    "lanczos": {**PROCESSOR, "resample": 1},
    "not normalised": {**PROCESSOR, "do_normalize": False},
    "not rescaled": {**PROCESSOR, "do_rescale": False},
    "neither": {**PROCESSOR, "do_rescale": False, "do_normalize": False},
    "other factor": {**PROCESSOR, "rescale_factor": 1 / 127.5},
    "one number": {**PROCESSOR, "image_mean": 0.5, "image_std": 0.25},
    "whole": {"image_processor_type": "CLIPImageProcessor", "crop_size": 32, "size": 32},
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_pictures_are_fed_as_the_processor_feeds_them(name: str, tmp_path: Path) -> None:
    if name == "lanczos" and OLD:
        pytest.skip("torchvision of that time resizes by another kernel, and Pillow by Lanczos's")
    folder = saved_by_library(tmp_path / "model", "vit")
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSORS[name]))
    backbone = catalog.load_backbone(f"hf:{folder}")
    for width, height in ((64, 48), (51, 90), (33, 32), (47, 47), (20, 27)):
        alike(backbone, folder, photo(width, height))
    again = saved(tmp_path / "saved", backbone)
    alike(backbone, again, photo(77, 50))
    assert catalog.load_backbone(f"checkpoint:{again}").preprocess == backbone.preprocess


@settings(max_examples=40)
@given(st.integers(20, 90), st.integers(20, 90), st.integers(32, 60), st.booleans())
def test_any_size_is_resized_and_cropped_alike(
    width: int, height: int, resized: int, square: bool
) -> None:
    folder = SHELF["vit"]
    size = {"height": resized, "width": resized} if square else {"shortest_edge": resized}
    changed = {**PROCESSOR, "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(changed))
    backbone = catalog.load_backbone(f"hf:{folder}?pretrained=false")
    alike(backbone, folder, photo(width, height))


SHELF: dict[str, Path] = {}


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One folder for examples that only change its processor."""
    SHELF["vit"] = saved_by_library(tmp_path_factory.mktemp("shelf"), "vit")


def test_a_processor_inside_that_of_two_towers(tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path / "model", "clip")
    plain = catalog.load_backbone(f"hf:{folder}")
    (folder / "preprocessor_config.json").unlink()
    nested = {"processor_class": "CLIPProcessor", "image_processor": PROCESSOR}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    assert catalog.load_backbone(f"hf:{folder}").preprocess == plain.preprocess


def test_options_change_what_is_fed_and_what_is_saved(tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path / "model", "dinov2")
    options = "size=24&crop=0.75&interpolation=bilinear&mean=0.5&std=0.5,0.4,0.3"
    backbone = catalog.load_backbone(f"hf:{folder}?{options}")
    assert backbone.preprocess == {
        "channels": 3,
        "height": 24,
        "width": 24,
        "crop": 0.75,
        "crop_mode": "center",
        "crop_origin": "floor",
        "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.4, 0.3],
    }
    again = saved(tmp_path / "saved", backbone)
    alike(backbone, again, photo(60, 41))
    for reference in (f"checkpoint:{again}", f"hf:{again}"):
        opened = catalog.load_backbone(reference)
        assert (opened.preprocess, opened.files) == (backbone.preprocess, backbone.files)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(HeadstartError, match=r"has no preprocessor_config\.json, so it says not"):
        catalog.load_backbone(f"hf:{folder}")
    assert catalog.load_backbone(f"hf:{folder}?{options}").preprocess == backbone.preprocess


def test_grey_pictures(tmp_path: Path) -> None:
    from transformers import AutoModel, ViTConfig

    auto: Any = AutoModel
    model = auto.from_config(ViTConfig(**KINDS["vit"], num_channels=1))
    folder = save_pictures(tmp_path, model, {"image_mean": [0.3], "image_std": [0.2]})
    backbone = catalog.load_backbone(f"hf:{folder}")
    assert backbone.preprocess["channels"] == 1
    assert ours(backbone, photo(50, 50)).shape == (1, 32, 32)
    edit(folder / "preprocessor_config.json", image_mean=[0.3, 0.3, 0.3])
    with pytest.raises(HeadstartError, match=r"image_mean=.* is not one number for each channel"):
        catalog.load_backbone(f"hf:{folder}")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"do_resize": False}, "gives pictures of different sizes"),
        ({"do_center_crop": False}, "it crops no square"),
        ({"size": {"shortest_edge": 30}}, "it crops 32 pixels out of 30"),
        ({"size": {"height": 40, "width": 50}}, "another share of the height"),
        ({"size": {"shortest_edge": 10**9}}, "a side of 1000000000 pixels"),
        ({"resample": 5}, "it resizes by filter 5"),
        ({"resample": 0}, "it resizes by filter 0"),
        ({"image_std": [0, 1, 1]}, "is not one number for each channel"),
        ({"image_processor_type": "Evil"}, "transformers can't open it"),
        ({"image_processor_type": "FlavaImageProcessor"}, "has a way of its own"),
        ({"do_pad": True}, "gives pictures of different sizes"),
    ],
)
def test_processors_that_are_refused(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path, "vit", **changes)
    with pytest.raises(HeadstartError, match=reason) as caught:
        catalog.load_backbone(f"hf:{folder}")
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith("?size=224&mean=0.5&std=0.5.")
    assert catalog.load_backbone(f"hf:{folder}?size=32&mean=0.5&std=0.5").feature_dim == 16


def test_pictures_of_a_size_that_the_network_cannot_take(tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path, "vit")
    with pytest.raises(HeadstartError, match=r"can't read pictures of 3x24x24 \(Input image size"):
        catalog.load_backbone(f"hf:{folder}?size=24")


def test_code_in_the_folder_is_never_run(tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path, "vit")
    expected = catalog.load_backbone(f"hf:{folder}").origin.weights_hash
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: ...\n")
    where = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}
    edit(folder / "config.json", auto_map=where)
    edit(folder / "preprocessor_config.json", auto_map={"AutoImageProcessor": "evil.Evil"})
    assert catalog.load_backbone(f"hf:{folder}").origin.weights_hash == expected
    assert not (tmp_path / "ran").exists()


def test_modules_over_pictures_are_refused(tmp_path: Path) -> None:
    folder = saved_by_library(tmp_path / "model", "clip")
    inner = tmp_path / "st" / "0_CLIPModel"
    shutil.copytree(folder, inner)
    modules = [{"type": "sentence_transformers.models.CLIPModel", "path": inner.name}]
    (inner.parent / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(HeadstartError, match="holds modules of sentence-transformers over pic"):
        catalog.load_backbone(f"hf:{inner.parent}")
    assert catalog.load_backbone(f"hf:{inner.parent}?pooling=own").feature_dim == 16


def test_cards_say_that_it_reads_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved_by_library(tmp_path / "clip", "clip")
    saved_by_library(tmp_path / "vit", "vit")
    clip, vit = catalog.hub("hf").cards("*")
    assert (clip.modality, clip.input, vit.modality, vit.input) == (
        *("image", "3x32x32", "image", "3x32x32"),
    )
    assert vit.at_hand
    assert vit.parameters == sum(t.numel() for t in load_file("vit/model.safetensors").values())
