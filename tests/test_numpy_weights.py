"""Weights in archives of NumPy arrays: under torch's names, under JAX's, and broken."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from headstart import catalog
from headstart.errors import WeightsError
from headstart.loading import weights

_VIT = "test_vit"


def network(seed: int = 3) -> Any:
    torch.manual_seed(seed)
    return timm.create_model(_VIT, num_classes=5).eval()


def jax_arrays(model: Any, prefix: str = "") -> dict[str, Any]:
    """A vision transformer's tensors as Google's JAX code names and turns them."""
    own = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    heads = model.blocks[0].attn.num_heads
    dim = own["cls_token"].shape[-1]
    arrays = {
        "embedding/kernel": own["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": own["patch_embed.proj.bias"],
        "cls": own["cls_token"],
        "Transformer/posembed_input/pos_embedding": own["pos_embed"],
        "Transformer/encoder_norm/scale": own["norm.weight"],
        "Transformer/encoder_norm/bias": own["norm.bias"],
        "head/kernel": own["head.weight"].T,
        "head/bias": own["head.bias"],
    }
    for n in range(len(model.blocks)):
        block, jax = f"blocks.{n}", f"Transformer/encoderblock_{n}"
        weight, bias = own[f"{block}.attn.qkv.weight"], own[f"{block}.attn.qkv.bias"]
        for part, name in enumerate(("query", "key", "value")):
            rows = slice(part * dim, (part + 1) * dim)
            inner = f"{jax}/MultiHeadDotProductAttention_1/{name}"
            arrays[f"{inner}/kernel"] = weight[rows].T.reshape(dim, heads, -1)
            arrays[f"{inner}/bias"] = bias[rows].reshape(heads, -1)
        out = f"{jax}/MultiHeadDotProductAttention_1/out"
        arrays[f"{out}/kernel"] = own[f"{block}.attn.proj.weight"].T.reshape(heads, -1, dim)
        arrays[f"{out}/bias"] = own[f"{block}.attn.proj.bias"]
        for norm, name in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            arrays[f"{jax}/{name}/scale"] = own[f"{block}.{norm}.weight"]
            arrays[f"{jax}/{name}/bias"] = own[f"{block}.{norm}.bias"]
        for layer in (1, 2):
            dense = f"{jax}/MlpBlock_3/Dense_{layer - 1}"
            arrays[f"{dense}/kernel"] = own[f"{block}.mlp.fc{layer}.weight"].T
            arrays[f"{dense}/bias"] = own[f"{block}.mlp.fc{layer}.bias"]
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def jax_resnet(model: Any) -> dict[str, Any]:
    """The same of a ResNet of BiT."""
    own = {name: tensor.numpy() for name, tensor in model.state_dict().items()}

    def turned(name: str) -> Any:
        return own[f"{name}.weight"].transpose(2, 3, 1, 0)

    arrays = {"root_block/standardized_conv2d/kernel": turned("stem.conv")}
    arrays |= {"head/conv2d/kernel": turned("head.fc"), "head/conv2d/bias": own["head.fc.bias"]}
    norms = {"group_norm": "norm"}
    for i, stage in enumerate(model.stages):
        for j in range(len(stage.blocks)):
            block, jax = f"stages.{i}.blocks.{j}", f"block{i + 1}/unit{j + 1:02d}"
            for number, part in enumerate("abc", start=1):
                arrays[f"{jax}/{part}/standardized_conv2d/kernel"] = turned(f"{block}.conv{number}")
                norms[f"{jax}/{part}/group_norm"] = f"{block}.norm{number}"
            if stage.blocks[j].downsample is not None:
                arrays[f"{jax}/a/proj/standardized_conv2d/kernel"] = turned(
                    f"{block}.downsample.conv"
                )
    for jax, norm in norms.items():
        arrays |= {f"{jax}/gamma": own[f"{norm}.weight"], f"{jax}/beta": own[f"{norm}.bias"]}
    return {f"resnet/{name}": array for name, array in arrays.items()}


@pytest.mark.slow
def test_a_resnet_of_bit_is_read_alike_under_both_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model: Any = timm.create_model("resnetv2_50x1_bit", num_classes=7).eval()
    own = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    for name, arrays in (("torch", own), ("jax", jax_resnet(model))):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    one, other = (
        catalog.load_backbone(f"timm:resnetv2_50x1_bit@{tmp_path / name}.npz")
        for name in ("torch", "jax")
    )
    assert one.origin.weights_hash == other.origin.weights_hash
    assert (one.head is None) == (other.head is None)
    pictures = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = torch.nn.Sequential(*other.stages.values())(pictures)
        expected = model.forward_head(model.forward_features(pictures), pre_logits=True)
    assert torch.allclose(features, expected, atol=1e-5)


def answers(file: Path) -> torch.Tensor:
    backbone = catalog.load_backbone(f"timm:{_VIT}@{file}")
    pictures = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = torch.nn.Sequential(*backbone.stages.values())(pictures)
        return torch.cat([features, backbone.head(features)], 1)  # type: ignore[misc]


def expected(model: Any) -> torch.Tensor:
    pictures = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model.forward_features(pictures)
        return torch.cat([model.forward_head(whole, pre_logits=True), model(pictures)], 1)


@pytest.mark.parametrize(
    "kind", ["torch", "jax", "jax below opt/target", "compressed", "halves", "big-endian"]
)
def test_arrays_are_read_under_both_names(tmp_path: Path, kind: str) -> None:
    model, file = network(), tmp_path / "w.npz"
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    if kind.startswith("jax"):
        arrays = jax_arrays(model, "opt/target/" if "opt" in kind else "")
    if kind == "halves":
        arrays = {n: t.half().numpy() for n, t in model.half().state_dict().items()}
        model.float()
    if kind == "big-endian":
        arrays = {name: array.astype(">f4") for name, array in arrays.items()}
    (np.savez_compressed if kind == "compressed" else np.savez)(file, **arrays)
    assert torch.allclose(answers(file), expected(model), atol=1e-5)


def test_numbers_that_numpy_does_not_know(tmp_path: Path) -> None:
    """bfloat16, as JAX saves it."""
    values = torch.randn(3, 4).bfloat16()
    raw = values.view(torch.int16).numpy().view("V2")
    np.savez(tmp_path / "w.npz", weight=raw, note=np.array("text"), one=np.float64(2))
    state = weights.read(tmp_path / "w.npz").state
    assert torch.equal(state["weight"], values) and state["one"].item() == 2
    assert set(state) == {"weight", "one"} and state["one"].shape == ()


def test_a_deeper_network_is_not_cut_in_silence(tmp_path: Path) -> None:
    arrays = jax_arrays(network())
    deeper = {n.replace("block_0", "block_6"): a for n, a in arrays.items() if "block_0" in n}
    np.savez(tmp_path / "w.npz", **arrays, **deeper)
    with pytest.raises(WeightsError, match="does not fit the network"):
        answers(tmp_path / "w.npz")


def bomb(path: Path) -> None:
    """An archive of a few kilobytes that becomes 64 MiB of zeros."""
    np.savez_compressed(path, weight=np.zeros((1 << 24,), np.float32))


def objects(path: Path) -> None:
    np.savez(path, weight=np.array([{"a": 1}], dtype=object))


def promises(path: Path) -> None:
    """A header that says more numbers than there are."""
    np.savez(path, weight=np.zeros(9, np.float32))
    with zipfile.ZipFile(path) as archive:
        inner = archive.read("weight.npy").replace(b"(9,), }    ", b"(9999,), } ")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight.npy", inner)


def cut(path: Path) -> None:
    np.savez(path, weight=np.zeros(999, np.float32))
    content = bytearray(path.read_bytes())
    content[200:900] = bytes(700)[:-1] + b"x"
    path.write_bytes(content)


def overwritten(path: Path) -> None:
    np.savez_compressed(path, weight=np.arange(999, dtype=np.float32))
    content = bytearray(path.read_bytes())
    content[100:120] = b"\xff" * 20
    path.write_bytes(content)


def locked(path: Path) -> None:
    np.savez(path, weight=np.zeros(9, np.float32))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def unclosed(path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight.npy", b"\x93NUMPY\x01\x00" + bytes([len(header), 0]) + header)


def texts(path: Path) -> None:
    np.savez(path, names=np.array(["a", "b"]))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (bomb, r"holds 1 arrays of [0-9,]+ bytes, far more than such a file of weights has\."),
        (objects, r"holds Python objects \(weight\), which only code that runs could open\."),
        (promises, r"is not a whole archive of NumPy arrays \(an array is not as long as its "),
        (cut, r"is not a whole archive of NumPy arrays \(Bad CRC-32"),
        (overwritten, r"is not a whole archive of NumPy arrays \(Error -3 while decompressing"),
        (locked, r"is not a whole archive of NumPy arrays \(File .* is encrypted"),
        (unclosed, r"is not a whole archive of NumPy arrays \("),
        (texts, r"holds no array of numbers\. Save them by numpy\.savez"),
    ],
)
def test_what_is_broken_is_refused(tmp_path: Path, write: Any, message: str) -> None:
    write(tmp_path / "w.npz")
    with pytest.raises(WeightsError, match=message):
        weights.read(tmp_path / "w.npz")


def test_other_hubs_say_what_misses(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **jax_arrays(network()))
    with pytest.raises(WeightsError, match=r"w\.npz does not fit the network: \d+ "):
        catalog.load_backbone(f"torchvision:resnet18@{tmp_path / 'w.npz'}")
    with pytest.raises(WeightsError, match="holds weights without their network"):
        catalog.load_backbone(f"file:{tmp_path / 'w.npz'}")
