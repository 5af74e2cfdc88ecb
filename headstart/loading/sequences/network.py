"""Encoder–decoders of transformers: built, filled, and cut into stages and what writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast, final

import torch
from torch import Tensor, nn

from headstart.errors import HeadstartError, reason
from headstart.loading.refusals import misfit
from headstart.loading.sequences.writer import Writer
from headstart.loading.stages.placing import place

if TYPE_CHECKING:
    from headstart.loading.sequences.vocabulary import Vocabulary

_UNUSED: Final = "EncDecAttention.relative_attention_bias.weight"  # in T5's first files
_MASKED: Final = -30000.0  # far below any score, and in the range of every floating-point type


@final
@dataclass(frozen=True)
class Family:
    """What an encoder–decoder of one kind calls its parts.

    `norm` is the one behind the encoder's last layer, if any; `body` stands before all but the
    output. One that has `relative` positions holds them in its first layer, for all of them.
    """

    norm: str = ""
    body: str = "model."
    layers: str = "layers"
    relative: bool = False

    @property
    def encoder(self) -> str:
        """The side that reads."""
        return f"{self.body}encoder"

    @property
    def decoder(self) -> str:
        """The side that writes."""
        return f"{self.body}decoder"

    @property
    def tables(self) -> tuple[str, str, str]:
        """Tensors of a vector a piece that are one where a file ties them, and the output."""
        return f"{self.decoder}.{_TABLE}", f"{self.body}shared.weight", "lm_head.weight"


_TABLE: Final = "embed_tokens.weight"
_T5: Final = Family("final_layer_norm", "", "block", relative=True)
FAMILIES: Final[Mapping[str, Family]] = {  # by transformers' word for the kind
    "bart": Family(),
    "m2m_100": Family("layer_norm"),
    "marian": Family(),
    "mbart": Family("layer_norm"),
    "mt5": _T5,
    "t5": _T5,
}
ENCODER: Final = Family().encoder


def configured(raw: Mapping[str, Any], vocabulary: int, what: str) -> Any:
    """config.json as transformers has it, with a table for each side, of so many pieces.

    Raises HeadstartError where it can't be used.
    """
    from transformers import CONFIG_MAPPING

    own = dict(raw) | {"vocab_size": vocabulary}
    if raw["model_type"] == "marian":  # the one kind that can have an output tied to one table
        own |= {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": vocabulary}
    elif not FAMILIES.get(raw["model_type"], _T5).relative:  # T5 takes it for another word
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
    from headstart.loading.transformers_networks import AutoModelForSeq2SeqLM

    auto: Any = AutoModelForSeq2SeqLM
    network: nn.Module = auto.from_config(config, trust_remote_code=False)
    for module in network.modules():
        values = module._parameters.get("weight")
        if "Sinusoidal" in type(module).__name__ and values is not None:
            del module._parameters["weight"]
            module.register_buffer("weight", values.detach())
    if (own := FAMILIES.get(config.model_type)) and own.relative:  # tied whatever its config says
        for name in (f"{own.encoder}.{_TABLE}", own.tables[0], own.tables[2]):
            table = network.get_submodule(name.removesuffix(".weight"))
            table.weight = nn.Parameter(network.get_parameter(name).detach().clone())
    return network.eval()


def fill(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Give a network the tensors of a file, which may leave out those that are tied to another.

    Raises WeightsError where others are missing, or differ in shape.
    """
    own = network.state_dict()
    family = FAMILIES[cast(Any, network).config.model_type]
    names = {name: name if name in state else _tied(name, state, family) for name in own}
    optional = ("final_logits_bias", "embed_positions.weight", family.tables[1], _UNUSED)
    missing = [n for n, source in names.items() if source is None and not n.endswith(optional)]
    differing = [n for n, source in names.items() if source and state[source].shape != own[n].shape]
    surplus = [
        n for n in state if n not in own and n not in family.tables and not n.endswith(optional)
    ]
    kinds = {"missing": missing, "of another shape": differing, "left over": surplus}
    faults = [f"{len(n)} {kind}: {', '.join(n[:3])}" for kind, n in kinds.items() if n]
    if faults:
        raise misfit(what, "; ".join(faults))
    with torch.no_grad():
        for name, source in names.items():
            if source is not None:
                own[name].copy_(state[source])


def _tied(name: str, state: Mapping[str, Tensor], family: Family) -> str | None:
    """The tensor that one which is not in a file was tied to when that was saved."""
    embedding = f"{family.encoder}.{_TABLE}"
    if name not in (*family.tables, embedding):
        return None
    others = family.tables[1:] if name == embedding else family.tables
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
        answer: Any = self.get_submodule(self.places[0])(hidden, penalty(hidden, mask))
        hidden = answer[0] if isinstance(answer, tuple) else answer
        for name in self.places[1:]:
            hidden = self.get_submodule(name)(hidden)
        return {"hidden": hidden, "mask": mask}


def penalty(hidden: Tensor, mask: Tensor) -> Tensor:
    """What is added to scores (N, 1, T, T) so that padding is not looked at."""
    own = ((1 - mask).to(hidden.dtype) * _MASKED)[:, None, None, :]
    return own.expand(-1, 1, hidden.shape[1], -1)


@final
class _RelativeEmbeddings(nn.Module):
    """Tokens as hidden states, where layers know their places."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        place(self, "encoder.embed_tokens", encoder.embed_tokens)
        self.dropout = nn.Dropout(encoder.dropout.p)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`input_ids` (N, T) and `mask` (N, T) to `hidden` (N, T, D) and that mask."""
        hidden = self.get_submodule("encoder.embed_tokens")(inputs["input_ids"])
        return {"hidden": self.dropout(hidden), "mask": inputs["mask"]}


@final
class _RelativeLayer(nn.Module):
    """One layer of such an encoder, whose `first` one knows how far apart places are for all."""

    def __init__(self, number: int, layers: Any, behind: nn.Module | None, dropout: float) -> None:
        super().__init__()
        self.places = [f"encoder.block.{number}"]
        place(self, self.places[0], layers[number])
        if behind is not None:
            self.places.append("encoder.final_layer_norm")
            place(self, self.places[1], behind)
        self.dropout = nn.Dropout(dropout if behind is not None else 0.0)
        vars(self)["first"] = layers[0].layer[0].SelfAttention  # no child: it is another stage's

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`hidden` (N, T, D) to the same shape; `mask` goes on."""
        hidden, mask = inputs["hidden"], inputs["mask"]
        length = hidden.shape[1]
        apart = vars(self)["first"].compute_bias(length, length, device=hidden.device)
        layer: Any = self.get_submodule(self.places[0])
        hidden = layer(hidden, penalty(hidden, mask), apart.to(hidden.dtype))[0]
        for name in self.places[1:]:
            hidden = self.get_submodule(name)(hidden)
        return {"hidden": self.dropout(hidden), "mask": mask}


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
    family = FAMILIES[network.config.model_type]
    encoder = network.get_submodule(family.encoder)
    behind = encoder.get_submodule(family.norm) if family.norm else None
    layers = list(encoder.get_submodule(family.layers))
    last = len(layers) - 1
    encoder.add_module(family.layers, nn.ModuleList())
    if family.norm:
        encoder.add_module(family.norm, nn.Identity())
    stages: dict[str, nn.Module] = {}
    stages["embeddings"] = (_RelativeEmbeddings if family.relative else _Embeddings)(encoder)
    for number, layer in enumerate(layers):
        norm = behind if number == last else None
        stages[f"layer {number}"] = (
            _RelativeLayer(number, layers, norm, encoder.dropout.p)
            if family.relative
            else _Layer(number, layer, family.norm, norm)
        )
    body = network.get_submodule(family.body.rstrip("."))
    body.encoder = _Elsewhere()
    body._modules.pop("shared", None)
    writer = Writer(network, vocabulary, family.decoder)
    return {name: stage.eval() for name, stage in stages.items()}, writer


@final
class _Elsewhere(nn.Module):
    """What stands in the place of the encoder, whose states are known when it would be asked."""

    main_input_name = "input_ids"

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Refused."""
        raise NotImplementedError("the encoder's states are given")
