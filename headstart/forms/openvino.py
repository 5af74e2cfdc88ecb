"""OpenVINO's intermediate representation: `model.xml` and its weights in `model.bin`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from headstart.errors import reason
from headstart.forms import quantising
from headstart.forms.form import FACTS, Arrays, Form, FormError, Leaving, Run
from headstart.forms.onnx import Onnx
from headstart.loading import openvino_runtime


@final
class OpenVino(Form):
    """Two files, in full precision. Networks that are graphs already stay as they are."""

    file: ClassVar[str] = "model.xml"
    more: ClassVar[tuple[str, ...]] = ("model.bin",)
    quantises: ClassVar[bool] = True

    def write(self, leaving: Leaving) -> None:
        """Convert the network. Raises FormError, saying why it can't be."""
        from headstart.features.engine import EngineError

        converted = _of_onnx if leaving.whole.finds_boxes else _converted
        try:
            _save(converted(leaving), leaving.facts, leaving.folder / self.file)
        except EngineError as error:
            raise FormError(str(error)) from error
        except (FormError, OSError):
            raise
        except Exception as error:  # converters raise nearly anything
            raise FormError(f"OpenVINO can't convert its network ({reason(error)})") from error

    def quantise(self, folder: Path, batches: Sequence[Arrays], facts: str) -> None:
        """The files with whole numbers. Raises FormError where NNCF can't make such of them."""
        path = folder / self.file
        # in memory, as the files that it would read from are written anew
        weights = np.fromfile(path.with_suffix(".bin"), np.uint8)
        openvino = openvino_runtime.library()
        network = openvino.Core().read_model(path.read_bytes(), openvino.Tensor(weights))
        _save(quantising.quantised(network, batches, _head(network)), facts, path)

    def opened(self, folder: Path) -> Run:
        """The files as OpenVINO runs them."""
        core = openvino_runtime.library().Core()
        settings = openvino_runtime.EXACT | {"PERFORMANCE_HINT": "LATENCY"}
        model = core.read_model(str(folder / self.file))
        facts = json.loads(model.get_rt_info(FACTS).astype(str))  # a tensor may have more names
        network = core.compile_model(model, "CPU", settings)

        def run(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            answers = network({name: np.ascontiguousarray(batch[name]) for name in facts["inputs"]})
            return {name: np.array(answers[name]) for name in facts["outputs"]}

        return run


def _converted(leaving: Leaving) -> Any:
    import torch

    from headstart.features.engine import converting
    from headstart.loading import openvino_graph

    whole = leaving.whole
    if whole.holds_graphs and len(list(whole.body.children())) == 1:
        raise FormError("OpenVINO can't average looks over a backbone that is a graph")
    with torch.no_grad():
        features = whole.body(whole.inputs())
    body = converting.convert(whole.body, whole.inputs())
    answers = converting.convert(torch.nn.Sequential(whole.answers), features)
    network = openvino_graph.joined(body, answers)
    for ports, names in (
        (network.inputs, whole.names),
        (network.outputs, sorted(whole.answers.names)),
    ):
        for port, name in zip(ports, names, strict=True):
            port.set_names({name})
    return network


def _of_onnx(leaving: Leaving) -> Any:
    """By way of ONNX, which has an operation for the suppression of boxes, as OpenVINO has."""
    with tempfile.TemporaryDirectory() as folder:
        form = Onnx()
        form.write(replace(leaving, folder=Path(folder)))
        return openvino_runtime.library().Core().read_model(str(Path(folder) / form.file))


def _head(network: Any) -> list[str]:
    """The names of the operations that make the answers of the features."""
    nodes = {node.get_friendly_name(): node for node in network.get_ops()}

    def makers(name: str) -> list[str]:
        return [port.get_node().get_friendly_name() for port in nodes[name].input_values()]

    features, *ends = (
        makers(network.output(name).get_node().get_friendly_name())[0]
        for name in json.loads(network.get_rt_info(FACTS).astype(str))["outputs"]
    )
    starts = {features}
    if nodes[features].get_type_name() == "Convert":  # to what they are already
        starts.update(makers(features))
    between = quantising.before(ends, starts, makers)
    return [name for name in between if nodes[name].get_type_name() != "Constant"]


def _save(network: Any, facts: str, path: Path) -> None:
    network.set_rt_info(facts, FACTS)
    openvino_runtime.save(network, path)
