"""Networks built layer by layer, and options as hubs declare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import pytest
import torch
from torch import Tensor, nn

from headstart.contracts.references import parse
from headstart.errors import HeadstartError
from headstart.loading.layer_graph import LayerGraph, Merge, TooWideError
from headstart.loading.spec import HubOptions, resolve


@final
class Halves(nn.Module):
    """Two halves of the channels."""

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Maps (N, 2 · C, H, W) to two of (N, C, H, W)."""
        return torch.chunk(maps, 2, 1)


def test_a_graph_computes_what_its_modules_do_and_keeps_their_names() -> None:
    torch.manual_seed(0)
    pictures = torch.randn(2, 4, 5, 5)
    graph = LayerGraph(pictures, most=1000)
    name = graph.free_name("forward")  # which every module has already
    first, second = graph.add("cut/in+two", Halves(), [0])
    (convolved,) = graph.add(name, nn.Conv2d(2, 2, 3, padding=1), [second])
    (again,) = graph.use(name, [convolved])
    (merged,) = graph.add("sum", Merge("add", (2.0, -1.0)), [first, again])
    network = graph.network()
    convolution = graph.modules[name]
    with torch.no_grad():
        expected = 2 * pictures[:, :2] - convolution(convolution(pictures[:, 2:]))
        assert torch.equal(network(pictures), expected)
        assert torch.equal(graph.network(first)(pictures), pictures[:, :2])
    assert name == "forward_"
    assert set(network.state_dict()) == {"forward_.weight", "forward_.bias"}
    assert graph.values[merged].shape == (2, 2, 5, 5)


def test_a_layer_that_answers_too_much_is_refused_before_it_runs() -> None:
    graph = LayerGraph(torch.zeros(2, 1, 4, 4), most=1 << 20)
    with pytest.raises(TooWideError) as refused:
        graph.add("up", nn.Upsample(scale_factor=1 << 20), [0])
    assert refused.value.count == 1 << 44


@pytest.mark.parametrize(
    ("kind", "value"),
    [("add", 9), ("average", 3), ("multiply", 24), ("subtract", -5), ("maximum", 4)],
)
def test_tensors_are_merged(kind: str, value: float) -> None:
    assert Merge(kind)(*(torch.tensor([n]) for n in (2.0, 3.0, 4.0))).item() == value


@final
@dataclass(frozen=True)
class Shelf(HubOptions):
    """Options of no real hub."""

    size: int = 8
    head: bool = True
    pretrained: bool = True


def test_options_are_read_by_their_type_and_written_where_they_are_not_usual() -> None:
    options = resolve(Shelf, parse("shelf:a?head=no"), {"size": "9"})
    assert options == Shelf(9, head=False)
    assert options.changed() == {"size": "9", "head": "false"}
    assert options.changed(["size"]) == {"head": "false"}
    with pytest.raises(HeadstartError, match=r"shelf:a has no option 'sise'. Its options: size, "):
        resolve(Shelf, parse("shelf:a?sise=4"))
    with pytest.raises(HeadstartError, match=r"it\?size='x' is not a number. Give one, such as 8"):
        resolve(Shelf, parse("shelf:a?size=x"), what="it")
