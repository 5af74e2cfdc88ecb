"""Weights read safely, and put into a network by transformers itself, which knows older names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from headstart.errors import WeightsError
from headstart.hubs.huggingface.fetching import weight_files
from headstart.hubs.huggingface.layout import Layout
from headstart.loading.weights import State, read


@final
@dataclass(frozen=True)
class Loaded:
    """A network, and which of its tensors were not among the weights, or not in the network."""

    network: nn.Module
    missing: frozenset[str]
    left: tuple[str, ...]


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
    found = auto._model_mapping[type(config)]
    return found[0] if isinstance(found, tuple) else found


def load(auto: Any, config: Any, state: State, what: str) -> Loaded:
    """A network of transformers with these tensors, by whatever names it knows them.

    Raises WeightsError where their shapes are another network's.
    """
    try:
        with quiet(), torch.random.fork_rng(devices=()):
            network, told = named_class(auto, config).from_pretrained(
                None,
                config=deepcopy(config),
                state_dict=dict(state),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:  # names that can't be turned into today's
        raise misfit(what, " ".join(str(error).split())[:200].rstrip(".")) from error
    differing = sorted(str(each[0]) for each in told["mismatched_keys"])
    if differing:
        raise misfit(what, f"{len(differing)} differ in shape: {', '.join(differing[:3])}")
    left = tuple(sorted(told["unexpected_keys"]))
    return Loaded(network.eval(), frozenset(told["missing_keys"]), left)


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
