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
        self._lock = Lock()

    def network(self) -> Any:
        """A new `openvino.Model`. Raises RuntimeError where text and constants don't fit."""
        openvino = library()
        content = openvino.Tensor(self.constants.cpu().numpy().copy())
        return openvino.Core().read_model(self.xml, content)

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


def joined(first: Any, second: Any) -> Any:
    """One `openvino.Model` that gives what the first answers to the second."""
    entry = second.input(0).get_node()
    entry.output(0).replace(first.output(0).get_node().input_value(0))
    return library().Model(second.get_results(), first.get_parameters())
