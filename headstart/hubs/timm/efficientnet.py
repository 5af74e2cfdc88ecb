"""Names of EfficientNet-PyTorch (Melas-Kyriazi 2019) and what follows it, as timm has them."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from headstart.loading.weights import State

_STEM: Final = "_conv_stem.weight"
_BLOCK: Final = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")
_AROUND: Final = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
}
_HEAD: Final = "_fc"
_SQUEEZE: Final = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_WIDENED: Final = _SQUEEZE | {  # blocks that first widen, with three convolutions
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN: Final = _SQUEEZE | {  # those that don't, with two
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


def renamed(state: State, own: Collection[str], head: str) -> State:
    """An EfficientNet of EfficientNet-PyTorch under timm's names; any other as it is.

    `own` are the names of timm's network, which says how its blocks lie in stages, and `head` is
    what it calls its last layer. Widths and depths are left to whoever fits the tensors.
    """
    stem = next((name for name in state if name.endswith(_STEM)), None)
    places = list(dict.fromkeys(".".join(n.split(".")[:3]) for n in own if n.startswith("blocks.")))
    if stem is None or not places:
        return state
    before = stem.removesuffix(_STEM)
    inside = {name.removeprefix(before): tensor for name, tensor in state.items()}
    around = _AROUND | {_HEAD: head}
    names: State = {}
    for name, tensor in inside.items():
        layer, _, rest = name.partition(".")
        block = _BLOCK.fullmatch(name)
        if block and int(block[1]) < len(places):
            parts = _WIDENED if f"_blocks.{block[1]}._expand_conv.weight" in inside else _PLAIN
            name = f"{places[int(block[1])]}.{parts.get(block[2], block[2])}.{block[3]}"
        elif layer in around:
            name = f"{around[layer]}.{rest}"
        names[name] = tensor
    return names
