"""A vector for each token and no network: static embeddings, as of model2vec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.errors import WeightsError
from headstart.hubs.huggingface.building import architecture, attach, folders, origin, text_width
from headstart.hubs.huggingface.loading import HEAD, Checkpoint, read_weights
from headstart.hubs.huggingface.parts import Part, Stage
from headstart.hubs.huggingface.planning import TextSpec
from headstart.hubs.huggingface.pooling import TokenPooling
from headstart.hubs.huggingface.sentences import Sentences
from headstart.hubs.huggingface.tokens import tokens
from headstart.loading.weights import State, apart, linear

_TABLE: Final = "embedding"
_WEIGHT: Final = f"{_TABLE}.weight"
_OTHER: Final = ("embeddings", "mapping", "weights")  # as model2vec writes a table


@final
@dataclass(frozen=True)
class Lookup(Part):
    """Token ids to their vectors."""

    names: tuple[str, ...] = (_TABLE,)

    def run(self, stage: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Ids (N, T) with their mask to vectors (N, T, D)."""
        vectors = stage.get_submodule(_TABLE)(inputs["input_ids"])
        return {"hidden": vectors, "mask": inputs["mask"]}


def backbone(spec: TextSpec, sentences: Sentences) -> Backbone:
    """The table as one stage, with the mean over tokens and what follows it.

    Raises HeadstartError where its tokenizer or a module can't be made, WeightsError for weights
    that hold no such table.
    """
    layout = spec.layout
    state, file = read_weights(layout)
    table = _table(state, file)
    if not layout.pretrained:
        table = torch.randn(table.shape) * table.std()
    tokenizer = tokens(spec, len(table))
    network = nn.Module()
    network.add_module(_TABLE, nn.Embedding(len(table), table.shape[1], _weight=table))
    weights = Checkpoint(state, file, layout.file is not None) if layout.pretrained else None
    steps = [TokenPooling(sentences.ways), *attach(network, spec, weights, table.shape[1])]
    parts = [Stage(network, [Lookup()]).eval(), Stage(network, steps).eval()]
    return Backbone(
        stages={_TABLE: parts[0]},
        pool=parts[1],
        feature_dim=text_width(parts, spec.what),
        modality="text",
        preprocess=tokenizer.preprocess,
        origin=origin(layout, parts),
        architecture=architecture(layout, max_length=str(tokenizer.preprocess["max_length"])),
        head=linear(apart(state, HEAD)[1], None, file) if layout.pretrained else None,
        head_name=HEAD,
        library="sentence-transformers",
        files={**tokenizer.files, **sentences.files},
        folders=folders(spec),
    )


def _table(state: State, what: str) -> Tensor:
    """A row for each token. Raises WeightsError where the file holds no such table."""
    table = state.get(_WEIGHT)
    if table is None:
        table, rows, shares = (state.get(name) for name in _OTHER)
        if table is not None and rows is not None:
            table = table[rows.long()] if _fits(table, rows) else None
        if table is not None and shares is not None:
            table = table.float() * shares[:, None].float() if len(shares) == len(table) else None
    if table is None or table.dim() != 2 or not table.is_floating_point():
        raise WeightsError(
            f"{what} holds no table of a vector for each token under the names {_WEIGHT!r} or "
            f"{_OTHER[0]!r}. Give weights of a StaticEmbedding."
        )
    return table.float()


def _fits(table: Tensor, rows: Tensor) -> bool:
    return (
        rows.dim() == 1 and len(rows) > 0 and 0 <= int(rows.min()) <= int(rows.max()) < len(table)
    )
