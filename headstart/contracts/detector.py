"""What stands over a detector's maps: its losses, and which of its boxes are answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn

from headstart.contracts.boxes import MOST, NUMBERS

if TYPE_CHECKING:
    from headstart.contracts.suppression import Candidates

Maps = Mapping[str, Tensor]  # (N, C, h, w) each
_THIN = 1e-3  # pixels: what numbers of 32 bits still tell from no side at all


class Objects(NamedTuple):
    """The objects of one picture: corners (G, 4) in pixels as it is fed, and classes (G,)."""

    corners: Tensor
    kinds: Tensor


class Boxes(NamedTuple):
    """The boxes of one picture: corners (K, 4) in units of a side, scores (K,), classes (K,)."""

    corners: Tensor
    scores: Tensor
    kinds: Tensor


class DetectorHead(nn.Module, ABC):
    """From maps by name to boxes; it knows its own losses.

    Scores are raised to a power for each class, by which half is the score above which boxes of it
    are answers.
    """

    powers: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("powers", torch.ones(classes))

    @abstractmethod
    def loss(self, maps: Maps, targets: Tensor) -> Tensor:
        """The mean loss of a batch, whose objects `targets` (N, 1 + M, 5) are, as encoded."""

    @abstractmethod
    def forward(self, maps: Maps) -> Tensor:
        """Boxes (N, MOST * NUMBERS), the surest first, zeros behind them.

        Of each its corners in units of the longer side, its score and the number of its class.
        """

    @abstractmethod
    def in_graph(self, maps: Maps) -> Tensor:
        """The same by operations that a graph holds, for files that others run.

        Raises NotImplementedError, with a clause that says why, where there are none.
        """


class LibraryHead(DetectorHead, ABC):
    """All of a library's own detector but its trunk, whose place a `Supplied` has.

    The library computes losses and chooses boxes. Pictures are squares of `side` pixels. Tensors
    go by the names that they have in the whole, behind `network`. Boxes whose score isn't above
    `least` are none.
    """

    least: ClassVar[float] = 0.0

    def __init__(self, network: nn.Module, classes: int, side: int) -> None:
        super().__init__(classes)
        self.network = network
        self.side = side

    @abstractmethod
    def losses(self, maps: Maps, objects: Sequence[Objects]) -> Tensor:
        """The library's loss of a batch, its parts added up by its own weights."""

    @abstractmethod
    def answers(self, maps: Maps) -> Iterator[Boxes]:
        """The boxes that the library chooses, a picture at a time, in any order."""

    @abstractmethod
    def candidates(self, maps: Maps) -> tuple[Candidates, float | None]:
        """What it chooses boxes from, and the overlap from which it takes two for one, if any.

        Raises NotImplementedError as `in_graph` does.
        """

    def in_graph(self, maps: Maps) -> Tensor:
        """The library's own choice, written as one of arrays."""
        from headstart.contracts.suppression import rows, sorted_by_power

        return sorted_by_power(rows(*self.candidates(maps), self.least), self.powers)

    def loss(self, maps: Maps, targets: Tensor) -> Tensor:
        """The library's own, of the boxes that have sides."""
        return self.losses(maps, [_objects(rows[1:], self.side) for rows in targets])

    def forward(self, maps: Maps) -> Tensor:
        """The library's own boxes as rows."""
        return torch.stack([self._row(each) for each in self.answers(maps)]).flatten(1)

    def _row(self, boxes: Boxes) -> Tensor:
        rows = boxes.corners.new_zeros(MOST, NUMBERS)
        scores = boxes.scores.clamp(0, 1) ** self.powers[boxes.kinds]
        best = scores.topk(min(MOST, len(scores))).indices
        parts = boxes.corners[best], scores[best, None], boxes.kinds[best, None].to(rows)
        rows[: len(best)] = torch.cat(parts, 1)
        return rows


@final
class Supplied(nn.Module):
    """What stands where a trunk was, and answers with what that answered elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Any = None

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        """What was supplied last, whatever the inputs."""
        return self.answer


def pictures_like(maps: Maps, side: int) -> Tensor:
    """Pictures (N, 3, side, side) of nothing, for networks that ask how large theirs are."""
    first = next(iter(maps.values()))
    return first.new_zeros(1).expand(first.shape[0], 3, side, side)  # `len` fixes it in a graph


def _objects(rows: Tensor, side: int) -> Objects:
    own = rows[rows[:, 4] >= 0]
    corners = own[:, :4] * side
    solid = (corners[:, 2:] - corners[:, :2] > _THIN).all(1)
    return Objects(corners[solid], own[solid, 4].long())
