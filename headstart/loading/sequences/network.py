"""Encoder–decoders of transformers: built, filled, and cut into stages and what writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import torch
from torch import Tensor, nn

from headstart.errors import HeadstartError, WeightsError, reason
from headstart.loading.sequences.writer import Writer
from headstart.loading.stages.placing import place

if TYPE_CHECKING:
    from headstart.loading.sequences.vocabulary import Vocabulary

_MASKED: Final = -30000.0  # far below any score, and in the range of every floating-point type


@final
@dataclass(frozen=True)
class Family:
    """Where an encoder–decoder of one kind has its norm behind the encoder's last layer, if any."""

    norm: str = ""


FAMILIES: Final[Mapping[str, Family]] = {  # by transformers' word for the kind
    "bart": Family(),
    "m2m_100": Family("layer_norm"),
    "marian": Family(),
    "mbart": Family("layer_norm"),
}
_TABLES: Final = ("model.decoder.embed_tokens.weight", "model.shared.weight", "lm_head.weight")
ENCODER, DECODER = "model.encoder", "model.decoder"


def configured(raw: Mapping[str, Any], vocabulary: int, what: str) -> Any:
    """config.json as transformers has it, with a table for each side, of so many pieces.

    Raises HeadstartError where it can't be used.
    """
    from transformers import CONFIG_MAPPING

    own = dict(raw) | {"vocab_size": vocabulary}
    if raw["model_type"] == "marian":  # the one kind that can have an output tied to one table
        own |= {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": vocabulary}
    else:
        own |= {"tie_word_embeddings": False}
    try:
        config = CONFIG_MAPPING[raw["model_type"]].from_dict(own)
    except Exception as error:  # each kind checks its values in its own way
        raise HeadstartError(
            f"{what} has a config.json that transformers can't use ({reason(error)}). "
            "Give another model."
        ) from error
    config.use_cache = True
    return config


def untrained(config: Any) -> nn.Module:
    """A network with random weights, drawn from torch's generator; fixed positions are buffers."""
    from transformers import AutoModelForSeq2SeqLM

    auto: Any = AutoModelForSeq2SeqLM
    network: nn.Module = auto.from_config(config, trust_remote_code=False)
    for module in network.modules():
        values = module._parameters.get("weight")
        if "Sinusoidal" in type(module).__name__ and values is not None:
            del module._parameters["weight"]
            module.register_buffer("weight", values.detach())
    return network.eval()


def fill(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Give a network the tensors of a file, which may leave out those that are tied to another.

    Raises WeightsError where others are missing, or differ in shape.
    """
    own = network.state_dict()
    names = {name: name if name in state else _tied(name, state) for name in own}
    optional = ("final_logits_bias", "embed_positions.weight", "model.shared.weight")
    missing = [n for n, source in names.items() if source is None and not n.endswith(optional)]
    differing = [n for n, source in names.items() if source and state[source].shape != own[n].shape]
    surplus = [n for n in state if n not in own and n not in _TABLES and not n.endswith(optional)]
    kinds = {"missing": missing, "of another shape": differing, "left over": surplus}
    faults = [f"{len(n)} {kind}: {', '.join(n[:3])}" for kind, n in kinds.items() if n]
    if faults:
        raise WeightsError(
            f"{what} does not fit the network: {'; '.join(faults)}. "
            "Give the weights of this architecture."
        )
    with torch.no_grad():
        for name, source in names.items():
            if source is not None:
                own[name].copy_(state[source])


def _tied(name: str, state: Mapping[str, Tensor]) -> str | None:
    """The tensor that one which is not in a file was tied to when that was saved."""
    embedding = f"{ENCODER}.embed_tokens.weight"
    if name not in (*_TABLES, embedding):
        return None
    others = _TABLES[1:] if name == embedding else _TABLES
    return next((other for other in others if other in state), None)


@final
class _Embeddings(nn.Module):
    """The encoder without its layers: tokens and their places as hidden states."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        place(self, ENCODER, encoder)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`input_ids` (N, T) and `mask` (N, T) to `hidden` (N, T, D) and that mask."""
        answer: Any = self.get_submodule(ENCODER)(input_ids=inputs["input_ids"])
        return {"hidden": answer.last_hidden_state, "mask": inputs["mask"]}


@final
class _Layer(nn.Module):
    """One layer of the encoder, the last with the norm behind it where there is one."""

    def __init__(self, number: int, layer: nn.Module, norm: str, behind: nn.Module | None) -> None:
        super().__init__()
        self.places = [f"{ENCODER}.layers.{number}"]
        place(self, self.places[0], layer)
        if behind is not None:
            self.places.append(f"{ENCODER}.{norm}")
            place(self, self.places[1], behind)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`hidden` (N, T, D) to the same shape; `mask` goes on."""
        hidden, mask = inputs["hidden"], inputs["mask"]
        penalty = ((1 - mask).to(hidden.dtype) * _MASKED)[:, None, None, :]
        penalty = penalty.expand(-1, 1, hidden.shape[1], -1)
        answer: Any = self.get_submodule(self.places[0])(hidden, penalty)
        hidden = answer[0] if isinstance(answer, tuple) else answer
        for name in self.places[1:]:
            hidden = self.get_submodule(name)(hidden)
        return {"hidden": hidden, "mask": mask}


@final
class MeanOfStates(nn.Module):
    """The mean of the states of what is no padding."""

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """`hidden` (N, T, D) with its `mask` to (N, D)."""
        hidden, weights = inputs["hidden"], inputs["mask"].unsqueeze(-1).float()
        total = (hidden.float() * weights).sum(1)
        return (total / weights.sum(1).clamp(min=1)).to(hidden.dtype)


def cut(network: Any, vocabulary: Vocabulary) -> tuple[dict[str, nn.Module], Writer]:
    """The encoder as stages, the embeddings first, and the decoder as what writes.

    The network is taken apart: its modules are in one of the two from then on.
    """
    config, encoder = network.config, network.get_submodule(ENCODER)
    norm = FAMILIES[config.model_type].norm
    behind = encoder.get_submodule(norm) if norm else None
    layers = list(encoder.layers)
    encoder.layers = nn.ModuleList()
    if norm:
        encoder.add_module(norm, nn.Identity())
    stages: dict[str, nn.Module] = {"embeddings": _Embeddings(encoder)}
    for number, layer in enumerate(layers):
        last = number == len(layers) - 1
        stages[f"layer {number}"] = _Layer(number, layer, norm, behind if last else None)
    network.model.encoder = _Elsewhere()
    for name in ("shared",):
        network.model._modules.pop(name, None)
    return {name: stage.eval() for name, stage in stages.items()}, Writer(network, vocabulary)


@final
class _Elsewhere(nn.Module):
    """What stands in the place of the encoder, whose states are known when it would be asked."""

    main_input_name = "input_ids"

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Refused."""
        raise NotImplementedError("the encoder's states are given")
