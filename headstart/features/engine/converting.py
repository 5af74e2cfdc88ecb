"""Networks of torch as networks of OpenVINO."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.errors import reason
from headstart.features.engine.graphs import Written, written
from headstart.features.engine.interface import (
    EngineError,
    core,
    head,
    is_pictures,
    is_ragged,
    library,
    numbers,
    tensors,
)
from headstart.loading import openvino_graph as graph
from headstart.loading import openvino_runtime

_trace: Final[Callable[..., Any]] = torch.jit.trace  # which has no types
Converter = Callable[[Any, tuple[Tensor, ...]], Any]


def convert(stages: nn.Module, sample: Any) -> Any:
    """The stages as one network of OpenVINO's, made small."""
    own = graph.library("openvino.tools.ovc").convert_model
    return converted(stages, sample, lambda net, examples: own(net, example_input=examples))


def by_operation(traced: Any, examples: tuple[Tensor, ...]) -> Any:
    """A traced network converted operation by operation, its constants the network's tensors."""
    part = openvino_runtime.library
    decoder = part("openvino.frontend.pytorch.ts_decoder").TorchScriptPythonDecoder
    frontend = part("openvino.frontend").FrontEndManager().load_by_framework("pytorch")
    network = decoder(traced, example_input=examples, shared_memory=True)  # alive until converted
    return frontend.convert(frontend.load(network))


def converted(stages: nn.Module, sample: Any, convert: Converter = by_operation) -> Any:
    """The stages as one network of OpenVINO's; a graph among them is taken as it is."""
    if not holds_graphs(stages):
        return _traced(stages, sample, convert)
    whole: Any = None
    for stage in stages.children():
        network = graph.network_of(stage)
        part = _traced(stage, sample, convert) if network is None else network
        whole = part if whole is None else graph.joined(whole, part)
        with torch.no_grad():
            sample = stage.eval()(head(sample, 1))
    if not whole.input(0).partial_shape[0].is_dynamic:
        raise EngineError("the graph takes one item at a time")
    return whole


def as_graph(network: nn.Module, sample: Any) -> Written:
    """A network as a graph for batches like the sample. Raises EngineError where it can't be.

    Nothing is folded before OpenVINO compiles it, so that a saved model's constants are the tensors
    in the file of weights that lies beside the graph.
    """
    try:
        return written(converted(network.eval(), sample), is_pictures(sample))
    except EngineError:
        raise
    except Exception as error:  # converters raise nearly anything
        raise EngineError(reason(error)) from error


def _traced(stages: nn.Module, sample: Any, convert: Converter) -> Any:
    examples = [  # a batch of one may vanish
        tensor[:1].expand(2, *tensor.shape[1:]).contiguous() for tensor in tensors(sample)
    ]
    answers = types_of(stages, sample)
    names = () if isinstance(sample, Tensor) else sorted(sample)
    network = _Named(stages, names) if names or "" not in answers else stages
    fixed = 2 if is_ragged(sample) else 1
    network.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing warns of each shape that it takes for constant
        # its own check would trace once more; whoever chooses an engine compares its answers
        traced = _trace(network, tuple(examples), check_trace=False)
        model = convert(traced, tuple(examples))
    if len(model.inputs) != len(examples) or len(model.outputs) != len(answers):
        raise EngineError("the stages have other outputs than in torch, or leave an input unread")
    for port, example in zip(model.inputs, examples, strict=True):
        port.get_node().set_partial_shape(
            library().PartialShape([*[-1] * fixed, *example.shape[fixed:]])
        )
    model.validate_nodes_and_infer_types()
    return model


def holds_graphs(stages: nn.Module) -> bool:
    """Whether a graph of OpenVINO's is among the stages."""
    return any(isinstance(part, graph.Graph) for part in stages.modules())


def types_of(stages: nn.Module, sample: Any) -> dict[str, np.dtype]:
    """The names of what the stages answer, in order, and its types; one array is called ""."""
    with torch.no_grad():
        answer = stages.eval()(head(sample, 1))
    if not isinstance(answer, Tensor | Mapping):
        raise EngineError("the stages have more than one output, and no names for them")
    answer = numbers(answer, sample)
    outputs = answer if isinstance(answer, Mapping) else {"": answer}
    return {name: outputs[name].numpy().dtype for name in sorted(outputs)}


class _Named(nn.Module):
    """Stages that take or answer mappings, as a network of single tensors in and out.

    Those of a mapping are in the order of their names; without `names` the input is one tensor.
    """

    def __init__(self, stages: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.stages = stages
        self.names = names

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Tensors in the order of the names -> activations (N, …)."""
        batch = dict(zip(self.names, inputs, strict=True)) if self.names else inputs[0]
        answer = numbers(self.stages(batch), batch)
        return tuple(tensors(answer)) if isinstance(answer, Mapping) else answer


def read_again(model: Any) -> Any:
    """The same network as if it had been saved: as converted, some constants compute wrongly."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino_runtime.save(model, path)
        values = np.fromfile(path.with_suffix(".bin"), np.uint8)
        return core().read_model(path.read_bytes(), library().Tensor(values))
