"""What a hub returns: a backbone as stages, its origin, and how its inputs must look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from headstart.contracts.references import Reference

if TYPE_CHECKING:  # so that cards can be read without torch
    from torch import Tensor, nn

Preprocess = Mapping[str, Any]  # declarative and JSON: for images size, crop, mean, std …


@dataclass(frozen=True)
class Card:
    """What a hub says of one backbone without loading it."""

    reference: str
    modality: str
    parameters: int | None
    input: str
    licence: str | None
    trained_on: str | None
    at_hand: bool
    accuracy: float | None = None  # published top-1 of these weights on ImageNet-1k, in percent
    year: int | None = None  # of publication
    path: str | None = None  # at hand, where given: exactly if a file matches this shell pattern


@dataclass(frozen=True)
class Origin:
    """Where a backbone comes from; kept in every artifact made with it."""

    reference: str
    licence: str | None
    trained_on: str | None
    weights_hash: str  # of the stages' tensors, whatever file they came in
    pretrained: bool


class Fed(Protocol):
    """How a network's inputs must look, and the files that it needs for that, network or not."""

    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def origin(self) -> Origin: ...
    @property
    def files(self) -> Mapping[str, bytes]: ...


@dataclass(frozen=True)
class Feeding:
    """The same of a saved model whose network is not made."""

    preprocess: Preprocess
    origin: Origin
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Level:
    """One scale of the maps that a detector's head reads: pixels from one place to the next.

    `reads` says which map its layers read, and `channels` how wide that is: `cls` for the class,
    `reg` for the box, `obj` for whether there is an object. `layers` are their pretrained weights
    (O, C, 1, 1) and biases, if any; `bare` maps were never made for boxes.
    """

    stride: int
    reads: Mapping[str, str]
    channels: Mapping[str, int]
    layers: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    bare: bool = False


def _identity() -> nn.Module:
    from torch import nn  # late, so that cards can be read without torch

    return nn.Identity()


@dataclass
class Backbone:
    """A network without its old head: stages from the input side; the last gives features (N, D).

    Given are the stages before the pooling and `pool`, which makes features of feature maps or
    token states; `stages` then ends in both as one, and `unpooled()` has them apart. Where a hub
    can't tell them apart `pool` is `nn.Identity`: the vector is then all there is. What stages
    pass on is one tensor or a mapping of tensors. A detector's have `levels`. Where a task's head
    reads maps the pooling that would make rows (N, D) of them is the `summary`, and `wanted` makes
    the same of another such backbone.
    """

    stages: Mapping[str, nn.Module]
    feature_dim: int
    modality: str
    preprocess: Preprocess
    origin: Origin
    architecture: Reference  # rebuilds the same network and preprocessing with random weights
    head: nn.Module | None = None  # the pretrained head, where there is one
    head_name: str = "head"  # the prefix its own library gives the head's tensors
    differentiable: bool = True
    delicate: bool = False  # fine-tuned at the low rates of pretrained transformers
    library: str = ""  # of its own, that opens an artifact made with it
    native: Mapping[str, Any] = field(default_factory=dict)  # that library's config.json
    files: Mapping[str, bytes] = field(default_factory=dict)  # by name, such as its tokenizer
    notes: Sequence[str] = ()  # worth saying: what of its weights was taken, and what left out
    folders: Mapping[str, str] = field(default_factory=dict)  # where its library wants tensors too
    pool: nn.Module = field(default_factory=_identity)
    levels: Sequence[Level] = ()
    summary: nn.Module | None = None
    wanted: Callable[[Backbone], Backbone] | None = None

    def __post_init__(self) -> None:
        from torch import nn

        from headstart.contracts.model import PooledStage

        if not isinstance(self.pool, nn.Identity):
            *_, (name, last) = self.stages.items()
            if not isinstance(last, PooledStage):
                self.stages = {**self.stages, name: PooledStage(last, self.pool)}

    def unpooled(self) -> dict[str, nn.Module]:
        """The stages, the last without the pooling: it gives feature maps or token states."""
        from headstart.contracts.model import PooledStage

        stages = self.stages.items()
        return {name: m[0] if isinstance(m, PooledStage) else m for name, m in stages}

    def prefix(self, boundary: int | None = None) -> list[nn.Module]:
        """The modules up to a boundary between stages; the last one is behind the pooling."""
        from headstart.contracts.model import with_pool

        stages = list(self.unpooled().values())
        whole = boundary is None or boundary >= len(stages)
        return with_pool(stages, self.pool) if whole else stages[:boundary]
