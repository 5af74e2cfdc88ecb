"""Networks of Caffe as backbones: their heads, how they are fed, and real ones."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from caffe_networks import (
    ARCHITECTURES,
    GLOBAL,
    TINY,
    TINY_BLOBS,
    blob,
    caffemodel,
    convolution,
    entry,
    layer,
    linear,
    old_format,
    pictures,
    pool,
    relu,
    weighted,
)
from PIL import Image as pil
from PIL import ImageOps
from torch import Tensor, nn

import headstart as hs
from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.loading.weights import save

LENET = (
    "caffe_lenet_mnist/lenet_train_test.prototxt",
    "caffe_lenet_mnist/lenet_iter_10000.caffemodel",
)
ZOO = {"mean": [123 / 255, 117 / 255, 104 / 255], "std": [1 / 255] * 3}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one small network and its weights."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.prototxt").write_text(TINY)
    caffemodel(Path("tiny.caffemodel"), TINY_BLOBS)
    return tmp_path


def load(text: str | None = None, weights: str = "", options: str = "") -> Backbone:
    """The backbone of a description, or of the small network."""
    if text is not None:
        Path("own.prototxt").write_text(text)
    name = "tiny" if text is None else "own"
    return catalog.load_backbone(f"caffe:{name}.prototxt{weights}{options}")


def batch(backbone: Backbone, items: int = 3) -> Tensor:
    """Random pictures as the backbone wants them."""
    sides = [backbone.preprocess[side] for side in ("channels", "height", "width")]
    return torch.randn(items, *sides, generator=torch.Generator().manual_seed(1))


def run(backbone: Backbone, inputs: Tensor, head: nn.Module | None = None) -> Tensor:
    """Features, or what a head makes of them."""
    with torch.no_grad():
        result: Tensor = Model.of(backbone, head or nn.Identity()).eval()(inputs)
    return result


# --- architectures ---


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_classic_networks_transfer(name: str, here: Path) -> None:
    text = ARCHITECTURES[name]()
    size = load(text).preprocess["height"]
    whole, blobs = weighted(text, size, here)
    aside = {"loss1/classifier": [np.ones((7, 9), np.float32), np.ones(7, np.float32)]}
    caffemodel(Path("own.caffemodel"), blobs | aside)
    backbone = load(text, "@own.caffemodel")
    assert len(backbone.stages) >= 3
    assert not any("loss1" in key for stage in backbone.prefix() for key in stage.state_dict())
    inputs = batch(backbone)
    with torch.no_grad():
        expected = whole(inputs.flip(1))  # Caffe reads blue first
    if name == "squeezenet":  # classifies positions, and then takes their mean
        weight, bias = map(torch.from_numpy, blobs["conv10"])
        assert backbone.head is None
        result = run(backbone, inputs) @ weight.flatten(1).T + bias
    else:
        result = run(backbone, inputs, backbone.head)
    assert torch.allclose(result, expected, rtol=1e-4, atol=1e-4)
    assert_trains_and_reloads(backbone, inputs)


def assert_trains_and_reloads(backbone: Backbone, inputs: Tensor) -> None:
    """One step moves the last stage alone, and what is saved then is what is loaded."""
    model = Model.of(backbone, nn.Linear(backbone.feature_dim, 2)).train()
    before = {name: tensor.clone() for name, tensor in model.stages[-1].named_parameters()}
    torch.optim.SGD(model.stages[-1].parameters(), lr=0.1).step(None)
    model(inputs).pow(2).sum().backward()
    torch.optim.SGD(model.stages[-1].parameters(), lr=0.1).step()
    moved = [not torch.equal(before[n], p) for n, p in model.stages[-1].named_parameters()]
    assert all(moved)
    save(model.backbone_state(), "tuned.safetensors", {})
    reference = str(backbone.architecture).replace("?", "@tuned.safetensors?", 1)
    assert torch.equal(run(catalog.load_backbone(reference), inputs), run(backbone, inputs))


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "squeezenet", "vgg"])
def test_the_second_format_gives_the_same(name: str, here: Path) -> None:
    text = ARCHITECTURES[name]()
    _, blobs = weighted(text, load(text).preprocess["height"], here)
    now = load(text, f"@{caffemodel(Path('own.caffemodel'), blobs)}")
    then = load(old_format(text), f"@{caffemodel(Path('old.caffemodel'), blobs, old=True)}")
    assert list(now.stages) == list(then.stages)
    assert now.origin.weights_hash == then.origin.weights_hash
    assert torch.equal(run(now, batch(now)), run(then, batch(now)))
    assert (now.head is None) == (then.head is None)


# --- heads ---


def test_what_comes_after_the_last_inner_product_is_no_matter() -> None:
    plain = load(weights="@tiny.caffemodel")
    assert (plain.feature_dim, plain.head_name, plain.origin.pretrained) == (5, "fc", True)
    assert plain.head is not None
    assert plain.head(torch.zeros(1, 5)).shape == (1, 4)
    losses = layer("loss", "SoftmaxWithLoss", "fc label") + layer("acc", "Accuracy", "fc label")
    for text in (TINY + losses, TINY.partition('layer { name: "prob"')[0]):
        again = load(text, "@tiny.caffemodel")
        assert again.origin.weights_hash == plain.origin.weights_hash
        assert again.head is not None


def test_a_convolution_of_one_position_is_a_linear_head() -> None:
    window = "convolution_param { num_output: 4 kernel_size: 1 }"
    text = TINY.replace(linear("fc", "conv2", 4), layer("fc", "Convolution", "conv2", window))
    weight, bias = TINY_BLOBS["fc"]
    caffemodel(Path("c.caffemodel"), TINY_BLOBS | {"fc": [weight[:, :, None, None], bias]})
    loaded_backbone, plain = load(text, "@c.caffemodel"), load(weights="@tiny.caffemodel")
    inputs = batch(plain)
    assert torch.equal(
        run(loaded_backbone, inputs, loaded_backbone.head), run(plain, inputs, plain.head)
    )


def test_networks_without_a_head_answer_features() -> None:
    bare = pictures(8) + convolution("conv1", "data", 6, 3)
    loaded_backbone = load(bare)
    assert (loaded_backbone.feature_dim, loaded_backbone.head, loaded_backbone.head_name) == (
        6,
        None,
        "head",
    )
    pooled = load(bare + pool("p", "conv1", GLOBAL))
    inputs = batch(loaded_backbone)
    torch.manual_seed(3)
    loaded_backbone = load(bare)
    torch.manual_seed(3)
    pooled = load(bare + pool("p", "conv1", GLOBAL))
    assert torch.allclose(run(loaded_backbone, inputs), run(pooled, inputs), atol=1e-6)
    assert load(TINY + relu("fc")).feature_dim == 4  # no classifier ends in a ReLU
    assert load(options="?head=false").feature_dim == 4
    assert load(bare + convolution("head", "conv1", 5, 1) + relu("head")).head_name == "caffe_head"


def test_maps_are_flattened_for_a_head_that_reads_positions() -> None:
    assert load(pictures(8) + pool("p", "data") + linear("fc", "p", 4)).feature_dim == 48


# --- how they are fed ---


def data(phase: str, transform: str, more: str = "") -> str:
    """A layer that feeds from a store."""
    rule = f"include {{ phase: {phase} }}" if phase else ""
    settings = f"{rule} transform_param {{ {transform} }} {more}"
    return f'layer {{ name: "d" type: "Data" top: "data" top: "label" {settings} }}\n'


BODY = TINY.partition("\n")[2]


def test_networks_for_deploying_are_fed_as_in_the_zoo() -> None:
    preprocess = load().preprocess
    assert (
        preprocess["channels"],
        preprocess["height"],
        preprocess["width"],
        preprocess["crop"],
    ) == (3, 8, 8, 1.0)
    assert preprocess["mean"] == pytest.approx(ZOO["mean"])
    assert preprocess["std"] == pytest.approx(ZOO["std"])
    shape = "dim: 1 dim: 3 dim: 8 dim: 10"
    for start in (
        f'input: "data" input_shape {{ {shape} }}\n',
        f'layer {{ name: "d" type: "Input" top: "data" input_param {{ shape {{ {shape} }} }} }}\n',
    ):
        wide = load(start + BODY).preprocess
        assert (wide["height"], wide["width"], wide["mean"]) == (8, 10, preprocess["mean"])
    grey = load(pictures(8, 1) + BODY).preprocess
    assert (grey["channels"], grey["mean"]) == (1, [0.0])


def test_a_data_layer_says_how_in_the_phase_of_testing() -> None:
    train, test = "crop_size: 9 mirror: true", "crop_size: 8 scale: 0.5 mean_value: [10, 20, 30]"
    for text in (
        data("TRAIN", train) + data("TEST", test),
        data("TEST", test) + data("TRAIN", train),
    ):
        preprocess = load(text + BODY).preprocess
        assert (preprocess["channels"], preprocess["height"]) == (3, 8)
        assert preprocess["mean"] == pytest.approx([30 / 255, 20 / 255, 10 / 255])
        assert preprocess["std"] == pytest.approx([2 / 255] * 3)
    plain = load(data("", "crop_size: 8 mean_value: 51") + BODY).preprocess
    assert plain["mean"] == pytest.approx([0.2] * 3)
    assert load(data("TRAIN", "crop_size: 9") + BODY).preprocess["mean"] == [0.0] * 3
    memory = "memory_data_param { batch_size: 1 channels: 1 height: 8 width: 9 }"
    fed = f'layer {{ name: "d" type: "MemoryData" top: "data" top: "label" {memory} }}\n'
    assert load(fed + BODY).preprocess["width"] == 9


def test_a_mean_picture_counts_where_it_lies_in_the_folder(here: Path) -> None:
    picture = np.stack([np.full((4, 5), level) for level in (51, 102, 153)]).astype(np.float32)
    picture[0, 0] += np.array([-5, 0, 5, 0, 0], np.float32)
    (here.parent / "mean.binaryproto").write_bytes(blob(picture, old=True))
    Path("inside").mkdir()
    Path("inside/mean.binaryproto").write_bytes(blob(picture, old=True))
    expected = pytest.approx([0.6, 0.4, 0.2])
    for name in ("inside/mean.binaryproto", "/gone/inside/../inside/mean.binaryproto"):
        text = data("TEST", f'crop_size: 8 mean_file: "{name}"') + BODY
        mean = load(text).preprocess["mean"]
        assert mean == (expected if name.startswith("inside") else pytest.approx(ZOO["mean"]))
    outside = load(data("TEST", 'crop_size: 8 mean_file: "../mean.binaryproto"') + BODY)
    assert outside.preprocess["mean"] == pytest.approx(ZOO["mean"])
    Path("mean.binaryproto").write_bytes(blob(picture))
    beside = load(data("TEST", 'crop_size: 8 mean_file: "/home/me/mean.binaryproto"') + BODY)
    assert beside.preprocess["mean"] == expected
    Path("mean.binaryproto").unlink()  # a saved model no longer needs it
    assert catalog.load_backbone(str(beside.architecture)).preprocess == beside.preprocess


def test_weights_say_what_a_description_does_not(here: Path) -> None:
    content = entry(1, "d") + entry(2, "Data") + entry(4, "data")
    scale = np.float32(0.25).tobytes()
    content += entry(100, bytes([1 << 3 | 5]) + scale + entry(3, 8))
    caffemodel(Path("trained.caffemodel"), TINY_BLOBS, before=entry(100, content))
    for text in (TINY, BODY.join(['input: "data"\n', ""])):
        preprocess = load(text, "@trained.caffemodel").preprocess
        assert (preprocess["channels"], preprocess["height"], preprocess["mean"]) == (
            3,
            8,
            [0.0] * 3,
        )
        assert preprocess["std"] == pytest.approx([4 / 255] * 3)
    again = load('input: "data"\n' + BODY, "@trained.caffemodel")
    assert catalog.load_backbone(str(again.architecture)).preprocess == again.preprocess
    random = load('input: "data"\n' + BODY, "@trained.caffemodel", "?pretrained=false")
    assert (random.origin.pretrained, random.head, random.preprocess) == (False, None, preprocess)


def test_the_size_is_what_the_weights_fit() -> None:
    text = 'input: "data"\n' + convolution("c", "data", 2, 5) + pool("p", "c")
    text += linear("ip", "p", 3) + relu("ip") + linear("fc", "ip", 2)
    shapes = {"c": (2, 1, 5, 5), "ip": (3, 2 * 6 * 6), "fc": (2, 3)}
    blobs = {name: [np.ones(shape), np.ones(shape[0])] for name, shape in shapes.items()}
    caffemodel(Path("own.caffemodel"), blobs)
    preprocess = load(text, "@own.caffemodel").preprocess
    assert (preprocess["channels"], preprocess["height"]) == (1, 16)  # 16 and 17 fit
    with pytest.raises(HeadstartError, match="doesn't say how large its pictures are"):
        load(text)
    assert load(text, options="?size=20").preprocess["channels"] == 3


def test_options_overrule(here: Path) -> None:
    preprocess = load(
        options="?size=9&mean=.1,.2,.3&std=.5&crop=.875&interpolation=bicubic"
    ).preprocess
    assert (preprocess["height"], preprocess["crop"], preprocess["interpolation"]) == (
        9,
        0.875,
        "bicubic",
    )
    assert (preprocess["mean"], preprocess["std"]) == ([0.1, 0.2, 0.3], [0.5] * 3)
    blue_first = load(weights="@tiny.caffemodel")
    red_first = load(weights="@tiny.caffemodel", options="?bgr=false")
    inputs = batch(blue_first)
    assert torch.equal(run(blue_first, inputs), run(red_first, inputs.flip(1)))
    assert red_first.preprocess["mean"] == pytest.approx(ZOO["mean"])
    with pytest.raises(HeadstartError, match="channels other than 1 or 3"):
        load(options="?channels=4")


# --- real weights ---


def known(shared: Path, name: str) -> tuple[Path, Path]:
    """LeNet's description and weights, and handwritten digits."""
    return shared / "weights", shared / "images" / name


def test_lenet_knows_digits(shared_data: Path) -> None:
    folder, digits = known(shared_data, "mnist_test.parquet")
    backbone = catalog.load_backbone(f"caffe:{folder / LENET[0]}@{folder / LENET[1]}")
    assert list(backbone.stages) == ["conv1", "conv2", "ip1"]
    assert (backbone.feature_dim, backbone.head_name) == (500, "ip2")
    preprocess = backbone.preprocess
    assert (preprocess["channels"], preprocess["height"], preprocess["mean"]) == (1, 28, [0.0])
    assert preprocess["std"] == pytest.approx([256 / 255])
    table = pq.read_table(digits).slice(0, 2000)
    image = catalog.modality("image")
    items = [image.decode(row["image"]["bytes"], preprocess) for row in table.to_pylist()]
    logits = run(backbone, image.collate(items, preprocess), backbone.head)
    labels = np.array([int(label) for label in table["label"].to_pylist()])
    assert (logits.argmax(1).numpy() == labels).mean() >= 0.98


def framed(row: dict[str, Any]) -> dict[str, Any]:
    """A digit with the margin that MNIST's have, whose 20 pixels of digit lie in 28 of picture."""
    with pil.open(io.BytesIO(row["image"]["bytes"])) as digit:
        margin = round(digit.width * 4 / 20)
        wide = ImageOps.expand(digit.convert("L"), margin, fill=0)
    buffer = io.BytesIO()
    wide.save(buffer, "PNG")
    return {"image": {"bytes": buffer.getvalue(), "path": None}, "label": row["label"]}


@pytest.mark.slow
def test_lenet_helps_with_other_digits(shared_data: Path) -> None:
    folder, digits = known(shared_data, "usps_train.parquet")
    train = pq.read_table(digits).to_pylist()
    test = pq.read_table(digits.with_name("usps_test.parquet")).to_pylist()
    few: dict[Any, list[Any]] = {}
    for row in train:
        few.setdefault(row["label"], []).append(row)
    Path("usps").mkdir()
    for name, rows in (
        ("train", [row for label in sorted(few) for row in few[label][:20]]),
        ("val", [row for label in sorted(few) for row in few[label][20:40]]),
        ("test", test),
    ):
        pq.write_table(pa.Table.from_pylist([framed(row) for row in rows]), f"usps/{name}.parquet")
    result = hs.fit("usps", f"caffe:{folder / LENET[0]}@{folder / LENET[1]}", "model")
    print(result)
    assert Path("model/network.prototxt").is_file()
    arms = result.to_json()["arms"]
    assert arms["chosen"]["value"] > 0.9 > 4 * arms["naive"]["value"]
    assert arms["features"]["value"] > arms["scratch"]["value"]
    assert result.verdict in ("helps", "no evidence")  # scratch learns these digits nearly as well
