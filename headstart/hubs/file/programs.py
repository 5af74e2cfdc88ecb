"""Networks saved whole: TorchScript, and programs of `torch.export`.

Both are run as they are, in one stage. Loading TorchScript runs code of its own language, and
`torch.export.load` evaluates expressions, so that both are trusted before; pickles inside an
exported program that hold more than tensors are refused even then.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final, final

import torch
from torch import Tensor, fx, nn

from headstart.errors import HeadstartError, WeightsError, named_reason
from headstart.hubs.file.planning import FileSpec
from headstart.loading import head_removal
from headstart.loading.head_removal import Headless

_STAGE: Final = "network"
_read_script: Final[Callable[..., Any]] = torch.jit.load  # which has no types
NamedLayer = tuple[str, nn.Linear]
_CALLS: Final = "prim::CallMethod"
_LINEAR: Final = torch.ops.aten.linear.default
_TENSORS: Final = ("weight_", "tensor_")  # what payloads of tensors are called


@final
class Script(nn.Module):
    """TorchScript as a module like any other: it can be frozen, and its copies can be trained.

    TorchScript copies parameters with their history, and an optimiser refuses what has one.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Any:
        """What TorchScript answers."""
        return self.network(pictures)

    def __deepcopy__(self, memo: dict[int, Any]) -> Script:
        with torch.no_grad():
            copy = Script(deepcopy(self.network, memo))
        copy.training = self.training
        for old, new in zip(self.parameters(), copy.parameters(), strict=True):
            new.requires_grad_(old.requires_grad)
        return copy


def open_script(spec: FileSpec, example: Tensor) -> Headless:
    """A TorchScript network, up to the input of the linear layer whose output it answers with.

    Raises HeadstartError where the file is none, or the network is not for such pictures.
    """
    whole, network = _load_script(spec), _load_script(spec)
    outputs = head_removal.run(whole, example, spec.what)
    last = _behead_script(network) if spec.options.head else None  # before it is compiled
    if last is None:
        return _headless(spec, Script(whole), example, None)
    name, head = last
    with torch.no_grad():
        again = head(head_removal.run(network, example, spec.what))
    if not torch.allclose(again, outputs, rtol=1e-4, atol=1e-4):
        raise HeadstartError(
            f"{spec.path} answers something else without its last layer {name}. "
            "Say head=false, or save it again without that layer."
        )
    return _headless(spec, Script(network), example, (f"{head_removal.WRAPPED}{name}", head))


def open_exported(spec: FileSpec, example: Tensor) -> Headless:
    """A program of `torch.export`, up to the input of the linear layer whose output it answers.

    Its mode is that in which it was exported, so that it can't be trained. Raises HeadstartError
    where the file is none, holds more than tensors, or takes no batches of such pictures.
    """
    _check_pickles(spec)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(spec.content))
            whole = program.module()
    except Exception as error:  # its reader fails in any way
        raise HeadstartError(
            f"{spec.path} is not a program of torch.export that this torch reads "
            f"({named_reason(error)}). Export it again with torch {torch.__version__}."
        ) from error
    for size in (2, 3):  # the network's own guards say what it was exported for
        batch = torch.cat([example, example[:1]])[:size]
        try:
            head_removal.run(whole, batch, spec.what)
        except HeadstartError as error:
            raise HeadstartError(
                f"{str(error).rstrip('.')}. Export it with dynamic_shapes, so that it takes "
                "batches of any size."
            ) from error
    network, last = _plain(whole, spec.options.head)
    return _headless(spec, network, example, last, differentiable=False)


OPENING: Final[Mapping[str, Callable[[FileSpec, Tensor], Headless]]] = {
    "TorchScript": open_script,
    "exported": open_exported,
}


def _headless(
    spec: FileSpec,
    network: nn.Module,
    example: Tensor,
    last: NamedLayer | None,
    differentiable: bool = True,
) -> Headless:
    features = head_removal.run(network.eval(), example, spec.what)
    if last is None and spec.options.head:
        _refuse_hidden_head(spec, network, features)
    if not spec.options.pretrained and spec.reference.weights is None:
        head_removal.draw_anew(network)
    name, head = last or (head_removal.free_name(network), None)
    stages, width = {_STAGE: network}, features.shape[1]
    return Headless(network, stages, width, head, name, differentiable=differentiable)


def _refuse_hidden_head(spec: FileSpec, network: nn.Module, answers: Tensor) -> None:
    """Raise HeadstartError where the answers may be the logits of a head that wasn't found."""
    head_removal.refuse_probabilities(answers, spec.what)
    matrices = [tensor for tensor in network.state_dict().values() if tensor.dim() == 2]
    if matrices and matrices[-1].shape[0] == answers.shape[1]:
        raise HeadstartError(
            f"{spec.what} doesn't end by calling a linear layer, but its {answers.shape[1]} "
            "answers look like those of one, so that its head can't be taken off. Say head=false "
            "if they are features, or save the network without its head."
        )


def _load_script(spec: FileSpec) -> Any:
    if not any("/code/" in name for name in _members(spec)):
        raise HeadstartError(
            f"{spec.path} is not TorchScript. Save one with torch.jit.save; weights alone belong "
            f"behind a Python file, as in file:FILE.py:FUNCTION@{spec.path}."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the user chose TorchScript, not we
            network = _read_script(io.BytesIO(spec.content), map_location="cpu")
    except Exception as error:
        raise HeadstartError(
            f"{spec.path} can't be loaded as TorchScript ({named_reason(error)}). "
            "Copy it or save it again."
        ) from error
    return network.eval()


def _behead_script(network: Any) -> NamedLayer | None:
    """Let the network answer with what it would give its last linear layer; the layer, copied."""
    graph = network.graph
    outputs = list(graph.outputs())
    node = outputs[0].node()
    if len(outputs) != 1 or node.kind() != _CALLS or node.s("name") != "forward":
        return None
    layer, *inputs = node.inputs()
    path: list[str] = []
    while layer.node().kind() == "prim::GetAttr":
        path.insert(0, layer.node().s("name"))
        layer = layer.node().input()
    name = ".".join(path)
    state = network.state_dict()
    weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
    modules = dict(network.named_modules())
    if len(inputs) != 1 or weight is None or modules[name].original_name != "Linear":
        return None
    graph.eraseOutput(0)
    graph.registerOutput(inputs[0])
    return name, _linear(weight, bias)


def _plain(whole: Any, behead: bool) -> tuple[nn.Module, NamedLayer | None]:
    """An exported program as a plain module without its guards, and without its last layer."""
    graph: Any = fx.Graph()
    answer = graph.graph_copy(whole.graph, {})
    last = answer[0] if isinstance(answer, tuple | list) else answer
    for node in [node for node in graph.nodes if node.op == "call_module" and not node.users]:
        graph.erase_node(node)
    layer = _last_layer(whole.state_dict(), last) if behead else None
    graph.output(last if layer is None else last.args[0])
    if layer is not None:
        graph.erase_node(last)
    return fx.GraphModule(whole, graph), layer


def _last_layer(state: Mapping[str, Tensor], last: Any) -> NamedLayer | None:
    """The linear layer that an exported program answers with, copied, and its name."""
    if last.target != _LINEAR:
        return None
    weight, *bias = (str(node.target) for node in last.args[1:] if node is not None)
    name, _, kind = weight.rpartition(".")
    if not name or kind != "weight" or [f"{name}.bias"] * len(bias) != bias:
        return None
    return name, _linear(state[weight], state[bias[0]] if bias else None)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A layer of its own with these weights."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    layer = layer.to_empty(device="cpu")
    layer.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
    return layer


def _members(spec: FileSpec) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(spec.content)) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []


def _check_pickles(spec: FileSpec) -> None:
    """Refuse an exported program that torch could only read by unpickling more than tensors."""
    names = _members(spec)
    if not any(name.endswith("/archive_format") for name in names):
        raise HeadstartError(
            f"{spec.path} is not a program of torch.export, or one of an old format. "
            f"Export it again with torch {torch.__version__}."
        )
    counts = Counter(map(str.lower, names))  # torch's reader does not tell case
    with zipfile.ZipFile(io.BytesIO(spec.content)) as archive:
        for name in names:
            twice = counts[name.lower()] > 1
            if twice or "aotinductor" in name or "/" not in name or not _harmless(archive, name):
                raise WeightsError(
                    f"{spec.path} holds {name}, which is more than a program over tensors, so that "
                    "it was not opened. Export the network without objects of its own."
                )


def _harmless(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether what is pickled under this name, or listed there as pickled, is tensors only."""
    if name.lower().endswith("_config.json"):
        folder = name.rpartition("/")[0]
        try:
            listed = list(_listed(archive, name))
        except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
            return False
        return all(_only_tensors(archive, f"{folder}/{path}") for path in listed)
    return not name.lower().endswith((".pt", ".pkl")) or _only_tensors(archive, name)


def _listed(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    """The payloads of a list that are pickled, or are no tensors."""
    for payload in json.loads(archive.read(name))["config"].values():
        path = str(payload["path_name"])
        if payload["use_pickle"] or not path.startswith(_TENSORS):
            yield path


def _only_tensors(archive: zipfile.ZipFile, name: str) -> bool:
    try:
        torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    except Exception:  # an unpickler's refusals are many
        return False
    return True
