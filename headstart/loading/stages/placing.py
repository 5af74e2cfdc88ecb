"""Parts of a network that keep the names that their tensors have in the whole."""

from __future__ import annotations

from torch import nn


def place(root: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module under its dotted name, with empty modules on the way there."""
    *above, last = name.split(".")
    for step in above:
        if step not in root._modules:
            root.add_module(step, nn.Module())
        root = root.get_submodule(step)
    root.add_module(last, module)
