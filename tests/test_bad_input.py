"""Bad input: one clear sentence, exit code 2, nothing lost."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Fitted, write_pictures
from huggingface_hub import constants
from told import run, snapshot

from headstart import catalog
from headstart.loading import weights

TINY = "seeded:convnet"


def picture_of(kind: str, folder: Path) -> Path:
    """A file that is called a picture and is none."""
    good = write_pictures(folder / "good", {"ants": 1}, size=64) / "ants" / "000.png"
    path = folder / f"{kind}.jpg"
    if kind == "text":
        path.write_text("not a picture at all")
    elif kind == "empty":
        path.touch()
    else:
        from PIL import Image

        Image.open(good).save(path)
        path.write_bytes(path.read_bytes()[:700])
    shutil.rmtree(folder / "good")
    return path


Make = Callable[[Path], Path]


def empty_folder(root: Path) -> Path:
    root.mkdir()
    return root


def one_class(root: Path) -> Path:
    return write_pictures(root, {"ants": 8})


def one_file(root: Path) -> Path:
    return write_pictures(root, {"ants": 8, "bees": 1})


def empty_class(root: Path) -> Path:
    (write_pictures(root, {"ants": 8, "bees": 8}) / "cats").mkdir()
    return root


def loose_files(root: Path) -> Path:
    for path in (write_pictures(root, {"ants": 8}) / "ants").iterdir():
        path.rename(root / path.name)
    (root / "ants").rmdir()
    return root


def no_label_column(root: Path) -> Path:
    write_pictures(root, {"ants": 4})
    (root / "list.csv").write_text("image,height,width\nants/000.png,3,4\nants/001.png,5,6\n")
    return root / "list.csv"


def only(kind: str) -> Make:
    """Data in which all files of one class are bad."""

    def make(root: Path) -> Path:
        write_pictures(root, {"ants": 8})
        (root / "bees").mkdir()
        bad = picture_of(kind, root)
        for number in range(3):
            shutil.copy(bad, root / "bees" / f"{number}.jpg")
        bad.unlink()
        return root

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty_folder, "Make one folder per class, or give a manifest"),
        (
            one_class,
            "has only one class, 'ants', as its files lie in one folder. Make one folder per class",
        ),
        (one_file, "Class 'bees' in {data} has only one usable item. Give at least two."),
        (empty_class, "Folder 'cats' in {data} holds no item of its class."),
        (loose_files, "holds files but no folder of a class."),
        (no_label_column, "label"),
        (only("text"), "Class 'bees' in {data} has no usable item left: none could be read."),
        (only("empty"), "Class 'bees' in {data} has no usable item left: none could be read."),
        (only("torn"), "Class 'bees' in {data} has no usable item left: none could be read."),
    ],
)
@pytest.mark.parametrize("command", ["fit", "pretrain"])
def test_data_that_nothing_can_be_learned_from(
    command: str, make: Make, words: str, tmp_path: Path
) -> None:
    data = make(tmp_path / "data")
    before = snapshot(tmp_path)
    sentence = run(command, data, "-b", TINY, "-o", tmp_path / "out" / "model").sentence()
    assert words.format(data=data) in sentence
    assert str(data) in sentence
    assert snapshot(tmp_path) == before
    assert not list((tmp_path / "out").iterdir())


def test_bad_files_among_good_ones_are_listed(fitted: Fitted, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 3, "bees": 3})
    bad = [picture_of(kind, data / "ants") for kind in ("text", "empty", "torn")]
    done = run("evaluate", fitted.folder, data, "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)["data"]
    assert (result["items"], result["skipped"]) == (6, 3)
    reasons = dict(result["skipped_items"])
    assert reasons.keys() == {f"ants/{path.name}" for path in bad}
    assert all(reasons.values())


@pytest.mark.parametrize("kind", ["text", "empty", "torn"])
def test_predicting_for_what_is_no_picture(kind: str, fitted: Fitted, tmp_path: Path) -> None:
    bad, good = picture_of(kind, tmp_path), fitted.pictures / "ants" / "000.png"
    assert run("predict", fitted.folder, bad).sentence().startswith(f"{bad} can't be used: ")
    done = run("predict", fitted.folder, good, bad, "--json")
    right, wrong = json.loads(done.stdout)["predictions"]
    assert (done.exit_code, wrong["path"]) == (2, str(bad))
    assert wrong["error"] and right["label"] in ("ants", "bees")


def test_predicting_and_evaluating_without_input(fitted: Fitted, tmp_path: Path) -> None:
    model = fitted.folder
    (tmp_path / "void").mkdir()
    strangers = write_pictures(tmp_path / "strangers", {"ants": 2, "cats": 2})
    (tmp_path / "list.csv").write_text("image,height,width\nstrangers/ants/000.png,3,4\n")
    for arguments, words in (
        (("predict", model, tmp_path / "gone.jpg"), "gone.jpg can't be used: it does not exist"),
        (("predict", model, tmp_path / "void"), "holds no file to predict on"),
        (("predict", tmp_path / "void", tmp_path), "is not a saved model"),
        (("predict", tmp_path / "gone", tmp_path), "is not a saved model"),
        (("evaluate", model, tmp_path / "gone"), "does not exist"),
        (("evaluate", model, tmp_path / "void"), "holds no items"),
        (("evaluate", model, strangers), "has the label 'cats', which is not one of 'ants'"),
        (("evaluate", model, tmp_path / "list.csv"), "label"),
        (("evaluate", model, tmp_path / "list.csv", "--label", "kind"), "kind"),
        (("evaluate", tmp_path / "void", strangers), "is not a saved model"),
    ):
        assert words in run(*arguments).sentence()


@pytest.mark.parametrize("name", ["headstart.json", "model.safetensors"])
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_torn_model(name: str, command: str, fitted: Fitted, tmp_path: Path) -> None:
    model = Path(shutil.copytree(fitted.folder, tmp_path / "model"))
    (model / name).write_bytes((model / name).read_bytes()[:-9])
    assert str(model / name) in run(command, model, fitted.pictures).sentence()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-b", "seeded:convnett"], "Did you mean 'convnet'?"),
        (["-b", "seedet:convnet"], "Hub 'seedet' is not known. Did you mean 'seeded'?"),
        (["-b", "convnet"], "is not a backbone reference. Write hub:name"),
        (["-b", "timm:resnet18000"], "Did you mean 'resnet18"),
        (["-b", f"{TINY}?sise=32"], "has no option 'sise'"),
        (["-b", f"{TINY}?size=31"], "not a multiple of 4"),
        (["-b", f"{TINY}@gone.safetensors"], "gone.safetensors is not a file"),
        (["-b", "checkpoint:gone"], "gone is not a folder"),
        (["-b", TINY, "-s", "full-finetuning"], "Did you mean 'full-fine-tuning'"),
        (["-b", TINY, "-s", "last-stages?cuont=1"], "has no option 'cuont'"),
        (["-b", TINY, "-s", "last-stages?count=two"], "'two' is not a number"),
        (["-b", TINY, "--device", "abacus"], "abacus"),
        (["-b", TINY, "--precision", "int1"], "int1"),
        (["-b", TINY, "--augment", "maybe"], "maybe"),
        (["-b", TINY, "--class-weights", "heavy"], "heavy"),
        (["-b", TINY, "--epochs", "0"], "epochs 0 is too small"),
        (["-b", TINY, "--batch-size", "-1"], "batch_size -1 is too small"),
        (["-b", TINY, "--learning-rate", "0"], "learning_rate 0"),
        (["-b", TINY, "--learning-rate", "nan"], "learning_rate nan"),
        (["-b", TINY, "--seed", "-5"], "seed -5 is too small"),
        (["-b", TINY, "--seed", "9" * 30], f"seed {'9' * 30} is too large"),
        (["-b", f"seeded:convnet?seed={'9' * 30}"], "has a seed that is too large"),
        (["-b", "seeded:convnet?size=100000"], "has a size above 1024"),
        (["-b", TINY, "-s", "lora?rank=1000000000"], "lora?rank=1e+09 can't be"),
        (["-b", TINY, "--budget", "soon"], "'soon' is not a duration"),
        (["-b", TINY, "--budget", "0s"], "'0s' leaves no time"),
    ],
)
def test_names_and_numbers_that_cannot_be(
    arguments: list[str], words: str, pictures: Path, tmp_path: Path
) -> None:
    assert words in run("fit", pictures, "-o", tmp_path / "model", *arguments).sentence()
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.unfinished").exists()


def test_weights_of_another_network(pictures: Path, tmp_path: Path) -> None:
    other = catalog.load_backbone("seeded:residual")
    state = {name: t for stage in other.prefix() for name, t in stage.state_dict().items()}
    path = tmp_path / "residual.safetensors"
    weights.save(state, path, {})
    sentence = run("fit", pictures, "-b", f"{TINY}@{path}", "-o", tmp_path / "model").sentence()
    assert sentence.startswith(f"{path} does not fit the network: ")
    assert "missing: " in sentence and "left over: " in sentence


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.safetensors", "w.pkl"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_does_not_run(name: str, zipped: bool, pictures: Path, tmp_path: Path) -> None:
    path, fuse = tmp_path / name, tmp_path / "exploded"
    torch.save({"weight": Bomb(fuse)}, path, _use_new_zipfile_serialization=zipped)
    for hub in (TINY, "timm:test_resnet"):
        sentence = run("fit", pictures, "-b", f"{hub}@{path}", "-o", tmp_path / "model").sentence()
        assert str(path) in sentence
        assert not fuse.exists()
    shutil.copy(path, tmp_path / "live.pth")
    torch.load(tmp_path / "live.pth", weights_only=False)["weight"].close()
    assert fuse.exists()  # the bomb was a live one


def test_no_network(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    sentence = run("fit", pictures, "-b", "timm:resnet18", "-o", tmp_path / "model").sentence()
    assert sentence.startswith("The weights of timm:resnet18")
    assert "are not on this machine, and there is no network." in sentence
