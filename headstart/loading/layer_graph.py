"""A network built layer by layer, as files of other libraries list them: one `fx.GraphModule`."""

from __future__ import annotations

import keyword
import operator
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, reduce
from typing import Final, final

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.nn import functional

Edges = tuple[int, int, int, int]  # left, right, top, bottom, as torch pads
MERGES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "add": torch.add,
    "average": torch.add,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "multiply": torch.mul,
    "subtract": torch.sub,
}
_KEEPS_SIZE: Final = (  # answers as many numbers as it reads
    *(nn.BatchNorm2d, nn.Dropout, nn.Identity),
    *(nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.SiLU, nn.Hardswish, nn.Softmax),
)


class TooWideError(Exception):
    """A layer that would answer far more numbers than pictures give; `count` for an item."""

    def __init__(self, count: int) -> None:
        super().__init__(str(count))
        self.count = count


@final
class LayerGraph:
    """Modules called one after another, each on answers of earlier ones; 0 is the pictures.

    Each is tried on `example` (N, C, H, W), which may lie on the device `meta`, so that `values`
    holds every answer. None may have more than `most` numbers. `reserve` are names that no module
    gets.
    """

    def __init__(self, example: Tensor, most: int, reserve: Iterable[str] = ()) -> None:
        self.values = [example]
        self.modules: dict[str, nn.Module] = {}
        self._most = most
        self._names = {*reserved(), *reserve}
        self._graph = fx.Graph()
        self._nodes = [self._graph.placeholder("pictures")]

    def free_name(self, name: str) -> str:
        """The name, or one like it where a module has it."""
        return free_name(name, self._names)

    def add(self, name: str, module: nn.Module, inputs: Sequence[int]) -> list[int]:
        """Call a module on earlier answers; the numbers of its own.

        Raises TooWideError, and whatever the module raises that can't be run.
        """
        self.modules[name] = module.eval()
        return self.use(name, inputs)

    def use(self, name: str, inputs: Sequence[int]) -> list[int]:
        """Call a module that is there already."""
        module, values = self.modules[name], [self.values[number] for number in inputs]
        self._demand_narrow(module, values)
        with torch.no_grad():
            answer = module(*values)
        node = self._graph.call_module(name, tuple(self._nodes[number] for number in inputs))
        answers = [answer] if isinstance(answer, Tensor) else list(answer)
        for number, each in enumerate(answers):
            part = self._graph.call_function(operator.getitem, (node, number))
            self._nodes.append(part if each is not answer else node)
            self.values.append(each)
        return list(range(len(self.values) - len(answers), len(self.values)))

    def network(self, answer: int = -1) -> fx.GraphModule:
        """Pictures (N, C, H, W) to the answer of this number, the last one unless given."""
        graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
        graph.graph_copy(self._graph, copies)
        graph.output(copies[self._nodes[answer]])
        root = nn.Module()
        for name, module in self.modules.items():
            root.add_module(name, module)
        return fx.GraphModule(root, graph, class_name="Network")

    def _demand_narrow(self, module: nn.Module, values: Sequence[Tensor]) -> None:
        if isinstance(module, _KEEPS_SIZE):
            return
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        shapes = {name: tensor.to("meta") for name, tensor in tensors.items()}
        try:
            answer = functional_call(module, shapes, tuple(tensor.to("meta") for tensor in values))
        except Exception:  # some code needs numbers, and what is wrong shows when it is run
            return
        for each in [answer] if isinstance(answer, Tensor) else answer:
            if each.numel() > self._most:
                raise TooWideError(each.numel() // len(each))


@final
class Concat(nn.Module):
    """Tensors one after another along an axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *parts: Tensor) -> Tensor:
        """Joins parts that are equal in the other axes."""
        return torch.cat(parts, self.axis)


@final
class Merge(nn.Module):
    """Several tensors of one shape, or that broadcast, as one, by one of `MERGES`.

    Each is multiplied with its factor first, where there are any.
    """

    def __init__(self, kind: str, factors: Sequence[float] = ()) -> None:
        super().__init__()
        self.kind = kind
        self.factors = tuple(factors)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Values to values of that shape."""
        if self.factors:
            inputs = tuple(f * values for f, values in zip(self.factors, inputs, strict=True))
        merged = reduce(MERGES[self.kind], inputs)
        return merged / len(inputs) if self.kind == "average" else merged


@final
class PaddedPool(nn.Module):
    """Pooling of maps padded at their edges with `filling`, in ways that torch's own refuses.

    Means too: OpenVINO divides those at the border by another number than torch. `pool` itself
    pads nothing; of its positions the first `size` are kept, all unless given.
    """

    def __init__(
        self, pool: nn.Module, edges: Edges, filling: float, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.pool, self.edges, self.filling = pool, edges, filling
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) to maps."""
        padded = functional.pad(maps, self.edges, value=self.filling)
        pooled: Tensor = self.pool(padded)
        return pooled if self.size is None else pooled[:, :, : self.size[0], : self.size[1]]


@final
class Reshape(nn.Module):
    """Each item in another shape; with `last` the channels of maps count as their last axis."""

    def __init__(self, shape: Sequence[int], last: bool = False) -> None:
        super().__init__()
        self.shape, self.last = tuple(shape), last

    def forward(self, values: Tensor) -> Tensor:
        """Values (N, …) to (N, *shape); maps have their channels first in both."""
        if self.last and values.dim() == 4:
            values = values.permute(0, 2, 3, 1)
        values = values.reshape(values.shape[0], *self.shape)
        return values.permute(0, 3, 1, 2) if self.last and values.dim() == 4 else values


@final
class BlueFirst(nn.Module):
    """Red, green and blue in the reverse order, as networks made with Caffe read them."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) to the same."""
        return torch.cat([pictures[:, 2:], pictures[:, 1:2], pictures[:, :1]], 1)


def sliced(values: Tensor, axis: int, part: slice) -> Tensor:
    """What a slice picks along an axis, also by steps backwards."""
    places = range(*part.indices(values.shape[axis]))
    if places.step == 1:
        return values.narrow(axis, places.start, len(places))
    return values.index_select(axis, torch.tensor(list(places), device=values.device))


def free_name(name: str, names: set[str]) -> str:
    """A name for a module that no other has, and that is safe in code that torch.fx writes."""
    while name in names or keyword.iskeyword(name):
        name += "_"
    names.add(name)
    return name


@cache
def reserved() -> Collection[str]:
    """What modules have attributes for."""
    return frozenset(dir(fx.GraphModule(nn.Module(), fx.Graph())))
