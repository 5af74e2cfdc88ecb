"""Files offered as Keras networks that are damaged, foreign or hostile: refused, and never run."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from keras_networks import own, write

from headstart import catalog
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.keras import applications
from headstart.loading.weights import save

SHAPE = (8, 8, 3)


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture(autouse=True)
def untrusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test lets run, no other does."""
    monkeypatch.setenv("HEADSTART_TRUST", "")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A file that can be opened."""
    write(own(small, SHAPE), tmp_path / "good.keras")
    return tmp_path / "good.keras"


def small(keras: Any, *between: Any) -> Any:
    """A small network, with further layers."""
    layers = keras.layers
    first = [layers.Input(SHAPE), layers.Conv2D(4, 3)]
    return keras.Sequential([*first, *between, layers.Flatten(), layers.Dense(3)])


def hostile(mark: Path) -> Any:
    """A network with a function that leaves a mark wherever it runs."""
    code = f"__import__('os').makedirs({str(mark)!r}, exist_ok=True)"
    function = eval(f"lambda values: ({code}, values * 2.0)[1]")
    result = own(lambda keras: small(keras, keras.layers.Lambda(function, name="trap")), SHAPE)
    mark.rmdir()  # building it has run it
    return result


def refusal(reference: object) -> str:
    """The one sentence, or two, in which a file is refused."""
    with pytest.raises(HeadstartError) as caught:
        catalog.load_backbone(f"keras:{reference}")
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


@pytest.mark.parametrize("name", ["trap.keras", "trap.h5"])
def test_code_in_a_file_runs_only_when_trusted(name: str, tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / name
    result = hostile(mark)
    write(result, file)
    assert f"{file} is code that would run with your rights" in refusal(file)
    assert not mark.exists()
    backbone = catalog.load_backbone(f"keras:{file}?trust=true")
    assert mark.exists()
    pictures = torch.rand(2, *SHAPE)
    values = pictures.permute(0, 3, 1, 2)
    with torch.no_grad():
        for stage in backbone.prefix():
            values = stage(values)
        assert backbone.head is not None
        torch.testing.assert_close(backbone.head(values), result(pictures))


def test_a_saved_model_does_not_trust_itself(tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "trap.keras"
    write(hostile(mark), file)
    with zipfile.ZipFile(file) as archive:
        (tmp_path / "keras_network.json").write_bytes(archive.read("config.json"))
    reference = f"{tmp_path}?network=keras_network.json&pretrained=false&trust=true"
    assert "is not trusted" in refusal(reference)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["trap.keras", "trap.h5", "trap.weights.h5"])
def test_a_pickle_under_the_name_is_not_opened(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(mark)))
    assert "is not a file of Keras" in refusal(tmp_path / name)
    assert "is not a file of Keras" in refusal(f"VGG16@{tmp_path / name}?size=32")
    assert not mark.exists()


@pytest.mark.parametrize("path", ["../out.txt", "/tmp/out.txt", "assets/../../out.txt"])
def test_an_archive_that_leads_out_of_itself(path: str, network: Path) -> None:
    with zipfile.ZipFile(network, "a") as archive:
        archive.writestr(path, "here")
    assert f"holds {path}, which leads out of it" in refusal(network)
    assert not (network.parent.parent / "out.txt").exists()


def test_an_archive_that_would_fill_the_memory(network: Path) -> None:
    with zipfile.ZipFile(network, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(100_000_000))
    assert "assets/zeros, which is far larger than the file" in refusal(network)


def test_weights_in_other_files_are_not_read(tmp_path: Path) -> None:
    result, secret = own(small, SHAPE), tmp_path / "secret"
    secret.write_bytes(bytes(4 * 3))
    for way in ("link", "external", "virtual"):
        file = tmp_path / f"{way}.weights.h5"
        write(result, file)
        write(result, tmp_path / "own.json")
        with h5py.File(file, "r+") as tree:
            group = tree["layers/dense/vars"]
            del group["1"]
            if way == "link":
                group["1"] = h5py.ExternalLink(str(secret), "/")
            elif way == "external":
                group.create_dataset("1", (3,), "f4", external=[(str(secret), 0, 12)])
            else:
                layout = h5py.VirtualLayout((3,), "f4")
                layout[:] = h5py.VirtualSource(str(secret), "x", (3,))
                group.create_virtual_dataset("1", layout)
        text = refusal(f"{tmp_path}/own.json@{file}")
        assert "leads elsewhere" in text or "something else than numbers of its own" in text


def test_damaged_files_are_one_sentence(network: Path) -> None:
    whole = network.read_bytes()
    for length in (0, 3, 10, len(whole) // 2, len(whole) - 30):
        network.write_bytes(whole[:length])
        assert str(network) in refusal(network)


Change = Callable[[dict[str, Any]], None]
CHANGES: dict[str, Change] = {
    "can't be read \\(KeyError": lambda model: model["config"].pop("layers"),
    "class Mine, whose code": lambda model: model.update(class_name="Mine"),
    "of the kind Mine, which Headstart": lambda m: m["config"]["layers"][1].update(
        class_name="Mine", module="mine", registered_name="mine>Mine"
    ),
    "wants channels first": lambda m: m["config"]["layers"][1]["config"].update(
        data_format="channels_first"
    ),
    "activation=mine is not known": lambda m: m["config"]["layers"][1]["config"].update(
        activation={"class_name": "function", "config": "mine", "module": "mine"}
    ),
    "conv2d.*can't be built|conv2d.*kind Conv2D": lambda m: m["config"]["layers"][1][
        "config"
    ].update(kernel_size=[30, 30]),
}


@pytest.mark.parametrize("message", CHANGES)
def test_descriptions_that_can_not_be_followed(message: str, tmp_path: Path) -> None:
    with applications.library():
        model = json.loads(own(small, SHAPE).to_json())
    CHANGES[message](model)
    (tmp_path / "own.json").write_text(json.dumps(model))
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(f"keras:{tmp_path}/own.json")


def test_hard_sigmoid_of_keras_2_is_not_taken_for_that_of_keras_3(tmp_path: Path) -> None:
    file = tmp_path / "old.h5"
    write(own(lambda k: small(k, k.layers.Activation("hard_sigmoid")), SHAPE), file)
    catalog.load_backbone(f"keras:{file}")
    with h5py.File(file, "r+") as tree:
        tree.attrs["keras_version"] = "2.4.0"
    assert "uses hard_sigmoid, which is another function in the Keras 2" in refusal(file)


def test_several_outputs_are_refused(tmp_path: Path) -> None:
    def make(keras: Any) -> Any:
        inputs = keras.layers.Input(SHAPE)
        x = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, [keras.layers.Dense(2)(x), keras.layers.Dense(3)(x)])

    write(own(make, SHAPE), tmp_path / "two.keras")
    assert "it has 2 inputs or outputs" in refusal(tmp_path / "two.keras")


def test_weights_that_do_not_fit(network: Path, tmp_path: Path) -> None:
    result = own(small, SHAPE)
    write(result, tmp_path / "own.weights.h5")
    assert "holds weights without their network" in refusal(tmp_path / "own.weights.h5")
    assert "does not fit the network" in refusal(
        f"MobileNetV2@{tmp_path}/own.weights.h5?size=32&alpha=0.35"
    )
    write(result, tmp_path / "own.json")
    assert "holds no weights" in refusal(f"{network}@{tmp_path}/own.json")
    save({"alien": torch.ones(1)}, tmp_path / "alien.safetensors", {})
    assert "left over: alien" in refusal(f"{network}@{tmp_path}/alien.safetensors")
    result.layers[0].set_weights([np.full((3, 3, 3, 4), np.nan), np.zeros(4)])
    write(result, tmp_path / "nan.keras")
    with pytest.raises(WeightsError, match="not finite"):
        catalog.load_backbone(f"keras:{tmp_path}/nan.keras")
