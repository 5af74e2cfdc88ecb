"""The stages of a torchvision detector: its trunk, and the neck that makes a pyramid of maps."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, final

from torch import Tensor, nn

from headstart.loading.stages.placing import place

_WHOLE, _TRUNK, _NECK = "backbone", "backbone.body", "backbone.fpn"
_MAP: Final = "map"


@final
class Piece(nn.Module):
    """A part of a detector between pictures or maps and maps, by the name it has there."""

    def __init__(self, name: str, part: nn.Module) -> None:
        super().__init__()
        place(self, name, part)
        self.name = name

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        """Pictures (N, 3, H, W), or maps by name, to maps by name."""
        maps = self.get_submodule(self.name)(theirs(inputs))
        return {f"{_MAP}{name}": values for name, values in maps.items()}


def theirs(inputs: Any) -> Any:
    """Maps by the names that torchvision has for them, in its order; pictures as they are."""
    if not isinstance(inputs, Mapping):
        return inputs
    return OrderedDict(
        (name.removeprefix(_MAP), inputs[name]) for name in sorted(inputs, key=_rank)
    )


def _rank(name: str) -> tuple[bool, str]:
    """Scales by their number, from fine to coarse, and then those that are made of the last."""
    own = name.removeprefix(_MAP)
    return not own.isdigit(), own


def stages(backbone: nn.Module) -> dict[str, nn.Module]:
    """The trunk and the neck, or both as one where there is no pyramid."""
    children = dict(backbone.named_children())
    if {"body", "fpn"} <= children.keys():
        return {
            "trunk": Piece(_TRUNK, children["body"]).eval(),
            "neck": Piece(_NECK, children["fpn"]).eval(),
        }
    return {"trunk": Piece(_WHOLE, backbone).eval()}
