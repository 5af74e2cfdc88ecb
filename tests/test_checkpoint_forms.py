"""Every form of a checkpoint that is read: which tensors are read of it, and what is said.

The table in docs/backbones.md is these tests' outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trained_checkpoints as trained
from document_tables import Form, check_names, check_row, outcome
from safetensors.torch import save_file
from tiny_checkpoints import PAGE, STATES, load, recognised, saved

from headstart.errors import WeightsError
from headstart.loading.weights import read


def in_tensors(name: str) -> Callable[[Path], Path]:
    """The raw weights as safetensors, whatever the file is called."""

    def write(folder: Path) -> Path:
        save_file(STATES["raw"], folder / name)
        return folder / name

    return write


def in_arrays(folder: Path) -> Path:
    """The raw weights as arrays of NumPy, under their own names."""
    arrays: dict[str, Any] = {name: t.numpy() for name, t in STATES["raw"].items()}
    np.savez(folder / "w.npz", **arrays)
    return folder / "w.npz"


BESIDE = r"( What data/w\.ckpt holds beside the network is left out: \w+(, \w+)*\.)?"
READ_RAW = r"read: the raw weights and their head of 7 classes\." + BESIDE
READ_AVERAGED = (
    r"read: the averaged weights and their head of 7 classes\. .* holds averaged weights \(.*\), "
    r"which are used; ema=false takes the raw ones\." + BESIDE
)
plain = trained.RAW["a plain state dict"]
NAMES = [
    *(
        Form(f"`{name}`", saved(name, plain), READ_RAW)
        for name in ("w.pth", "w.pth.tar", "w.ckpt", "w.bin", "w.th", "w.pt", "w.pkl")
    ),
    Form("a name without suffix", saved("weights", plain), READ_RAW),
    Form(
        "torch's form before 1.6",
        saved("w.pth", plain, _use_new_zipfile_serialization=False),
        READ_RAW,
    ),
    Form("safetensors under any name", in_tensors("w.bin"), READ_RAW),
    Form("`w.npz` of `numpy.savez`", in_arrays, READ_RAW),
    Form(
        "an index of several files, `*.index.json`",
        lambda folder: trained.shards(folder, STATES["raw"]),
        READ_RAW,
    ),
    Form(
        "a folder with `model.safetensors` or `pytorch_model.bin`",
        lambda folder: in_tensors("model.safetensors")(folder).parent,
        READ_RAW,
    ),
]
FORMS = [
    *NAMES,
    *(
        Form(name, saved("w.ckpt", wrap), READ_RAW)
        for name, wrap in trained.RAW.items()
        if name != "a plain state dict"
    ),
    *(Form(name, saved("w.ckpt", wrap), READ_AVERAGED) for name, wrap in trained.AVERAGED.items()),
    Form(
        "a head of several layers: `fc.0.`, `fc.3.`",
        saved(
            "w.pth",
            lambda raw, ema, head: {
                **trained.without(raw, "fc."),
                "fc.0.weight": torch.ones(4, 128),
                "fc.3.weight": torch.ones(7, 4),
            },
        ),
        r"read: the raw weights, without a head\. The head in .*w\.pth \(fc\.0\.weight, "
        r"fc\.3\.weight\) is not one linear layer of \d+ features, so it is left out\.",
    ),
    Form(
        "no head",
        saved("w.pth", lambda raw, ema, head: trained.without(raw, "fc.")),
        r"read: the raw weights, without a head\.",
    ),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_form_is_read(form: Form, tmp_path: Path) -> None:
    check_row(PAGE, "checkpoints read", form, outcome(form, tmp_path / "data", recognised))


def test_the_page_has_every_form_in_order() -> None:
    check_names(PAGE, "checkpoints read", FORMS)


@pytest.mark.parametrize("form", trained.AVERAGED)
def test_raw_weights_are_taken_where_asked_for(form: str, tmp_path: Path) -> None:
    path = saved("w.pth", trained.AVERAGED[form])(tmp_path)
    assert recognised(path, "&ema=false").startswith("read: the raw weights")


def test_averaged_weights_alone_are_no_raw_ones(tmp_path: Path) -> None:
    path = saved("w.pth", lambda raw, ema, head: {"state_dict_ema": ema})(tmp_path)
    assert recognised(path) == "read: the averaged weights and their head of 7 classes."
    with pytest.raises(WeightsError, match=r"averaged weights alone \(state_dict_ema\), no raw"):
        load(path, "&ema=false")


@pytest.mark.parametrize("kind", [torch.half, torch.bfloat16])
def test_half_numbers_become_whole_ones(kind: torch.dtype, tmp_path: Path) -> None:
    state = {n: t.to(kind) if t.is_floating_point() else t for n, t in STATES["raw"].items()}
    torch.save(state, tmp_path / "w.pth")
    backbone = load(tmp_path / "w.pth")
    assert backbone.head is not None
    assert torch.equal(backbone.head.weight, state["fc.weight"].float())  # type: ignore[arg-type]
    for stage in backbone.prefix():
        assert all(parameter.dtype is torch.float32 for parameter in stage.parameters())


def test_weights_saved_on_a_gpu_are_read_without_one(shared_data: Path) -> None:
    folder = shared_data / "weights"
    for path in (folder / "detection").glob("*.pth"):
        assert all(tensor.device.type == "cpu" for tensor in read(path).state.values())
    names = read(folder / "cifar10_resnet32-d509ac18.th").state
    assert not any(name.startswith("module.") for name in names)
