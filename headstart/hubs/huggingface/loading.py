"""Weights read safely, and put into a network under the names that it has today.

Of pictures by transformers itself, which knows older names; of texts by ours, so that poolings and
heads that a checkpoint lacks, or has beside, are told apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import nn

from headstart.errors import WeightsError
from headstart.hubs.huggingface.families import Family
from headstart.hubs.huggingface.fetching import weight_files
from headstart.hubs.huggingface.layout import Layout
from headstart.loading.weights import State, linear, load_into, read

HEAD: Final = "head"  # what the head over pooled tokens is called
_OLD: Final = {".gamma": ".weight", ".beta": ".bias"}  # of norms, in checkpoints of 2018
_TABLES: Final = (".position_ids", ".token_type_ids")  # that older versions saved
_PARTS: Final = ("weight", "bias")


@final
@dataclass(frozen=True)
class Loaded:
    """A network, and which of its tensors were not among the weights, or not in the network."""

    network: nn.Module
    missing: frozenset[str]
    unexpected: tuple[str, ...]


def read_weights(layout: Layout) -> tuple[State, str]:
    """The tensors of a layout in single precision, and what messages call their file.

    Raises WeightsError where there are none, or they are damaged or unsafe.
    """
    files = [layout.file] if layout.file else weight_files(layout.encoder, layout.what)
    state: State = {}
    for file in files:
        state |= read(file).state
    single = {n: t.float() if t.is_floating_point() else t for n, t in state.items()}
    return single, str(files[0])


def named_class(auto: Any, config: Any) -> Any:
    """The class that an automatic one of transformers stands for, the first where it is several."""
    kind = auto._model_mapping[type(config)]
    return kind[0] if isinstance(kind, tuple) else kind


def labelled(config: Any, auto: Any, labels: int) -> Any:
    """config.json as it is for so many labels, with the class that is meant where it is several."""
    changed = deepcopy(config)
    changed.num_labels = labels
    changed.architectures = [named_class(auto, config).__name__]
    return changed


def load(auto: Any, config: Any, state: State, what: str) -> Loaded:
    """A network of transformers with these tensors, by whatever names it knows them.

    Raises WeightsError where their shapes are another network's.
    """
    try:
        with quiet(), torch.random.fork_rng(devices=()):
            network, info = named_class(auto, config).from_pretrained(
                None,
                config=deepcopy(config),
                state_dict=dict(state),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:  # names that can't be turned into today's
        raise misfit(what, " ".join(str(error).split())[:200].rstrip(".")) from error
    differing = sorted(str(each[0]) for each in info["mismatched_keys"])
    if differing:
        raise misfit(what, f"{len(differing)} differ in shape: {', '.join(differing[:3])}")
    unexpected = tuple(sorted(info["unexpected_keys"]))
    return Loaded(network.eval(), frozenset(info["missing_keys"]), unexpected)


def misfit(what: str, reason: str) -> WeightsError:
    """The refusal of weights that belong to another network."""
    return WeightsError(
        f"{what} does not fit the network: {reason}. Give the weights of this architecture."
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars and reports."""
    from transformers import utils

    logging: Any = utils.logging
    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@final
@dataclass(frozen=True)
class Checkpoint:
    """Tensors as transformers' classifier names them: the encoder's with its prefix.

    `exact` says that the user named the file, so that nothing in it may be left over.
    """

    state: State
    what: str
    exact: bool
    apart: tuple[str, ...] = ()  # what names begin with that are not the network's

    def has_own_pooling(self, family: Family) -> bool:
        """Whether the model's own pooling was trained."""
        return family.trained in self.state


def checkpoint(
    tensors: State, what: str, family: Family, exact: bool, apart: tuple[str, ...] = ()
) -> Checkpoint:
    """Give the tensors of a file today's names, but for those that begin `apart`."""
    bare = any(name.startswith(f"{family.embeddings[0]}.") for name in tensors)
    heads = {f"{HEAD}.{part}" for part in _PARTS}
    state: State = {}
    for name, tensor in tensors.items():
        for old, new in _OLD.items():
            name = name.removesuffix(old) + new if name.endswith(old) else name
        if not name.endswith(_TABLES):
            outside = name in heads or name.startswith(apart)
            state[f"{family.prefix}.{name}" if bare and not outside else name] = tensor
    return Checkpoint(state, what, exact, apart)


def fill(network: nn.Module, weights: Checkpoint, family: Family, own: bool) -> nn.Linear | None:
    """Load the network, which has no head, and answer the head that the checkpoint holds.

    Own pooling that a checkpoint was saved without keeps the network's values. Raises WeightsError
    where the tensors are not those of the network.
    """
    cut = "" if own else f"{family.prefix}."
    own_state = {f"{cut}{name}": tensor for name, tensor in network.state_dict().items()}
    head = f"{family.head if own else HEAD}."
    parts = {name: t for name, t in weights.state.items() if name in {head + p for p in _PARTS}}
    dropped = set(parts) | _dropped(weights, family, network) - set(own_state)
    dropped |= {name for name in weights.state if name.startswith(weights.apart)}
    state = {name: tensor for name, tensor in weights.state.items() if name not in dropped}
    if not weights.exact and not weights.has_own_pooling(family):
        state |= {n: t for n, t in own_state.items() if n not in state and _pools(n, family)}
    load_into(network, {name.removeprefix(cut): t for name, t in state.items()}, weights.what)
    return linear({n.removeprefix(head): t for n, t in parts.items()}, None, weights.what)


def _dropped(weights: Checkpoint, family: Family, network: Any) -> set[str]:
    """Tensors that a network may do without: a pooler and, where the user names no file, more.

    That is the heads of what it was pretrained on, and what transformers itself leaves out.
    """
    inner = f"{family.prefix}."
    ignored = [] if weights.exact else network._keys_to_ignore_on_load_unexpected or []
    return {
        name
        for name in weights.state
        if name.startswith(_pooler(family))
        or (not weights.exact and not name.startswith(inner))
        or any(re.search(pattern, name) for pattern in ignored)
    }


def _pools(name: str, family: Family) -> bool:
    """Whether a tensor belongs to own pooling."""
    inner = f"{family.prefix}."
    return not name.startswith(inner) or name.startswith(_pooler(family))


def _pooler(family: Family) -> str:
    """What the names of the encoder's pooler begin with; no name, where it has none."""
    return f"{family.prefix}.{family.pooler}." if family.pooler else "\0"
