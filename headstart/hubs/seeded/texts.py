"""Tiny networks for texts over their bytes: a transformer encoder, and a bag of bytes."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, final

from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.seeded.design import Design, Stages, by_child, without_pool
from headstart.loading.sequences.network import MeanOfStates
from headstart.loading.spec import HubOptions, resolve

_POSITIONS: Final = 64  # bytes; the rest of a text is cut off
_PAD: Final = 0
_UNKNOWN: Final = 1  # no byte is, but an empty text needs a token
_TOKENS: Final = 2 + 256
_HEADS: Final = 4
_LAYERS: Final = 3
_MASKED: Final = -30000.0  # far below any score, and in the range of every floating-point type

Tensors = Mapping[str, Tensor]


@final
@dataclass(frozen=True)
class TextOptions(HubOptions):
    """The options of a network for texts, whose features are four times `width` wide.

    `network` names the network whose files lie in a saved folder; elsewhere its name does.
    """

    seed: int = 0
    width: int = 8
    network: str = ""
    pretrained: bool = True


def design(name: str, reference: Reference) -> Design:
    """The network of this name. Raises HeadstartError for options that it can't have."""
    options = resolve(TextOptions, reference, what=f"seeded:{name}")
    if options.width < 1:
        raise HeadstartError(f"{reference} has a width below 1. Give for example width=8.")
    if options.network not in ("", name):
        raise HeadstartError(
            f"{reference} names the two networks {name} and {options.network}. "
            "Leave the option network out."
        )
    width = options.width * _HEADS

    def cut(network: nn.Module) -> tuple[Stages, nn.Module, int]:
        if NETWORKS[name].pools_in_a_stage:
            return by_child(network), nn.Identity(), width
        return *without_pool(network), width

    return Design(
        modality="text",
        input="text",
        preprocess={
            "tokenizer": hashlib.sha256(_tokenizer()).hexdigest(),
            "max_length": _POSITIONS,
            "pad": _PAD,
            "unknown": _UNKNOWN,
            "types": False,
        },
        seed=options.seed,
        pretrained=options.pretrained,
        options={**options.changed(("seed", "network", "pretrained")), "network": name},
        make=lambda: NETWORKS[name].make(width),
        cut=cut,
        files={"tokenizer.json": _tokenizer()},
    )


@cache
def _tokenizer() -> bytes:
    """Each byte of a text as one token: byte pairs of which none is merged (Sennrich et al. 2015).

    The format writes a byte as the character of its number where that one is printed, and as one
    of those from 256 on where not.
    """
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    printed += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(256) if byte not in printed]
    characters = {byte: chr(byte) for byte in printed}
    characters |= {byte: chr(256 + place) for place, byte in enumerate(others)}
    vocabulary = {"[PAD]": _PAD, "[UNK]": _UNKNOWN}
    vocabulary |= {characters[byte]: 2 + byte for byte in range(256)}
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": False,
        },
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocabulary,
            "merges": [],
        },
    }
    return json.dumps(content, ensure_ascii=False).encode()


@final
class _Embeddings(nn.Module):
    """A vector for each byte, and one for its position where the order is to count."""

    def __init__(self, width: int, ordered: bool) -> None:
        super().__init__()
        self.bytes = nn.Embedding(_TOKENS, width)
        self.positions = nn.Embedding(_POSITIONS, width) if ordered else None

    def forward(self, inputs: Tensors) -> dict[str, Tensor]:
        """Maps `input_ids` (N, T) to `hidden` (N, T, width), zero where `mask` is 0."""
        ids, mask = inputs["input_ids"], inputs["mask"]
        hidden: Tensor = self.bytes(ids)
        if self.positions is not None:
            hidden = hidden + self.positions.weight[: ids.shape[1]]
        return {"hidden": hidden * mask.unsqueeze(-1).to(hidden.dtype), "mask": mask}


@final
class _Layer(nn.Module):
    """Attention and two linear layers, each behind a norm and with a way around it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)  # queries, keys and values
        self.joined = nn.Linear(width, width)
        self.second_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, inputs: Tensors) -> dict[str, Tensor]:
        """Maps `hidden` (N, T, width) to the same shape; `mask` goes on."""
        hidden, mask = inputs["hidden"], inputs["mask"]
        hidden = hidden + self._attended(self.norm(hidden), mask)
        hidden = hidden + self.down(functional.gelu(self.up(self.second_norm(hidden))))
        return {"hidden": hidden, "mask": mask}

    def _attended(self, hidden: Tensor, mask: Tensor) -> Tensor:
        joint = self.attention(hidden).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = joint.unbind(0)  # each (N, heads, T, width / heads)
        penalty = (1 - mask[:, None, None, :]).to(hidden.dtype) * _MASKED
        scores = queries @ keys.transpose(-1, -2) * keys.shape[-1] ** -0.5 + penalty
        attended = (scores.softmax(-1) @ values).transpose(1, 2).flatten(2)
        joined: Tensor = self.joined(attended)
        return joined


@final
@dataclass(frozen=True)
class Network:
    """How to make a network of a width, and whether its pooling is a stage by itself."""

    make: Callable[[int], nn.Module]
    pools_in_a_stage: bool


def _encoder(width: int) -> nn.Module:
    """A transformer encoder (Vaswani et al. 2017) with its norms first (Xiong et al. 2020)."""
    layers = {f"layer{number + 1}": _Layer(width) for number in range(_LAYERS)}
    parts: dict[str, nn.Module] = {"embeddings": _Embeddings(width, ordered=True), **layers}
    return nn.Sequential(OrderedDict(parts, pool=MeanOfStates()))


def _bag(width: int) -> nn.Module:
    parts: dict[str, nn.Module] = {"embeddings": _Embeddings(width, ordered=False)}
    return nn.Sequential(OrderedDict(parts, pool=MeanOfStates()))


NETWORKS: Final[Mapping[str, Network]] = {
    "bag": Network(_bag, pools_in_a_stage=True),
    "text-encoder": Network(_encoder, pools_in_a_stage=False),
}
