"""What a hub returns: a backbone as stages, its origin, and how its inputs must look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from headstart.contracts.late import LateStages
from headstart.contracts.levels import Level
from headstart.contracts.origin import Card as Card
from headstart.contracts.origin import Fed as Fed
from headstart.contracts.origin import Feeding as Feeding
from headstart.contracts.origin import Origin as Origin
from headstart.contracts.origin import Preprocess as Preprocess
from headstart.contracts.references import Reference

if TYPE_CHECKING:  # so that cards can be read without torch
    from torch import nn

    from headstart.contracts.detector import LibraryHead
    from headstart.contracts.related import Related


def _identity() -> nn.Module:
    from torch import nn  # late, so that cards can be read without torch

    return nn.Identity()


def _none() -> None:
    return None


_OF_NETWORK = ("pool", "head", "transcriber")


@dataclass
class Backbone:
    """A network without its old head: stages from the input side; the last gives features (N, D).

    Given are the stages before the pooling and `pool`, which makes features of feature maps or
    token states; `stages` then ends in both as one, and `unpooled()` has them apart. Where a hub
    can't tell, `pool` is `nn.Identity`. What stages pass on is one tensor or a mapping of tensors.
    A detector's have `levels`, or its library makes the rest: `detector`, for classes of these
    names. Where a task's head reads maps the pooling that would make rows (N, D) of them is the
    `summary`, and `for_task` makes the same of another such backbone.
    """

    stages: Mapping[str, nn.Module]
    feature_dim: int
    modality: str
    preprocess: Preprocess
    origin: Origin
    architecture: Reference  # rebuilds the same network and preprocessing with random weights
    head: nn.Module | None = field(default_factory=_none)  # the pretrained head, if there is one
    head_name: str = "head"  # the prefix its own library gives the head's tensors
    differentiable: bool = True
    delicate: bool = False  # fine-tuned at the low rates of pretrained transformers
    library: str = ""  # of its own, that opens an artifact made with it
    native: Mapping[str, Any] = field(default_factory=dict)  # that library's config.json
    files: Mapping[str, bytes] = field(default_factory=dict)  # by name, such as its tokenizer
    notes: Sequence[str] = ()  # worth saying: what of its weights was taken, and what left out
    heads: Sequence[str] = ()  # of the catalog, tried beside the probe where it can't be trained
    related: Sequence[Related] = ()  # labelled rows of other tables, in its features
    folders: Mapping[str, str] = field(default_factory=dict)  # where its library wants tensors too
    pool: nn.Module = field(default_factory=_identity)
    layers: Sequence[str] = ()  # for `?layer=`, input side first, where not the stages
    levels: Sequence[Level] = ()
    detector: Callable[[Sequence[str]], LibraryHead] | None = None
    summary: nn.Module | None = None
    for_task: Callable[[Backbone], Backbone] | None = None
    parts: Mapping[str, Backbone] = field(default_factory=dict)  # whose features it joins, by name
    transcriber: Callable[[], Backbone] | None = field(default_factory=_none)  # of what is said

    def __post_init__(self) -> None:
        from torch import nn

        from headstart.contracts.model import PooledStage

        if not isinstance(self.pool, nn.Identity):
            *_, (name, last) = self.stages.items()
            if not isinstance(last, PooledStage):
                self.stages = {**self.stages, name: PooledStage(last, self.pool)}

    @classmethod
    def late(
        cls, make: Callable[[], Backbone], stages: Sequence[str], parameters: int, **facts: Any
    ) -> Backbone:
        """One that is known before its network is there, which `make` is asked for at first use.

        `facts` are all fields but stages, pool and head, which are the network's.
        """
        backbone, whole = object.__new__(cls), cache(make)
        for each in fields(cls):
            if each.default_factory is not MISSING and each.name not in _OF_NETWORK:
                facts.setdefault(each.name, each.default_factory())
        facts |= {"stages": LateStages(stages, whole), "_parameters": parameters, "_whole": whole}
        vars(backbone).update(facts)
        return backbone

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What a network has that isn't there yet."""
            if name not in _OF_NETWORK or "_whole" not in vars(self):
                raise AttributeError(name)
            return getattr(vars(self)["_whole"](), name)

    def __getstate__(self) -> dict[str, Any]:
        """All of it, with the network where that isn't there yet."""
        state = {each.name: getattr(self, each.name) for each in fields(self)}
        return state | {"stages": dict(self.stages)}

    @property
    def is_late(self) -> bool:
        """Whether its network is not there yet."""
        whole = vars(self).get("_whole")
        return whole is not None and not whole.cache_info().currsize

    @property
    def parameters(self) -> int:
        """How many numbers its stages and their pooling hold."""
        if (count := vars(self).get("_parameters")) is not None:
            return int(count)
        return sum(p.numel() for part in self.prefix() for p in part.parameters())

    def unpooled(self) -> dict[str, nn.Module]:
        """The stages, the last without the pooling: it gives feature maps or token states."""
        from headstart.contracts.model import PooledStage

        own = self.stages.items()
        return {name: m[0] if isinstance(m, PooledStage) else m for name, m in own}

    def prefix(self, boundary: int | None = None) -> list[nn.Module]:
        """The modules up to a boundary between stages; the last one is behind the pooling."""
        from headstart.contracts.model import with_pool

        stages = list(self.unpooled().values())
        whole = boundary is None or boundary >= len(stages)
        return with_pool(stages, self.pool) if whole else stages[:boundary]
