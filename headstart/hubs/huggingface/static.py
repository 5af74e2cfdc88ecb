"""A vector for each token and no network: static embeddings, as of model2vec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import WeightsError
from headstart.hubs.huggingface.building import attach, folders, origin, width_of
from headstart.hubs.huggingface.fetching import weight_files
from headstart.hubs.huggingface.fitting import HEAD, Checkpoint, head_of
from headstart.hubs.huggingface.parts import Part, Stage
from headstart.hubs.huggingface.planning import Plan
from headstart.hubs.huggingface.pooling import TokenPooling
from headstart.hubs.huggingface.sentences import Sentences
from headstart.hubs.huggingface.tokens import tokens
from headstart.loading.weights import State, read

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


def backbone(plan: Plan, said: Sentences) -> Backbone:
    """The table as one stage, with the mean over tokens and what follows it.

    Raises HeadstartError where its tokenizer or a module can't be made, WeightsError for weights
    that hold no such table.
    """
    layout = plan.layout
    files = [layout.file] if layout.file else weight_files(layout.encoder, plan.what)
    state: State = {}
    for file in files:
        state |= read(file).state
    table = _table(state, str(files[0]))
    if not plan.pretrained:
        table = torch.randn(table.shape) * table.std()
    given = tokens(plan, len(table))
    network = nn.Module()
    network.add_module(_TABLE, nn.Embedding(len(table), table.shape[1], _weight=table))
    held = Checkpoint(state, str(files[0]), layout.file is not None) if plan.pretrained else None
    steps = [TokenPooling(said.ways), *attach(network, plan, held, table.shape[1])]
    table_stage, pool = Stage(network, [Lookup()]).eval(), Stage(network, steps).eval()
    parts = {n.removeprefix(f"{HEAD}."): t for n, t in state.items() if n.startswith(f"{HEAD}.")}
    options = {
        **plan.reference.options,
        "max_length": str(given.preprocess["max_length"]),
        "pretrained": "false",
    }
    return Backbone(
        stages={_TABLE: table_stage},
        pool=pool,
        feature_dim=width_of([table_stage, pool], plan.what),
        modality="text",
        preprocess=given.preprocess,
        origin=origin(layout, plan.pretrained, [table_stage, pool]),
        architecture=Reference("hf", plan.reference.name, layout.commit, options),
        head=head_of(parts, str(files[0])) if plan.pretrained else None,
        head_name=HEAD,
        library="sentence-transformers",
        files={**given.files, **said.files},
        folders=folders(plan),
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
