"""An encoder cut into stages: embeddings and each layer, with the pooling behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.families import Family
from headstart.hubs.huggingface.parts import (
    DisentangledLayer,
    Embedding,
    Layer,
    Part,
    PlainLayer,
    RelativeLayer,
    RotaryLayer,
    SharedLayers,
    Stage,
)
from headstart.hubs.huggingface.pooling import OwnPooling

_ROTATED_BY_LENGTH = ("dynamic", "longrope")


def cut(
    network: nn.Module, family: Family, config: Any, pooling: Sequence[Part]
) -> tuple[dict[str, nn.Module], nn.Module]:
    """Stages over the network's own modules, each tensor in one of them, input side first.

    `pooling` is what follows the last layer, and is answered apart. Raises HeadstartError for
    positions that only work on a known length.
    """
    root = f"{family.prefix}." if isinstance(pooling[0], OwnPooling) else ""
    encoder = network.get_submodule(root.rstrip("."))
    groups: list[list[Part]] = [[_embedding(encoder, family, root)]]
    groups += [[layer] for layer in _layers(encoder, family, config, root)]
    names = ["embeddings"]
    numbered = [f"layer {number}" for number in range(len(groups) - 1)]
    names += ["layers"] if family.attention == "shared" else numbered
    stages: dict[str, nn.Module]
    stages = {n: Stage(network, parts).eval() for n, parts in zip(names, groups, strict=True)}
    return stages, Stage(network, pooling).eval()


def last_norm(family: Family, own: bool) -> tuple[str, ...]:
    """The norm of the last hidden states, where it is not in the last layer."""
    prefix = f"{family.prefix}." if own else ""
    return (f"{prefix}final_norm",) if family.attention == "rotary" else ()


def _embedding(encoder: nn.Module, family: Family, root: str) -> Embedding:
    there = dict(encoder.named_modules())
    shared = ("encoder.relative_attention_bias", "encoder.rel_embeddings", "encoder.LayerNorm")
    return Embedding(
        steps=tuple(f"{root}{name}" for name in family.embeddings if name in there),
        types=family.types,
        masks=family.attention == "disentangled",
        shared=tuple(f"{root}{name}" for name in shared if name in there),
    )


def _layers(encoder: Any, family: Family, config: Any, root: str) -> list[Layer]:
    count, path = config.num_hidden_layers, f"{root}{family.layers}"
    if family.attention == "shared":
        size = count / config.num_hidden_groups
        order = (
            f"{path}.{int(number / size)}.albert_layers.{inner}"
            for number in range(count)
            for inner in range(config.inner_group_num)
        )
        return [SharedLayers((path,), tuple(order))]
    return [_layer(encoder, family, config, path, number) for number in range(count)]


def _layer(encoder: Any, family: Family, config: Any, path: str, number: int) -> Layer:
    names = (f"{path}.{number}",)
    if family.attention == "relative":
        inner = encoder.encoder
        return RelativeLayer(names, inner.relative_attention_bias, inner.relative_position_bucket)
    if family.attention == "disentangled":
        return _disentangled(encoder.encoder, names, path)
    if family.attention == "rotary":
        return _rotary(encoder, config, names, number)
    return PlainLayer(names)


def _disentangled(encoder: Any, names: tuple[str, ...], path: str) -> DisentangledLayer:
    from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position

    there = dict(encoder.named_children())
    if names[0].endswith(".0") and "conv" in there:
        names += (f"{path.rpartition('.')[0]}.conv",)
    positions = there.get("rel_embeddings")
    return DisentangledLayer(
        names,
        positions if isinstance(positions, nn.Embedding) else None,
        there.get("LayerNorm"),
        build_relative_position,
        encoder.position_buckets if positions is not None else -1,
        encoder.max_relative_positions if positions is not None else -1,
    )


def _rotary(encoder: Any, config: Any, names: tuple[str, ...], number: int) -> RotaryLayer:
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        raise HeadstartError(
            "ModernBERT can't be taken apart with this transformers. Install version 5 or later."
        )
    kind, turning = kinds[number], encoder.rotary_emb
    if turning.rope_type[kind] in _ROTATED_BY_LENGTH:
        raise HeadstartError(
            f"Rotary positions of type {turning.rope_type[kind]!r} depend on the longest text of a "
            "batch, so features would too. Give another model."
        )
    return RotaryLayer(
        names,
        tuple(getattr(turning, f"{kind}_inv_freq").tolist()),
        float(getattr(turning, f"{kind}_attention_scaling")),
        config.sliding_window if kind == "sliding_attention" else None,
    )
