"""Graph files that are refused in one sentence, none of them having run."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from graph_networks import body, classifier, constants, load, node, weights, write

from headstart import catalog
from headstart.errors import HeadstartError, WeightsError
from headstart.loading import openvino_graph as graph


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Evil:
    """Leaves a file behind where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".xml", ""])
def test_nothing_is_unpickled(here: Path, suffix: str) -> None:
    name = f"evil{suffix}"
    file = here / name
    if not suffix:
        file.mkdir()
        file = file / "saved_model.pb"
    file.write_bytes(pickle.dumps(Evil()))
    (here / "evil.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError, match=rf"^{name} (can't be read as|is not) an? [^\n]*\.$"):
        load(name)
    assert not (here / "pwned").exists()


def test_broken_files_are_refused(here: Path) -> None:
    whole = classifier(here / "tiny.onnx").read_bytes()
    for length in (0, 10, len(whole) - 40):
        (here / "cut.onnx").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"cut\.onnx (can't be read as|is not) an ONNX"):
            load("cut.onnx")
    openvino = graph.library()
    openvino.save_model(openvino.Core().read_model(here / "tiny.onnx"), here / "tiny.xml")
    (here / "tiny.bin").write_bytes(b"few")
    with pytest.raises(WeightsError, match="Incorrect weights in bin file"):
        load("tiny.xml")
    (here / "tiny.bin").unlink()
    with pytest.raises(WeightsError, match=r"tiny\.bin is not there"):
        load("tiny.xml")


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/hostname"])
@pytest.mark.parametrize("options", [{}, {"trainable": "true"}])
def test_data_outside_the_folder_is_refused(
    here: Path, place: str, options: dict[str, str]
) -> None:
    import onnx

    (here / "secret.bin").write_bytes(weights()["a"].tobytes())
    (here / "sub").mkdir()
    model = onnx.load(classifier(here / "tiny.onnx"))
    first = model.graph.initializer[0]
    first.ClearField("raw_data")
    first.data_location = onnx.TensorProto.EXTERNAL
    entry = first.external_data.add()
    entry.key, entry.value = "location", place
    (here / "sub" / "tiny.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=f"wants weights from {place}, outside of its folder"):
        load("sub/tiny.onnx", **options)


def test_unknown_operations_and_inputs_are_named(here: Path) -> None:
    odd = node("Wonder", "map", "answer", domain="elsewhere")
    write(here / "odd.onnx", [*body(), odd], constants("ab"), ["n", 3, 8, 8])
    with pytest.raises(HeadstartError, match=r"that OpenVINO can't run: elsewhere\.Wonder\."):
        load("odd.onnx")
    write(here / "video.onnx", [node("Relu", "pictures", "answer")], [], ["n", 3, 4, 8, 8])
    with pytest.raises(HeadstartError, match="not pictures"):
        load("video.onnx", output="answer")
    with pytest.raises(HeadstartError, match=r"folder without saved_model\.pb"):
        load(here)
    (here / "notes.txt").write_text("no graph")
    with pytest.raises(HeadstartError, match=r"Give FILE\.onnx, FILE\.tflite"):
        load("notes.txt")


def test_a_missing_library_is_asked_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = classifier(here / "tiny.onnx")
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(HeadstartError, match=r"Run pip install 'headstart\[onnx\]'"):
        load(path, trainable="true")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(HeadstartError, match=r"OpenVINO can't be imported .* Install openvino"):
        load(path)


def test_cards_name_graph_files_alone(here: Path) -> None:
    for name in ("a.onnx", "b.tflite", "c.xml", "c.bin", "d.xml", "e.txt"):
        (here / name).touch()
    (here / "saved").mkdir()
    (here / "saved" / "saved_model.pb").touch()
    (here / "other").mkdir()
    results = [card.reference for card in catalog.hub("graph").cards("*")]
    assert results == ["graph:a.onnx", "graph:b.tflite", "graph:c.xml", "graph:saved"]
    assert [card.reference for card in catalog.hub("graph").cards("a*")] == ["graph:a.onnx"]
