"""A graph as a stage: what it computes, how it is kept, and how the engines take it."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from conftest import unheld
from graph_networks import classifier, expected, pictures, single
from torch import Tensor, nn

from headstart import catalog
from headstart.features.engine import EngineError, TorchEngine, fastest
from headstart.features.engine.agreement import TOLERANCE, error
from headstart.features.engine.openvino import OpenVinoEngine, available
from headstart.loading import openvino_graph as graph
from headstart.loading.openvino_graph import Graph
from headstart.loading.weights import load_into, read, save

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def stages(files: Path) -> nn.Sequential:
    backbone = catalog.load_backbone(f"graph:{classifier(files / 'tiny.onnx')}")
    return nn.Sequential(*backbone.prefix())


@pytest.fixture
def stage(stages: nn.Sequential) -> Graph:
    """A copy that a test may change."""
    result = deepcopy(stages[0])
    assert isinstance(result, Graph)
    return result


class Scale(nn.Module):
    """A stage before the graph."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * 2


def test_it_computes_what_the_file_says(stage: Graph) -> None:
    for items in (3, 1, 5):
        assert torch.allclose(stage(pictures(items)), expected(pictures(items)), atol=1e-5)
    assert torch.equal(stage(pictures().double()), stage(pictures()))


def test_it_has_one_buffer_and_nothing_to_train(stage: Graph) -> None:
    assert list(stage.parameters()) == []
    assert {name: t.dtype for name, t in stage.state_dict().items()} == {"constants": torch.uint8}
    inputs = pictures().requires_grad_()
    assert not stage(inputs).requires_grad


def test_a_copy_is_its_own(stage: Graph) -> None:
    before = stage(pictures())
    other = deepcopy(stage.eval())
    assert not other.training
    other.load_state_dict({"constants": torch.zeros_like(stage.constants)}, strict=True)
    assert torch.equal(stage(pictures()), before)
    assert stage.constants.any()


def test_it_follows_new_constants(stage: Graph, files: Path, tmp_path: Path) -> None:
    before = stage(pictures())
    backbone = catalog.load_backbone(f"graph:{files / 'tiny.onnx'}?pretrained=false")
    shuffled = backbone.stages["graph"]
    save(shuffled.state_dict(), tmp_path / "other.safetensors", {})
    load_into(stage, read(tmp_path / "other.safetensors").state, "other.safetensors")
    assert torch.equal(stage(pictures()), shuffled(pictures()))
    assert not torch.allclose(stage(pictures()), before)


def test_threads_may_share_it(stage: Graph) -> None:
    batches = [pictures(items) for items in (1, 2, 3, 4)] * 4
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(stage, batches))
    for batch, values in zip(batches, outputs, strict=True):
        assert torch.allclose(values, expected(batch), atol=1e-5)


@unheld
@pytest.mark.parametrize("precision", available())
def test_engines_take_it_as_it_is(stages: nn.Sequential, precision: str, own_cache: Path) -> None:
    whole = nn.Sequential(Scale(), *stages)
    for network in (stages[:1], stages, whole):
        plain = TorchEngine(network, CPU).run(pictures(4))
        engine = OpenVinoEngine(network, pictures(4), precision, {"weights": "a"})
        assert error(engine.run(pictures(4)), plain) <= TOLERANCE[precision]
        streamed = list(engine.stream([pictures(4), pictures(2)]))
        assert [len(values) for values in streamed] == [4, 2]
    assert not (own_cache / "engines").exists()
    halved = TorchEngine(stages, CPU, "bf16").run(pictures(4))
    assert error(halved, TorchEngine(stages, CPU).run(pictures(4))) <= TOLERANCE["bf16"]


def test_a_graph_for_one_picture_runs_one_by_one(tmp_path: Path) -> None:
    backbone = catalog.load_backbone(f"graph:{single(tmp_path / 'one.onnx')}")
    network = nn.Sequential(*backbone.prefix())
    model = network(pictures())
    assert torch.allclose(model[:, :6], expected(pictures()), atol=1e-5)
    assert model[:, 6:].tolist() == [[1.0, 2.0]] * 3
    with pytest.raises(EngineError, match="takes one item at a time"):
        OpenVinoEngine(network, pictures(), "fp32", None)
    progress = tiny.Recording()
    assert fastest(network, pictures(8), CPU, key=None, progress=progress).name.startswith("torch")
    assert "takes one item at a time" in " ".join(progress.said)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match="OpenVINO can't be imported"):
        graph.library()


def test_two_networks_are_joined(stage: Graph) -> None:
    openvino = graph.library()
    operations = openvino.opset13
    entry = operations.parameter([-1, 6, 4, 4], openvino.Type.f32)
    doubled = openvino.Model([operations.multiply(entry, np.float32(2))], [entry])
    first = stage.network()
    ends = first.output(0).partial_shape
    entry.set_partial_shape(ends)
    doubled.validate_nodes_and_infer_types()
    both = openvino.Core().compile_model(graph.joined(first, doubled), "CPU", graph.EXACT)
    assert np.allclose(both([pictures().numpy()])[0], 2 * stage(pictures()).numpy(), atol=1e-6)
