"""A graph file's network as a stage: run by OpenVINO, kept like any other weights.

Its constants are one tensor, so that they are hashed, saved, loaded and compared as weights are;
its structure is text.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.loading.openvino_runtime import EXACT as EXACT
from headstart.loading.openvino_runtime import compiled as compiled
from headstart.loading.openvino_runtime import library as library
from headstart.loading.sounds.windows import Windowed


@final
class Graph(nn.Module):
    """A frozen network of one input (N, C, H, W) and one output (N, …), both float32.

    `xml` is its structure in OpenVINO's intermediate representation, `constants` the bytes that
    this refers to, uint8 (B,). Nothing of it can be trained. It runs on the CPU, in fp32, wherever
    its inputs are, and is compiled when first called, and again when its constants have changed.
    """

    constants: Tensor

    def __init__(self, xml: str, constants: Tensor) -> None:
        super().__init__()
        self.xml = xml
        self.register_buffer("constants", constants)
        self._compiled: tuple[object, Any] | None = None
        self._content: Any = None
        self._lock = Lock()

    def network(self) -> Any:
        """A new `openvino.Model`. Raises RuntimeError where text and constants don't fit."""
        openvino = library()
        # whatever is made of the network's operations reads from here, and doesn't keep it alive
        self._content = openvino.Tensor(self.constants.cpu().numpy().copy())
        return openvino.Core().read_model(self.xml, self._content)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, C, H, W) -> activations (N, …) in float32, without gradients."""
        items = pictures.detach().to("cpu", torch.float32).contiguous().numpy()
        with self._lock:
            ready = self._ready()
            whole = ready.inputs[0].partial_shape[0].is_dynamic
            batches = [items] if whole else np.split(items, len(items))
            answers = [np.array(ready([batch])[0]) for batch in batches]
        return torch.from_numpy(np.concatenate(answers)).to(pictures.device)

    def _ready(self) -> Any:
        """The compiled network: that of before, unless the constants were written since."""
        state = (self.constants.data_ptr(), self.constants._version)
        if self._compiled is None or self._compiled[0] != state:
            self._compiled = state, compiled(self.network())
        return self._compiled[1]

    def __deepcopy__(self, memo: dict[int, Any]) -> Graph:
        copy = Graph(self.xml, self.constants.clone())
        copy.training = self.training
        return copy


def network_of(stage: nn.Module) -> Any | None:
    """A stage as an `openvino.Model`, where it is a graph, or one that is run on windows."""
    if isinstance(stage, Graph):
        return stage.network()
    if isinstance(stage, Windowed) and isinstance(stage.stage, Graph):
        return _of_windows(stage.stage.network())
    return None


def _of_windows(model: Any) -> Any:
    """A network of rows as one of `hidden` (N, T, D) beside its `mask` (N, T)."""
    openvino = library()
    operations = openvino.opset13
    entry = model.input(0).get_node()
    rows, numbers = list(entry.get_partial_shape())
    sides = [-1, -1] if rows.is_dynamic else [1, 1]
    hidden = operations.parameter([*sides, numbers.get_length()], openvino.Type.f32, "hidden")
    mask = operations.parameter(sides, openvino.Type.i64, "mask")
    flat = operations.reshape(hidden, np.array([-1, numbers.get_length()]), False)
    entry.output(0).replace(flat.output(0))
    answer = model.get_results()[0].input_value(0)
    shape = operations.concat([operations.shape_of(mask), np.array([-1], dtype=np.int64)], 0)
    return openvino.Model([operations.reshape(answer, shape, False).output(0)], [hidden, mask])


def joined(first: Any, second: Any) -> Any:
    """One `openvino.Model` that gives what the first answers to the second.

    What the second takes beside, a mask, is what the first took in that place.
    """
    values = [output.get_node().input_value(0) for output in first.outputs]
    values += [port.get_node().output(0) for port in first.inputs[len(values) :]]
    for entry, value in zip(second.inputs, values, strict=False):
        entry.get_node().output(0).replace(value)
    return library().Model(second.get_results(), first.get_parameters())
