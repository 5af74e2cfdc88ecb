"""A checkpoint's tensors under the names of the network they are meant for, and its head apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final, final

from headstart.loading.weights.opening import Weights
from headstart.loading.weights.tensors import COUNTER, State, load_into
from headstart.loading.weights.unwrapping import note

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor, nn

_HEADS: Final = frozenset(  # what networks call their last layers
    """head heads head_drop fc classifier classif cls_head classification_head linear last_linear
    logits output output_layer projector projection projection_head predictor""".split()
)
_AROUND: Final = frozenset(  # what may stand before the names of a whole network
    """module model net network backbone encoder encoder_q base_encoder feature_extractor trunk
    teacher student online_network timm_model""".split()
)
_AVERAGED: Final = frozenset({"ema", "swa", "averaged", "teacher"})
_BESIDE: Final = frozenset({"k", "momentum", "target"})  # networks that only help in training
_DEEPEST: Final = 8  # parts of a name that may stand before the network's own
_SHOWN: Final = 3


@final
@dataclass(frozen=True)
class Fitted:
    """Tensors by the network's names, what may be missing or left over included.

    `head` holds `weight` and maybe `bias`, or nothing.
    """

    body: State
    head: State
    notes: tuple[str, ...]


@final
@dataclass(frozen=True)
class Place:
    """Where a network begins in a checkpoint's names, and what they lack at their beginning.

    What doesn't begin with `root` belongs to another.
    """

    prefix: str = ""
    added: str = ""
    root: str = ""

    def parted(self, state: State) -> tuple[State, State]:
        """The network's tensors under its own names, and those of others."""
        inside = {
            self.added + name.removeprefix(self.prefix): tensor
            for name, tensor in state.items()
            if name.startswith(self.root)
        }
        return inside, {n: t for n, t in state.items() if not n.startswith(self.root)}


def fit(
    weights: Weights,
    body: Mapping[str, Tensor],
    head: str,
    width: int,
    averaged: bool = True,
    file: str = "",
) -> Fitted:
    """Give a checkpoint's tensors the names in `body`, a network without its head.

    What stands before all names is dropped, or added where the network has it; what belongs to
    another network beside this one is left out. `head` is what the network calls its head and
    `width` how many features that reads. A head in a Sequential is found if it is one linear
    layer; any other is left out, which the notes say. `file` names the checkpoint in notes.
    """
    notes = list(weights.notes)
    names = {name for name in body if not name.endswith(COUNTER)}
    place = _place(weights.state, names, averaged)
    if _is_averaged(place.prefix) and averaged:
        notes.append(note(file, place.prefix.rstrip(".")))
    inside, outside = place.parted(weights.state)
    heads = {
        name: tensor
        for name, tensor in inside.items()
        if name not in body and _may_be_head(name.removeprefix(place.added), head)
    } or _outer_head(outside, head, width)
    layer = _head(heads, {head, head.removeprefix(place.added)}, width)
    if heads and not layer:
        notes.append(
            f"The head in {file} ({_some(heads)}) is not one linear layer of {width} features, so "
            "it is left out."
        )
    beside = dict.fromkeys(name.partition(".")[0] for name in outside if name not in heads)
    if beside:
        notes.append(f"What {file} holds beside the network is left out: {_some(beside)}.")
    network = {name: tensor for name, tensor in inside.items() if name not in heads}
    return Fitted(network, layer, tuple(notes))


def apart(state: Mapping[str, Tensor], head: str) -> tuple[State, State]:
    """The tensors of a network, and those of its head, called `head`, under their own names."""
    prefix = f"{head}."
    parts = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    return {n: t for n, t in state.items() if not n.startswith(prefix)}, parts


def load_with_head(
    network: nn.Module, state: Mapping[str, Tensor], head: str, what: str
) -> nn.Linear | None:
    """Fill a network without a head, and answer the head beside it, called `head`, if any.

    Raises WeightsError for tensors of another network; `what` names their file.
    """
    body, parts = apart(state, head)
    load_into(network, body, what)
    return linear(parts, None, what)


def linear(head: Mapping[str, Tensor], width: int | None, what: str) -> nn.Linear | None:
    """The layer that a checkpoint's head is, or None where it has none.

    Raises WeightsError where it doesn't read `width` features (None: any); `what` names the file.
    """
    from torch import nn

    weight = head.get("weight")
    if weight is None or weight.dim() != 2:
        return None
    sides = weight.shape[1] if width is None else width, weight.shape[0]
    layer = nn.Linear(*sides, "bias" in head, device="meta").to_empty(device="cpu")
    load_into(layer, head, f"{what} (its head)")
    return layer


def without_wrappers(state: State) -> State:
    """Names without the words before them that say nothing of the network, where all have them.

    Names of heads need not have them.
    """
    while state:
        first = next(iter(state)).partition(".")[0]
        body = [name for name in state if not _may_be_head(name, "")]
        if first not in _AROUND or not all(name.startswith(f"{first}.") for name in body):
            return state
        state = {name.removeprefix(f"{first}."): tensor for name, tensor in state.items()}
    return state


def _place(names: Iterable[str], network: Collection[str], averaged: bool) -> Place:
    """Where most of the network's names are found; at the beginning, where few are."""
    names, best, most = list(names), Place(), len(network) // 2
    ranks, shared = (most, 0, 0), _shared(network)
    own = shared if set(shared.split(".")) <= _AROUND | {""} else ""
    for added in dict.fromkeys(("", shared)):
        bare = {name.removeprefix(added) for name in network}
        counts = Counter(prefix for name in names for prefix, rest in _splits(name) if rest in bare)
        for prefix, count in counts.items():
            rank = count, -_rank(prefix, averaged), -len(prefix)
            if count > most and rank > ranks:
                best, ranks = Place(prefix, added, prefix if added else prefix + own), rank
    return best


def _splits(name: str) -> Iterable[tuple[str, str]]:
    parts = name.split(".", _DEEPEST)
    for cut in range(len(parts)):
        prefix = ".".join(parts[:cut])
        yield f"{prefix}." if cut else "", ".".join(parts[cut:])


def _shared(names: Collection[str]) -> str:
    """What all names begin with, up to a dot."""
    least, most = min(names, default=""), max(names, default="")
    pairs = zip(least.split(".")[:-1], most.split(".")[:-1], strict=False)
    return "".join(f"{first}." for first, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _rank(prefix: str, averaged: bool) -> int:
    """Which of several whole networks to take: the least."""
    words = set(prefix.replace("_", ".").split("."))
    if words & _BESIDE:
        return 2
    return 1 if not _is_averaged(prefix) else 0 if averaged else 3


def _is_averaged(prefix: str) -> bool:
    return bool(set(prefix.replace("_", ".").split(".")) & _AVERAGED)


def _may_be_head(name: str, head: str) -> bool:
    """Whether a tensor that is none of the body's may belong to the head, by its name."""
    parts = name.split(".")
    first = next((part for part in parts[:-1] if part not in _AROUND), "")
    own = f"{head.partition('.')[0]}." if head else "\0"
    return first in _HEADS or name.startswith(own)


def _outer_head(outside: State, head: str, width: int) -> State:
    """What may be the head outside the body: by its name, or as the only layer that fits."""
    by_name = {name: tensor for name, tensor in outside.items() if _may_be_head(name, head)}
    layers = _linears(outside, width)
    if by_name or len(layers) != 1:
        return by_name
    return {n: t for n, t in outside.items() if n.startswith(f"{layers[0]}.")}


def _linears(state: Mapping[str, Tensor], width: int) -> list[str]:
    """The names of the linear layers that read so many features."""
    return [
        name.removesuffix(".weight")
        for name, tensor in state.items()
        if name.endswith(".weight") and tensor.dim() == 2 and tensor.shape[1] == width
    ]


def _head(heads: State, own: Collection[str], width: int) -> State:
    """The tensors of the one linear layer that a head is; empty where it is none."""
    layers = [name for name in own if f"{name}.weight" in heads] or _linears(heads, width)
    for layer in layers:
        parts = {n.removeprefix(f"{layer}."): n for n in heads if n.startswith(f"{layer}.")}
        alone = layer in own or len(parts) == len(heads)
        if alone and set(parts) <= {"weight", "bias"}:
            return {part: heads[name] for part, name in parts.items()}
    return {}


def _some(names: Collection[str]) -> str:
    return ", ".join(list(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
