"""Weights read safely, and put into a network under the names that it has today.

transformers does so itself, as it knows older names; what a checkpoint of texts may lack, or have
beside, is told apart from what makes it another network's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import nn

from headstart.hubs.huggingface.families import Family
from headstart.hubs.huggingface.fetching import weight_files
from headstart.hubs.huggingface.layout import Layout
from headstart.loading.refusals import misfit
from headstart.loading.weights import State, linear, read

HEAD: Final = "head"  # what the head over pooled tokens is called
_PARTS: Final = ("weight", "bias")
_HEADS: Final = {f"{HEAD}.{part}" for part in _PARTS}


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


def load(auto: Any, config: Any, state: State, what: str, **more: Any) -> Loaded:
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
                **more,
            )
    except Exception as error:  # names that can't be turned into today's
        raise misfit(what, " ".join(str(error).split())[:200].rstrip(".")) from error
    differing = sorted(str(each[0]) for each in info["mismatched_keys"])
    if differing:
        raise misfit(what, f"{len(differing)} differ in shape: {', '.join(differing[:3])}")
    unexpected = tuple(sorted(info["unexpected_keys"]))
    return Loaded(network.eval(), frozenset(info["missing_keys"]), unexpected)


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

    def head(self, name: str) -> nn.Linear | None:
        """The linear layer of this name, if there is one."""
        parts = {p: self.state[f"{name}.{p}"] for p in _PARTS if f"{name}.{p}" in self.state}
        return linear(parts, None, self.what)


def checkpoint(
    tensors: State, what: str, family: Family, exact: bool, apart: tuple[str, ...]
) -> Checkpoint:
    """The tensors of a file, those of an encoder that was saved alone with its prefix."""
    bare = any(name.startswith(f"{family.embeddings[0]}.") for name in tensors)
    own = {name for name in tensors if name not in _HEADS and not name.startswith(apart)}
    state = {f"{family.prefix}.{n}" if bare and n in own else n: t for n, t in tensors.items()}
    return Checkpoint(state, what, exact, apart)


def fill(auto: Any, config: Any, weights: Checkpoint, family: Family, **more: Any) -> nn.Module:
    """transformers' network with these weights, but for the last layer of a classifier.

    Own pooling that a checkpoint was saved without gets random values. A pooler may be left over,
    and, where the user names no file, the heads of what it was pretrained on. Raises WeightsError
    where other tensors are missing or left over.
    """
    inner, head = f"{family.prefix}.", f"{family.head}."
    pooler = f"{inner}{family.pooler}." if family.pooler else "\0"
    heads = {*_HEADS, *(f"{head}{part}" for part in _PARTS)}
    apart = {name for name in weights.state if name in heads or name.startswith(weights.apart)}
    state = {name: tensor for name, tensor in weights.state.items() if name not in apart}
    loaded = load(auto, config, state, weights.what, **more)
    missing = [name for name in loaded.missing if not name.startswith(head)]
    if not weights.exact and not weights.has_own_pooling(family):
        missing = [n for n in missing if n.startswith(inner) and not n.startswith(pooler)]
    left_over = [
        name.removeprefix(inner)
        for name in state
        if {name, name.removeprefix(inner)} & {*loaded.unexpected}
        and (weights.exact or name.startswith(inner))
        and not name.startswith(pooler)
    ]
    reasons = [
        f"{len(names)} {word}: {', '.join(sorted(names)[:3])}"
        for names, word in ((missing, "missing"), (left_over, "left over"))
        if names
    ]
    if reasons:
        raise misfit(weights.what, "; ".join(reasons))
    return loaded.network
