"""Adapters that peft saved, merged into the weights they are for (Hu et al. 2021)."""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.huggingface.fetching import ADAPTED
from headstart.hubs.huggingface.loading import Loaded
from headstart.hubs.huggingface.reading import ADAPTER, read_json
from headstart.loading.refusals import demand_package
from headstart.loading.weights import State, read

_MODEL: Final = "base_model.model."  # what peft puts before the names of the model
_KEPT: Final = frozenset(  # settings of a LoRA that say what is merged; all others must be off
    """r lora_alpha lora_dropout target_modules exclude_modules modules_to_save bias fan_in_fan_out
    use_rslora use_dora rank_pattern alpha_pattern layers_to_transform layers_pattern lora_bias
    target_parameters trainable_token_indices peft_type task_type base_model_name_or_path
    inference_mode""".split()
)
_IDLE: Final = frozenset(  # that change nothing once its tensors are there
    """auto_mapping peft_version revision megatron_core qalora_group_size init_lora_weights
    ensure_weight_tying loftq_config""".split()
)
_LORA: Final = ("lora_A.", "lora_embedding_A", "lora_B.", "lora_embedding_B")
Load = Callable[[bool, int], Loaded]


def merged(adapter: Path, what: str, prefix: str, head: str, load: Load) -> State:
    """The tensors of a model with an adapter merged, by the names of transformers' classifier.

    Or of the encoder alone, as the adapter was made for. `load` makes the model with its weights:
    told whether with a classifier, and with how many labels. `prefix` and `head` are the
    classifier's names for the encoder and the last layer. Raises HeadstartError for an adapter of a
    kind that can't be merged, WeightsError for one that is another model's.
    """
    demand_package("peft", f"{what} is an adapter and", "lora")
    state = read(adapter / ADAPTED).state
    settings = _settings(adapter / ADAPTER, state, what)
    whole = any(name.startswith(f"{_MODEL}{prefix}.") for name in state)
    weight = state.get(f"{_MODEL}{head}.weight")
    base = load(whole, 2 if weight is None else len(weight))
    missing = base.missing - {name.removeprefix(_MODEL) for name in state}
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
            warnings.simplefilter("ignore")
            network = _adapted(base.network, settings, state, adapter / ADAPTED)
    except HeadstartError:
        raise
    except Exception as error:  # peft refuses each misfit in its own way
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise _misfit(what, f"{type(error).__name__}: {reason}") from error
    return {n: t.detach() for n, t in network.state_dict().items() if n not in missing}


def _settings(path: Path, state: State, what: str) -> dict[str, Any]:
    """adapter_config.json with nothing in it but what is merged, its ranks those of the tensors."""
    content = read_json(path)
    kind = str(content.get("peft_type")).upper()
    if kind != "LORA":
        raise HeadstartError(
            f"{what} is an adapter of the kind {kind}, not LORA. Merge it with peft "
            "(merge_and_unload, then save_pretrained), and give that folder."
        )
    odd = [n for n, value in content.items() if value and n not in _KEPT | _IDLE]
    start = content.get("init_lora_weights", True)
    if not isinstance(start, bool) and start not in ("gaussian", "orthogonal"):
        odd.append(f"init_lora_weights={start}")
    if odd:
        raise HeadstartError(
            f"{what} is an adapter with {odd[0]!r}, which can't be merged here. Merge it with peft "
            "(merge_and_unload, then save_pretrained), and give that folder."
        )
    sides = [side for name, t in state.items() if any(p in name for p in _LORA) for side in t.shape]
    for rank in _numbers(content, "r", "rank_pattern"):
        if not isinstance(rank, int) or not 0 < rank <= max(sides, default=0):
            raise _misfit(what, f"a rank of {rank!r}, which none of its tensors has")
    for scale in _numbers(content, "lora_alpha", "alpha_pattern"):
        if not isinstance(scale, int | float) or not math.isfinite(scale):
            raise _misfit(what, f"lora_alpha={scale!r}, which is no number")
    return {n: value for n, value in content.items() if n in _KEPT} | {"init_lora_weights": True}


def _numbers(settings: Mapping[str, Any], name: str, pattern: str) -> list[Any]:
    """A setting of most layers, and those of others."""
    others = settings.get(pattern)
    return [settings.get(name, 8), *(others.values() if isinstance(others, Mapping) else ())]


def _adapted(model: nn.Module, settings: Mapping[str, Any], state: State, file: Path) -> nn.Module:
    """The model with the adapter merged, by peft, from a copy of these settings."""
    from peft import PeftModel, set_peft_model_state_dict

    with tempfile.TemporaryDirectory() as place:
        (Path(place) / ADAPTER).write_text(json.dumps(settings), encoding="utf-8")
        os.symlink(file.resolve(), Path(place) / ADAPTED)
        network: Any = PeftModel.from_pretrained(model, place)
    result: Any = set_peft_model_state_dict(network, state)
    unexpected = sorted(result.unexpected_keys)
    if unexpected:
        raise ValueError(f"{len(unexpected)} left over: {', '.join(unexpected[:3])}")
    joined: nn.Module = network.merge_and_unload()
    return joined


def _misfit(what: str, reason: str) -> WeightsError:
    return WeightsError(
        f"{what} does not fit the model that it is for: {reason}. "
        "Give the adapter's own model with ?base=FOLDER."
    )
