"""Every form of a checkpoint that is refused, and with which sentence; nothing in it is run.

The table in docs/backbones.md is these tests' outcomes.
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
import torch
import trained_checkpoints as trained
from document_tables import Form, check_names, check_row, outcome
from tiny_checkpoints import PAGE, recognised, saved
from torch import nn

from headstart.errors import WeightsError
from headstart.loading.weights import read

plain = trained.RAW["a plain state dict"]


def bytes_of(name: str, content: bytes) -> Callable[[Path], Path]:
    """A file with this content."""

    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


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


def array(folder: Path) -> Path:
    """A single array of NumPy."""
    np.save(folder / "w.npy", np.ones(3))
    return folder / "w.npy"


def objects(folder: Path) -> Path:
    """Arrays of NumPy that hold objects, which it pickles."""
    np.savez(folder / "w.npz", params=np.array([{"kernel": 1.0}], dtype=object))
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
        r"refused: .*w\.pth wants to run code when opened .*, as it holds a whole network .*",
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
    Form("NumPy's `.npy`", array, r"refused: .*w\.npy is a single array of NumPy, .*savez.*"),
    Form(
        "NumPy's `.npz` with objects",
        objects,
        r"refused: .*w\.npz holds Python objects \(params\), .*",
    ),
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


@pytest.mark.parametrize("form", REFUSED, ids=lambda form: form.name)
def test_form_is_refused(form: Form, tmp_path: Path) -> None:
    check_row(PAGE, "checkpoints refused", form, outcome(form, tmp_path / "data", recognised))


def test_the_page_has_every_form_in_order() -> None:
    check_names(PAGE, "checkpoints refused", REFUSED)


PARTED = """
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from headstart.loading.weights import read

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
    allowed_pairs = [
        item for item in torch.serialization.get_safe_globals() if isinstance(item, tuple)
    ]
    assert not any(name == "argparse.Namespace" for _, name in allowed_pairs)


def test_mappings_that_hold_themselves_are_refused(tmp_path: Path) -> None:
    """Also many that hold one another: none is looked at twice."""
    layers: list[dict[str, Any]] = [{str(key): torch.tensor(1.0) for key in range(100)}]
    for _ in range(8):
        layers.append({name: layers[-1] for name in [*map(str, range(100)), "model", "ema"]})
    layers[0]["state"] = layers[-1]
    torch.save(layers[-1], tmp_path / "round.pth")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        read(tmp_path / "round.pth")


def test_a_file_of_countless_tensors_is_refused(tmp_path: Path) -> None:
    entry = '"dtype":"F32","shape":[0],"data_offsets":[0,0]'
    header = "{" + ",".join(f'"{number}":{{{entry}}}' for number in range(70_000)) + "}"
    content = len(header).to_bytes(8, "little") + header.encode()
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="holds 70,000 tensors, more than any network has"):
        read(tmp_path / "w.safetensors")
