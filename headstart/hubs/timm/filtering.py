"""Filling a network by timm's own filters: files of authors, of other sizes and channels."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, final

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from headstart.hubs.timm.library import timm
from headstart.hubs.timm.planning import TimmSpec
from headstart.loading.weights import State, Weights
from headstart.loading.weights.fitting import without_wrappers

_BLOCK: Final = re.compile(r"block_?\d")  # in JAX's names, of transformers and of BiT
_HEAD_BIASES: Final = ("head/bias", "head/conv2d/bias")
_BLOCKS: Final = ("blocks.", "stages.", "patch_embed.backbone.stages.")
_HEADS: Final = frozenset({"head", "heads", "fc", "classifier"})


def filled(spec: TimmSpec, state: State) -> nn.Module | None:
    """The network as timm makes it of a file's tensors; None where they aren't all it needs.

    They are offered under their own names, and without what stands before all of them.
    """
    bare = without_wrappers(state)
    network = _filled(spec, state)
    return _filled(spec, bare) if network is None and bare.keys() != state.keys() else network


@final
@dataclass(eq=False)
class _Copies(TorchFunctionMode):
    """Notes which tensors are copied to, as those are that timm loads.

    It leaves those random, in silence, that it doesn't find for networks it is not strict with.
    """

    places: set[int] = field(default_factory=set)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call the function, and note where it copies to."""
        if function is Tensor.copy_:
            self.places.add(args[0].data_ptr())
        return function(*args, **(kwargs or {}))


def _filled(spec: TimmSpec, state: State) -> nn.Module | None:
    classes = _classes(state)
    overlay = {
        "state_dict": state,
        "num_classes": classes,
        "custom_load": False,
        "label_offset": None,
        "source": None,
    }
    if spec.beside is not None and "channels" in spec.reference.options:
        overlay["input_size"] = tuple(spec.beside.config["input_size"])
    try:
        with _quiet(), _Copies() as copies:
            network: nn.Module = timm.create_model(
                spec.reference.name,
                pretrained=True,
                pretrained_cfg_overlay=overlay,
                num_classes=classes,
                **spec.keywords,
            )
    except Exception:  # a filter meets tensors of any other network
        return None
    network.pretrained_cfg.pop("state_dict", None)  # type: ignore[operator,union-attr]
    return network if _is_whole(network, copies) else None


def of_arrays(spec: TimmSpec, file: Weights) -> nn.Module | None:
    """The network as timm reads an archive of arrays that JAX named; None where it doesn't.

    Every layer of the file must be one of the network's, as timm takes the first of more.
    """
    if file.archive is None:
        return None
    heads = [t for n, t in file.state.items() if n.endswith(_HEAD_BIASES) and t.dim() == 1]
    try:
        with _quiet(), _Copies() as copies:
            network: nn.Module = timm.create_model(
                spec.reference.name, num_classes=len(heads[0]) if heads else 0, **spec.keywords
            )
            copies.places.clear()  # of random values
            network.load_pretrained(str(file.archive))  # type: ignore[operator]
    except Exception:  # other networks have no such method, and other names no such arrays
        return None
    own = sum(p.numel() for n, p in network.named_parameters() if n.startswith(_BLOCKS))
    names = (n for n in file.state if _BLOCK.search(n) and not n.startswith("opt/state"))
    same = own == sum(file.state[name].numel() for name in names)
    return network if same and _is_whole(network, copies) else None


def _is_whole(network: nn.Module, copies: _Copies) -> bool:
    tensors = [t for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")]
    return all(tensor.data_ptr() in copies.places for tensor in tensors if tensor.numel())


def _classes(state: State) -> int:
    """How many outputs the last layer has, where its name is that of a head."""
    names = [n for n, t in state.items() if n.endswith(".weight") and t.dim() in (2, 4)]
    return state[names[-1]].shape[0] if names and _HEADS & set(names[-1].split(".")) else 0


@contextmanager
def _quiet() -> Iterator[None]:
    """Let timm not list the tensors that it leaves out, until the end."""
    logger = logging.getLogger("timm")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
