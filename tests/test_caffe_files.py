"""Files of Caffe that are damaged, foreign, hostile or not for pictures; and the listing."""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from caffe_networks import (
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
    varint,
)
from torch import nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, WeightsError
from headstart.loading.weights import save


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one small network and its weights."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.prototxt").write_text(TINY)
    caffemodel(Path("tiny.caffemodel"), TINY_BLOBS)
    return tmp_path


def load(weights: str = "tiny.caffemodel") -> Backbone:
    """The small network with a file of weights."""
    return catalog.load_backbone(f"caffe:tiny.prototxt@{weights}")


def refused(reference: str, message: str, kind: type[HeadstartError] = HeadstartError) -> None:
    """Expect one sentence or two, with no line breaks, that say so."""
    with pytest.raises(kind, match=message) as raised:
        catalog.load_backbone(f"caffe:{reference}")
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith((".", "?"))


# --- weights ---


class Harmful:
    """Would write a file when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("ran", "w")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_is_no_caffemodel(protocol: int) -> None:
    Path("evil.caffemodel").write_bytes(pickle.dumps({"conv1": Harmful()}, protocol))
    refused("tiny.prototxt@evil.caffemodel", "evil.caffemodel", WeightsError)
    torch.save({"conv1": torch.ones(2)}, "zip.caffemodel")
    refused("tiny.prototxt@zip.caffemodel", "zip.caffemodel", WeightsError)
    assert not Path("ran").exists()


def test_damaged_weights_are_refused() -> None:
    whole = Path("tiny.caffemodel").read_bytes()
    for length in range(0, len(whole), 37):
        Path("torn.caffemodel").write_bytes(whole[:length])
        refused("tiny.prototxt@torn.caffemodel", "torn.caffemodel", WeightsError)
    Path("junk.caffemodel").write_bytes(bytes(range(256)))
    refused("tiny.prototxt@junk.caffemodel", "is damaged, or not a file of Caffe", WeightsError)
    Path("h.caffemodel").write_bytes(b"\x89HDF\r\n\x1a\n")
    refused("tiny.prototxt@h.caffemodel", "is HDF5", WeightsError)
    Path("empty.caffemodel").write_bytes(b"")
    refused("tiny.prototxt@empty.caffemodel", "holds no layers with weights", WeightsError)


@pytest.mark.parametrize(
    "claimed", [(1 << 40, 1 << 20), (6, 3, 3, 4), (), (-1 & (1 << 64) - 1, 162)]
)
def test_claimed_sizes_must_be_there(claimed: tuple[int, ...]) -> None:
    packed = entry(7, entry(1, b"".join(map(varint, claimed))))
    raw = TINY_BLOBS["conv1"][0].astype("<f4").tobytes()
    bad = entry(100, entry(1, "conv1") + entry(7, packed + entry(5, raw)))
    Path("bad.caffemodel").write_bytes(bad)
    refused("tiny.prototxt@bad.caffemodel", "layer 'conv1' says that it has", WeightsError)


def test_weights_of_another_network_are_named() -> None:
    other = TINY_BLOBS | {"conv1": [np.ones((6, 3, 5, 5)), np.ones(6)]}
    caffemodel(Path("other.caffemodel"), other)
    message = r"other.caffemodel does not fit the network: 1 differ in shape: conv1.weight .6×3×5×5"
    refused("tiny.prototxt@other.caffemodel", message, WeightsError)
    caffemodel(Path("less.caffemodel"), {"conv2": TINY_BLOBS["conv2"], "x": [np.ones(3)]})
    message = r"2 missing: conv1.weight 6×3×3×3, conv1.bias 6"
    refused("tiny.prototxt@less.caffemodel", message, WeightsError)
    caffemodel(Path("more.caffemodel"), TINY_BLOBS | {"conv2": [*TINY_BLOBS["conv2"], np.ones(5)]})
    refused("tiny.prototxt@more.caffemodel", "left over: conv2.blob 2", WeightsError)
    caffemodel(Path("head.caffemodel"), TINY_BLOBS | {"fc": [np.ones((4, 9)), np.ones(4)]})
    refused("tiny.prototxt@head.caffemodel", r"\(its head\) does not fit", WeightsError)
    caffemodel(
        Path("nan.caffemodel"), TINY_BLOBS | {"conv1": [np.full((6, 3, 3, 3), np.nan), np.ones(6)]}
    )
    refused("tiny.prototxt@nan.caffemodel", "not finite", WeightsError)


def test_weights_in_double_precision_and_other_files(here: Path) -> None:
    plain = load()
    content = b"".join(
        entry(100, entry(1, name) + b"".join(entry(7, blob(b, double=True)) for b in blobs))
        for name, blobs in TINY_BLOBS.items()
    )
    Path("double.caffemodel").write_bytes(content)
    assert load("double.caffemodel").origin.weights_hash == plain.origin.weights_hash
    state = Model.of(plain, nn.Identity()).backbone_state()
    torch.save(OrderedDict(state), "state.pth")
    assert load("state.pth").origin.weights_hash == plain.origin.weights_hash
    refused("tiny.prototxt@absent.caffemodel", "absent.caffemodel can't be read", WeightsError)
    refused("tiny.prototxt@tiny.h5", "Give one of .caffemodel, .bin, .ckpt, .npz", WeightsError)
    refused("tiny.caffemodel", "holds weights without their network", WeightsError)


# --- descriptions ---


def test_names_can_not_smuggle_code(here: Path) -> None:
    evil = 'forward"), open("ran", "w"), str("'.replace('"', r"\"")
    names = [evil, "class", "train", "graph", "a.b", "__init__"]
    text, bottom = pictures(16), "data"
    for number, name in enumerate(names):
        settings = "convolution_param { num_output: 4 kernel_size: 3 }"
        text += layer(name, "Convolution", bottom, settings, top=f"t{number}")
        bottom = f"t{number}"
    Path("evil.prototxt").write_text(text + linear("fc", bottom, 3))
    backbone = catalog.load_backbone("caffe:evil.prototxt")
    assert len(backbone.stages) == len(names)
    with torch.no_grad():
        Model.of(backbone, nn.Identity()).train()(torch.randn(2, 3, 16, 16))
    assert not Path("ran").exists()
    assert list(backbone.stages)[1:] == ["class_", "train_", "graph_", "a_b", "__init___"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer {", "is not a description of a network"),
        ("layer { name: 3 }", "is not a description of a network"),
        ("layers { type: ROI_POOLING }", "has no value named ROI_POOLING"),
        ("a {" * 5000, "is not a description of a network"),
        ('net: "train.prototxt" base_lr: 0.1', "describes no layers"),
        (
            'layers { layer { name: "c" type: "conv" } bottom: "data" top: "c" }',
            "first format .V0.",
        ),
        ("\0", "is not text"),
        (
            pictures() + layer("loss", "SoftmaxWithLoss", "data label"),
            "computes nothing but losses",
        ),
        (pictures() + convolution("c", "dat", 4, 3), "reads 'dat', which no layer"),
        ('input: "im" ' + pictures() + layer("e", "Eltwise", "data im"), "from 'data', 'im', not"),
        ('input: "data" input_dim: 1 input_dim: 9 ' + linear("fc", "data", 3), "1×9, which are no"),
        (pictures(8, 5) + convolution("c", "data", 4, 3), "channels other than 1 or 3"),
        (
            pictures() + convolution("c", "data", 1 << 40, 3),
            "'c' of type 'Convolution' that can't be",
        ),
        (pictures(1 << 20) + convolution("c", "data", 4, 3), "numbers an item"),
        (pictures() + linear("a", "data", 1 << 22) + linear("b", "a", 5), "parameters"),
        (pictures() + layer("p", "Python", "data") + linear("b", "p", 5), "'p' of type 'Python'"),
        (pictures() + 'layer { name: "x" type: "ReLU" top: "x" }' + linear("b", "x", 5), "nothing"),
    ],
)
def test_descriptions_that_can_not_be_used(text: str, message: str) -> None:
    Path("own.prototxt").write_text(text)
    refused("own.prototxt", message)


def test_descriptions_are_found_and_of_bounded_length(here: Path) -> None:
    refused("absent.prototxt", "absent.prototxt can't be read .No such file")
    refused(".", "is a folder. Write caffe:FILE.prototxt@FILE.caffemodel")
    Path("long.prototxt").write_bytes(b"#" * ((8 << 20) + 1))
    refused("long.prototxt", "is larger than 8 MiB")
    accents = TINY.encode() + b"# r\xe9seau\nunknown_field { deep: 3 }\nanother: WORD\n"
    Path("accents.prototxt").write_bytes(accents)
    assert catalog.load_backbone("caffe:accents.prototxt").feature_dim == 5


def test_protobuf_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("headstart.hubs.caffe.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(HeadstartError, match=r"pip install 'headstart\[caffe\]'"):
        catalog.load_backbone("caffe:tiny.prototxt")
    assert [card.reference for card in catalog.hub("caffe").cards("*")]


# --- fillers ---


def test_random_weights_follow_the_fillers() -> None:
    fillers = {
        "constant": ("value: 0.5", 0.5, 0.0),
        "uniform": ("min: 1 max: 3", 2.0, 1 / np.sqrt(3)),
        "gaussian": ("mean: 1 std: 0.2", 1.0, 0.2),
        "xavier": ("", 0.0, 1 / np.sqrt(48)),
        "msra": ("variance_norm: FAN_OUT", 0.0, np.sqrt(2 / 2000)),
    }
    text, expected = pictures(4), {}
    for number, (kind, (settings, mean, spread)) in enumerate(fillers.items()):
        own = f'weight_filler {{ type: "{kind}" {settings} }} bias_filler {{ value: 0.2 }}'
        product = f"inner_product_param {{ num_output: 2000 {own} }}"
        text += layer(f"x{number}", "InnerProduct", "data", product)
        expected[f"x{number}"] = (mean, spread)
    text += layer("sum", "Eltwise", " ".join(expected))
    text += layer("plain", "InnerProduct", "sum", "inner_product_param { num_output: 40 }")
    Path("own.prototxt").write_text(text + layer("r", "ReLU", "plain"))
    torch.manual_seed(0)
    backbone = catalog.load_backbone("caffe:own.prototxt")
    state = Model.of(backbone, nn.Identity()).backbone_state()
    for name, (mean, spread) in expected.items():
        weight = state[f"{name}.weight"]
        assert float(weight.mean()) == pytest.approx(mean, abs=0.01)
        assert float(weight.std()) == pytest.approx(spread, rel=0.03, abs=1e-6)
        assert state[f"{name}.bias"].eq(0.2).all()
    assert float(state["plain.weight"].std()) == pytest.approx(np.sqrt(2 / 2000), rel=0.03)
    assert state["plain.bias"].eq(0).all()


# --- saved models and the listing ---


def test_a_saved_folder_holds_its_description(here: Path) -> None:
    backbone = load()
    folder = here / "saved"
    model = Model.of(backbone, nn.Linear(5, 2))
    folder.mkdir()
    for name, content in backbone.files.items():
        (folder / name).write_bytes(content)
    state = model.backbone_state() | {f"fc.{n}": t for n, t in model.head.state_dict().items()}
    save(state, folder / "model.safetensors", {})
    options = str(backbone.architecture).partition("?")[2]
    Path("tiny.prototxt").unlink()
    again = catalog.load_backbone(f"caffe:{folder}@{folder}/model.safetensors?{options}")
    assert again.origin.weights_hash == backbone.origin.weights_hash
    assert again.preprocess == backbone.preprocess
    assert again.head is not None
    assert torch.equal(again.head.weight, model.head.weight)  # type: ignore[arg-type]


def test_the_listing_pairs_descriptions_with_weights(here: Path) -> None:
    Path("solver.prototxt").write_text('net: "tiny.prototxt"\n')
    Path("old.prototxt").write_text(old_format(TINY) + pool("p", "fc"))
    caffemodel(Path("iter_100.caffemodel"), TINY_BLOBS)
    cards = [card.reference for card in catalog.hub("caffe").cards("*")]
    assert cards == [
        "caffe:old.prototxt@iter_100.caffemodel",
        "caffe:old.prototxt@tiny.caffemodel",
        "caffe:tiny.prototxt@tiny.caffemodel",
    ]
    assert next(iter(catalog.hub("caffe").cards("tiny*"))).at_hand
    for weights in here.glob("*.caffemodel"):
        weights.unlink()
    assert [card.reference for card in catalog.hub("caffe").cards("t*")] == ["caffe:tiny.prototxt"]
