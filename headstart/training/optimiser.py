"""The loop's optimiser, which doesn't bring torch's compiler along."""

from __future__ import annotations

from typing import Any, final

import torch

from headstart.loading.lean import eager


@final
class EagerAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter 2019), for whose calls alone nothing is imported."""

    def __init__(self, groups: list[dict[str, Any]], **options: Any) -> None:
        with eager():
            super().__init__(groups, **options)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        with eager():
            super().zero_grad(set_to_none)

    def step(self, closure: Any = None) -> Any:
        """Move all parameters."""
        with eager():
            return super().step(closure)

    def state_dict(self) -> dict[str, Any]:
        """What a later run needs to go on."""
        with eager():
            state: dict[str, Any] = super().state_dict()
            return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state."""
        with eager():
            super().load_state_dict(state_dict)
