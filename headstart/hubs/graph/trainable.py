"""An ONNX file as an ordinary network of torch, which can be trained."""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from headstart.errors import HeadstartError, reason
from headstart.hubs.graph import operations, settled
from headstart.hubs.graph.cutting import Cut, cut
from headstart.hubs.graph.normalising import axis_of, black, entry, layout, normalise
from headstart.hubs.graph.planning import GraphSpec, Opened, Positions
from headstart.hubs.graph.reading import read
from headstart.loading import head_removal
from headstart.loading.lean import without_compiler
from headstart.loading.stages import find_stages

FILE: Final = "graph.onnx"  # what a saved model calls the network up to its features
_KIND: Final = "onnx"
_AGREE: Final = 1e-3  # relative, of two libraries
_EXPORT: Final = (
    "Export it for any number of pictures, as torch.onnx.export does with "
    "dynamic_shapes=({0: 'batch'},), or leave trainable=true out."
)
_CONSTANTS: Final = "initializers"  # what the converter calls tensors of no layer


@final
class Turned(nn.Module):
    """A network between pictures with channels first, from 0 to 1, and what a file is fed with.

    `black` is the least of the 256 numbers that it takes, None where it takes others.
    """

    def __init__(self, network: nn.Module, last: bool, axis: int, black: float | None) -> None:
        super().__init__()
        self.network = network
        self.last = last
        self.axis = axis
        self.black = black

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, C, H, W) -> features (N, D, …)."""
        pictures = pictures.permute(0, 2, 3, 1) if self.last else pictures
        if self.black is not None:
            pictures = pictures * 255 + self.black
        features: Tensor = self.network(pictures)
        return features.movedim(self.axis, 1)


def open_onnx(spec: GraphSpec) -> Opened:
    """The network up to its features, cut into stages.

    Raises HeadstartError where the file is no ONNX, has operations that can't be trained, or
    takes one picture at a time.
    """
    if spec.kind != _KIND:
        raise HeadstartError(
            f"{spec.reference} can't be trained, as {spec.path} is not ONNX. "
            "Leave trainable=true out and use -s feature-extraction."
        )
    graph = read(spec.path, spec.kind)  # refuses what is damaged, or leads out of its folder
    end = (
        Cut(graph.model.get_results()[0].input_value(0), None, None, None)
        if spec.saved
        else cut(graph, spec.options.output, spec.options.head)
    )
    source = entry(spec, end)
    sides, last = layout(spec, source)
    least = black(source)
    content = spec.path.read_bytes() if spec.saved else _up_to(spec, end, source)
    network = converted(spec, content)
    axis = axis_of(end.features.get_partial_shape(), spec.kind)
    if last or axis != 1 or least is not None:
        network = Turned(network, last, axis, least)
    preprocess = spec.preprocess(sides, last, whole=least is not None)
    pictures = head_removal.example(preprocess, torch.rand)
    pictures = pictures.mul(255).round().div(255)  # as whole numbers can tell
    width = _width(spec, network.eval(), pictures)
    if not spec.saved:
        _compare(spec, network, end, pictures)
    body = head_removal.Headless(
        network=network,
        stages={**find_stages(network, pictures), "positions": Positions()},
        feature_dim=width,
        head=end.head if end.head and end.head.in_features == width else None,
        head_name=head_removal.free_name(network),
    )
    architecture = spec.architecture(preprocess, FILE)
    return Opened(body, lambda: renew(network), preprocess, end.name, architecture, (FILE, content))


def _up_to(spec: GraphSpec, end: Cut, entry: Any) -> bytes:
    """The file up to the features, with all of its weights inside."""
    onnx = _library("onnx")
    if end.name is None:
        raise HeadstartError(
            f"{spec.path} has no name for its features. Name a tensor with output=NAME."
        )
    try:
        whole = import_module("onnx.shape_inference").infer_shapes(onnx.load(str(spec.path)))
        extractor = import_module("onnx.utils").Extractor(whole)
        part = extractor.extract_model([min(entry.output(0).get_names())], [end.name])
        content: bytes = part.SerializeToString()
    except Exception as error:  # its checks raise nearly anything
        raise HeadstartError(
            f"{spec.path} can't be cut at {end.name} ({reason(error)}). "
            "Name another tensor with output=NAME."
        ) from error
    return content


def converted(spec: GraphSpec, content: bytes) -> nn.Module:
    """An ONNX model as a network of torch. Raises HeadstartError where that can't be."""
    with without_compiler():  # which comes with torchvision
        onnx, converter = _library("onnx"), _library("onnx2torch")
    operations.register()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = converter.convert(
                operations.rewrite(onnx.load_from_string(content))
            )
    except NotImplementedError as error:
        raise HeadstartError(
            f"{spec.path} has operations that can't be trained ({_operation(error)}). "
            "Leave trainable=true out and use -s feature-extraction."
        ) from error
    except Exception as error:
        raise HeadstartError(
            f"{spec.path} can't be turned into a network of torch ({reason(error)}). "
            "Leave trainable=true out and use -s feature-extraction."
        ) from error
    network = _train_all(network)
    if isinstance(network, GraphModule):
        settled.let_go(network)
    return network


def _operation(error: Exception) -> str:
    """The operation and version that a converter says it doesn't know."""
    match = re.search(r"operation_type='([^']*)', version=(\d+)", str(error))
    if match and "quantize" in match[1].lower():
        return "it is quantised"
    return f"{match[1]} of version {match[2]}" if match else reason(error)


def _width(spec: GraphSpec, network: nn.Module, pictures: Tensor) -> int:
    """How many features there are. Raises HeadstartError unless pictures don't mix."""
    try:
        with torch.no_grad():
            both = network(pictures)
            alone = torch.cat([network(pictures[:1]), network(pictures[1:])])
    except Exception as error:  # a converted network fails in any way
        raise HeadstartError(
            f"{spec.path} can't run on two pictures of {'x'.join(map(str, pictures.shape[1:]))} "
            f"at a time ({reason(error)}). {_EXPORT}"
        ) from error
    if both.shape != alone.shape or not torch.allclose(both, alone, rtol=1e-3, atol=1e-4):
        raise HeadstartError(f"{spec.path} takes one picture at a time. {_EXPORT}")
    return int(both.shape[1])


def _compare(spec: GraphSpec, network: nn.Module, end: Cut, pictures: Tensor) -> None:
    """Raise HeadstartError where the network of torch computes something else than the graph."""
    frozen, pool = normalise(spec, end).graph, Positions()
    with torch.no_grad():
        expected, own = pool(frozen(pictures)), pool(network(pictures))
    if not torch.linalg.vector_norm(own - expected) <= _AGREE * torch.linalg.vector_norm(expected):
        raise HeadstartError(
            f"{spec.path} computes something else as a network of torch. "
            "Leave trainable=true out and use -s feature-extraction."
        )


def _train_all(network: nn.Module) -> nn.Module:
    """Let constants that the converter took for fixed be trained, such as matrices."""
    constants = dict(network.named_children()).get(_CONSTANTS, nn.Module())
    scales = _scales(network)
    for name, tensor in list(constants.named_buffers()):
        if tensor.is_floating_point() and tensor.numel() > 1 and name not in scales:
            delattr(constants, name)
            constants.register_parameter(name, nn.Parameter(tensor.clone()))
    return network


def _scales(network: nn.Module) -> set[str]:
    """The constants that say by how much maps are resized, which are no weights."""
    modules = dict(network.named_modules())
    nodes = network.graph.nodes if isinstance(network, GraphModule) else ()
    return {
        str(source.target).rpartition(".")[2]
        for node in nodes
        if node.op == "call_module" and "Resize" in type(modules[str(node.target)]).__name__
        for source in node.all_input_nodes
        if source.op == "get_attr"
    }


def renew(network: nn.Module) -> None:
    """Random weights as torch's layers draw them; those of no layer are shuffled."""
    parameters = dict(network.named_parameters())
    loose = {n: t.detach().clone() for n, t in parameters.items() if f"{_CONSTANTS}." in n}
    head_removal.draw_anew(network)
    with torch.no_grad():
        for name, tensor in loose.items():
            values = tensor.flatten()[torch.randperm(tensor.numel())]
            parameters[name].copy_(values.view_as(tensor))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise HeadstartError(
            f"trainable=true needs {name}, which can't be imported ({error}). "
            "Run pip install 'headstart[onnx]'."
        ) from error
