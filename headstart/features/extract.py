"""Run the frozen prefix once an item and store what comes out at the boundary."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from headstart.contracts import Backbone, Strategy
from headstart.data import Item
from headstart.features.engine import TorchEngine
from headstart.features.reading import Reader, groups_of
from headstart.features.store import FeatureStore, Rows, cache_folder
from headstart.progress import Progress

BATCH = 32
DISK_SHARE = 0.2  # of the free disk, what one boundary's activations may take


@dataclass(frozen=True)
class Prefix:
    """The first stages of a backbone, frozen, up to (and without) stage `boundary`."""

    backbone: Backbone
    boundary: int
    device: torch.device

    def network(self) -> nn.Sequential:
        """The stages as one network."""
        return nn.Sequential(*list(self.backbone.stages.values())[: self.boundary])

    def shape(self, item: Item, reader: Reader) -> tuple[int, ...]:
        """The shape of one item's activation at the boundary, found by running one."""
        (inputs,) = reader.batches([item], [np.zeros(1, np.int64)])
        return TorchEngine(self.network(), self.device).run(inputs).shape[1:]

    def key(self) -> dict[str, object]:
        """What an activation depends on besides the item."""
        return {
            "weights": self.backbone.origin.weights_hash,
            "architecture": str(self.backbone.architecture),
            "boundary": self.boundary,
            "preprocess": dict(self.backbone.preprocess),
            "precision": "fp32",
        }


def storable(strategy: Strategy, epochs: int, stages: int, augmented: bool) -> int:
    """How many first stages' output may be stored: the one place where caching is declared legal.

    A stored activation is right only while everything before the boundary stays frozen, in every
    epoch, and its input is not augmented.
    """
    if augmented:
        return 0
    return min((strategy.frozen_stages(epoch, stages) for epoch in range(epochs)), default=stages)


def extract(prefix: Prefix, items: Sequence[Item], reader: Reader, progress: Progress) -> Rows:
    """The prefix's activations for these items; only those not stored yet are computed."""
    store = FeatureStore(prefix.key(), prefix.shape(items[0], reader))
    digests = [item.digest for item in items]
    missing = np.array(store.missing(digests), dtype=np.int64)
    engine = TorchEngine(prefix.network(), prefix.device)
    groups = groups_of(missing, BATCH)
    with progress.track("extracting features", len(missing)) as advance:
        for group, inputs in zip(groups, reader.batches(items, groups), strict=True):
            store.append([digests[position] for position in group], engine.run(inputs))
            advance(len(group))
    return store.rows(digests)


def fits_on_disk(prefix: Prefix, items: Sequence[Item], reader: Reader) -> bool:
    """Whether the activations of these items take a small share of the free disk."""
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    needed = int(np.prod(prefix.shape(items[0], reader))) * 4 * len(items)
    return needed < DISK_SHARE * shutil.disk_usage(folder).free
