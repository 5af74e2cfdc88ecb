"""A network as the graphs that its saved model answers with, without torch.

Converted as it is: nothing is folded before OpenVINO compiles it, so that all constants are the
network's own tensors, and are taken from the file of weights that lies beside the graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.errors import reason
from headstart.features.engine.graphs import Written, placed, written
from headstart.features.engine.interface import EngineError, is_pictures
from headstart.loading import arrays, engine_form, openvino_runtime

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor, nn

    from headstart.contracts.model import Model


def frozen(
    model: Model, width: int, sample: Any, files: Sequence[arrays.Tensors]
) -> dict[str, bytes]:
    """The files of the form, by name, of a model on the CPU whose weights lie in `files`.

    `sample` is a batch of model inputs, `width` how many features it makes of them. Raises
    EngineError, saying why, for a network that can't be converted.
    """
    import torch

    head = torch.nn.Sequential(model.head)
    graphs = {
        engine_form.BODY: graph(model.body(), sample),
        engine_form.HEAD: graph(head, torch.zeros(2, width)),
    }
    return placed(graphs, files)


def graph(network: nn.Module, sample: Any) -> Written:
    """A network as a graph for batches like the sample. Raises EngineError where it can't be."""
    from headstart.features.engine.converting import converted

    try:
        return written(converted(network.eval(), sample, _plain), is_pictures(sample))
    except EngineError:
        raise
    except Exception as error:  # converters raise nearly anything
        raise EngineError(reason(error)) from error


def _plain(traced: Any, examples: tuple[Tensor, ...]) -> Any:
    """A traced network converted operation by operation."""
    library = openvino_runtime.library
    decoder = library("openvino.frontend.pytorch.ts_decoder").TorchScriptPythonDecoder
    frontend = library("openvino.frontend").FrontEndManager().load_by_framework("pytorch")
    network = decoder(traced, example_input=examples, shared_memory=True)  # alive until converted
    return frontend.convert(frontend.load(network))
