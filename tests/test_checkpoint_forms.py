"""Every form of a checkpoint: which tensors are read of it, or the sentence that refuses it.

The tables in docs/backbones.md are these tests' outcomes.
"""

from __future__ import annotations

import gzip
import io
import pickle
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import trained_checkpoints as trained
from document_tables import Form, check_names, check_row, outcome
from safetensors.torch import save_file
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.errors import WeightsError
from headstart.model import Model
from headstart.weights import read

PAGE = Path(__file__).resolve().parents[1] / "docs" / "backbones.md"
NAME = "test_resnet"
CLASSES = 7


def network(seed: int, **more: Any) -> nn.Module:
    """A tiny network of timm with random weights and statistics."""
    torch.manual_seed(seed)
    made: nn.Module = timm.create_model(NAME, num_classes=CLASSES, **more)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
    return made.eval()


SAVED: dict[str, Any] = {"raw": network(1), "averaged": network(2)}
STATES = {name: dict(made.state_dict()) for name, made in SAVED.items()}
PICTURES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def answers(backbone: Backbone, head: bool = True) -> Tensor:
    """What the backbone gives for two pictures, under its own head or without."""
    own = backbone.head if head and backbone.head is not None else nn.Identity()
    with torch.no_grad():
        answered: Tensor = Model(backbone.stages, own).eval()(PICTURES)
    return answered


def load(path: Path, options: str = "") -> Backbone:
    """The tiny network with these weights."""
    return catalog.load_backbone(f"timm:{NAME}@{path}?size=32{options}")


def recognised(path: Path, options: str = "") -> str:
    """Which network's weights were read, by what they answer, and what was said of it."""
    backbone = load(path, options)
    pooled = {
        name: made.forward_head(made.forward_features(PICTURES), pre_logits=True)
        for name, made in SAVED.items()
    }
    body = [n for n, f in pooled.items() if torch.allclose(answers(backbone, False), f, atol=1e-5)]
    assert len(body) == 1, "neither network's answers"
    said = f"read: the {body[0]} weights"
    if backbone.head is None:
        said += ", without a head"
    else:
        assert torch.allclose(answers(backbone), SAVED[body[0]](PICTURES), atol=1e-5)
        said += f" and their head of {CLASSES} classes"
    return " ".join([f"{said}.", *backbone.notes])


def saved(name: str, wrap: trained.Wrap, **more: Any) -> Callable[[Path], Path]:
    """Save what `wrap` makes of the two networks."""

    def write(folder: Path) -> Path:
        torch.save(wrap(STATES["raw"], STATES["averaged"], "fc"), folder / name, **more)
        return folder / name

    return write


def bytes_of(name: str, content: bytes) -> Callable[[Path], Path]:
    """A file with this content."""

    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def in_tensors(name: str) -> Callable[[Path], Path]:
    """The raw weights as safetensors, whatever the file is called."""

    def write(folder: Path) -> Path:
        save_file(STATES["raw"], folder / name)
        return folder / name

    return write


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


def script(folder: Path) -> Path:
    """A TorchScript program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still what people have
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), folder / "w.pt")
    return folder / "w.pt"


def exported(folder: Path) -> Path:
    """A program of torch.export."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),))
        torch.export.save(program, folder / "w.pt2")
    return folder / "w.pt2"


def quantised(raw: Any, ema: Any, head: str) -> Any:
    """A tensor in whole numbers with a scale."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"conv1.weight": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}


def parts_of_torch(folder: Path) -> Path:
    """A folder as torch.distributed.checkpoint writes it."""
    (folder / "__0_0.distcp").write_bytes(b"")
    return folder


def tar_of(folder: Path) -> Path:
    """A folder packed by tar."""
    with tarfile.open(folder / "w.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("run/w.pth"), io.BytesIO())
    return folder / "w.tar"


def zip_of(folder: Path) -> Path:
    """A folder packed by zip."""
    with zipfile.ZipFile(folder / "w.zip", "w") as archive:
        archive.writestr("run/w.pth", b"")
    return folder / "w.zip"


def arrays(folder: Path) -> Path:
    """Arrays of NumPy."""
    np.savez(folder / "w.npz", weight=np.ones(3))
    return folder / "w.npz"


def cut(folder: Path) -> Path:
    """A download that broke off."""
    path = saved("w.pth", plain)(folder)
    path.write_bytes(path.read_bytes()[:20_000])
    return path


REFUSED = [
    Form("TorchScript", script, r"refused: .*w\.pt is a TorchScript program, .*"),
    Form("torch.export", exported, r"refused: .*w\.pt2 is a program of torch\.export, .*"),
    Form(
        "a whole network, pickled",
        saved("w.pth", lambda raw, ema, head: nn.Linear(2, 2)),
        r"refused: .*w\.pth wants to run code when opened .*, as it holds a whole network in Python .*",
    ),
    Form(
        "an object of another class beside the tensors",
        saved("w.pth", lambda raw, ema, head: {"state_dict": raw, "config": Form}),
        r"refused: .*w\.pth wants to run code when opened \(document_tables\.Form\), .*",
    ),
    Form(
        "a plain pickle",
        bytes_of("w.pkl", pickle.dumps({"conv1.weight": [1.0]})),
        r"refused: .*w\.pkl is a plain pickle, .*",
    ),
    Form(
        "another pickle protocol",
        saved("w.pth", plain, pickle_protocol=4),
        r"refused: .*w\.pth is pickled by another protocol .* without pickle_protocol\.",
    ),
    Form(
        "torch's tar format of 2016",
        lambda folder: trained.old_tar(folder / "w.tar"),
        r"refused: .*w\.tar is in the tar format that torch wrote before 2018.*",
    ),
    Form("a tar archive", tar_of, r"refused: .*w\.tar is a tar archive, .* Unpack it.*"),
    Form("a zip archive", zip_of, r"refused: .*w\.zip is a zip archive, .* Unpack it.*"),
    Form(
        "gzip",
        bytes_of("w.pth.gz", gzip.compress(b"weights", mtime=0)),
        r"refused: .*w\.pth\.gz is compressed by gzip, .*",
    ),
    Form("NumPy's `.npz`", arrays, r"refused: .*w\.npz is an archive of NumPy arrays, .*"),
    Form("HDF5", bytes_of("w.h5", b"\x89HDF\r\n\x1a\n"), r"refused: .*w\.h5 is an HDF5 file, .*"),
    Form(
        "ONNX", bytes_of("w.onnx", b"\x08\x08\x12"), r"refused: .*w\.onnx is a graph, .* graph:.*"
    ),
    Form(
        "a pointer of Git LFS",
        bytes_of("w.pth", b"version https://git-lfs.github.com/spec/v1\n"),
        r"refused: .*w\.pth is a pointer of Git LFS, .* git lfs pull\.",
    ),
    Form(
        "a web page",
        bytes_of("w.pth", b"<!DOCTYPE html><html>"),
        r"refused: .*w\.pth is a web page, .*",
    ),
    Form(
        "an empty file", bytes_of("w.pth", b""), r"refused: .*w\.pth is not a file of weights, .*"
    ),
    Form("a file that is cut short", cut, r"refused: .*w\.pth can't be read as a state dict\. .*"),
    Form(
        "quantised tensors",
        saved("w.pth", quantised),
        r"refused: .*w\.pth holds quantised tensors, such as conv1\.weight\. .*",
    ),
    Form(
        "whole numbers for weights",
        saved("w.pth", lambda raw, ema, head: {n: t.to(torch.int8) for n, t in raw.items()}),
        r"refused: .*w\.pth does not fit the network: \d+ not real numbers: conv1\.0\.weight .*",
    ),
    Form(
        "tensors without values (meta)",
        saved("w.pth", lambda raw, ema, head: {n: t.to("meta") for n, t in raw.items()}),
        r"refused: .*w\.pth holds tensors without values \(on the device meta\), .*",
    ),
    Form(
        "tensors larger than their file",
        saved("w.pth", lambda raw, ema, head: {"fc.weight": torch.ones(1).expand(10**6, 10**3)}),
        r"refused: .*w\.pth holds fc\.weight, 1000000×1000, which is larger than the file\. .*",
    ),
    Form(
        "several networks: `generator`, `discriminator`",
        saved("w.pth", lambda raw, ema, head: {"generator": raw, "discriminator": ema}),
        r"refused: .*w\.pth holds several networks: generator, discriminator\. .*",
    ),
    Form(
        "a folder of torch.distributed",
        parts_of_torch,
        r"refused: data is a checkpoint in parts, of torch\.distributed\. .* dcp_to_torch .*",
    ),
    Form(
        "tensors that miss",
        saved("w.pth", lambda raw, ema, head: trained.without(raw, "conv1")),
        r"refused: .*w\.pth does not fit the network: \d+ missing: conv1\.0\.weight .* more\. .*",
    ),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_form_is_read(form: Form, tmp_path: Path) -> None:
    check_row(PAGE, "checkpoints read", form, outcome(form, tmp_path / "data", recognised))


@pytest.mark.parametrize("form", REFUSED, ids=lambda form: form.name)
def test_form_is_refused(form: Form, tmp_path: Path) -> None:
    check_row(PAGE, "checkpoints refused", form, outcome(form, tmp_path / "data", recognised))


def test_the_page_has_every_form_in_order() -> None:
    check_names(PAGE, "checkpoints read", FORMS)
    check_names(PAGE, "checkpoints refused", REFUSED)


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
    for stage in backbone.stages.values():
        assert all(parameter.dtype is torch.float32 for parameter in stage.parameters())


def test_weights_saved_on_a_gpu_are_read_without_one(shared_data: Path) -> None:
    folder = shared_data / "weights"
    for path in (folder / "detection").glob("*.pth"):
        assert all(tensor.device.type == "cpu" for tensor in read(path).state.values())
    names = read(folder / "cifar10_resnet32-d509ac18.th").state
    assert not any(name.startswith("module.") for name in names)


PARTED = """
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from headstart.weights import read

distributed.init_process_group("fake", rank=0, world_size=1, store=FakeStore())
mesh = init_device_mesh("cpu", (1,))
torch.save({"weight": distribute_tensor(torch.ones(4, 4), mesh, [Shard(0)])}, "w.pth")
try:
    read("w.pth")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_parted_tensors_are_refused_whether_or_not_torch_could_read_them(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PARTED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("WeightsError w.pth holds tensors that are parted"), done.stdout
    with pytest.raises(WeightsError, match=r"w\.pth holds tensors that are parted"):
        read(tmp_path / "w.pth")


def test_settings_beside_the_tensors_are_never_called(tmp_path: Path) -> None:
    """Classes by allowed names, in a pickle that calls them, leave nothing behind."""
    ran = tmp_path / "ran"
    calls = {
        "pathlib": b"cpathlib\nPosixPath\n",
        "namespace": b"cargparse\nNamespace\n",
        "numpy": b"cnumpy\ndtype\n",
        "eval": b"c__builtin__\neval\n",
        "getattr": b"c__builtin__\ngetattr\n",
        "mkdir": b"cos\nmkdir\n",
        "partial": b"cfunctools\npartial\n",
    }
    for name, callee in calls.items():
        text = f"__import__('os').mkdir({str(ran)!r})".encode()
        pickled = b"\x80\x02" + callee + b"X" + len(text).to_bytes(4, "little") + text + b"\x85R."
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("w/data.pkl", pickled)
            archive.writestr("w/version", b"3\n")
            archive.writestr("w/byteorder", b"little")
        path = tmp_path / f"{name}.pth"
        path.write_bytes(buffer.getvalue())
        with pytest.raises(WeightsError, match=rf"{name}\.pth (wants to run code|holds no tens)"):
            read(path)
        assert not ran.exists()
    left = [item for item in torch.serialization.get_safe_globals() if isinstance(item, tuple)]
    assert not any(name == "argparse.Namespace" for _, name in left)
