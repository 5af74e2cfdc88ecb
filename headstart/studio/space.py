"""The features of one source: stored of examples, passing of what is only looked at."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np

from headstart import catalog
from headstart.contracts import Backbone, Modality
from headstart.data import InlineSource, Item
from headstart.data.sources import digest
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.features.engine import Engine
from headstart.features.extract import Prefix
from headstart.features.reading import Reader
from headstart.pipeline.prepare import fitted_modality
from headstart.pipeline.suggesting import features_of
from headstart.runtime import machine
from headstart.runtime.progress import Silent
from headstart.serve.batches import over_items

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch


@final
@dataclass(eq=False)
class Space:
    """A source that is loaded, and the features of examples that were seen; safe in threads."""

    reference: str
    backbone: Backbone
    reader: Reader
    device: torch.device
    _known: dict[str, np.ndarray] = field(default_factory=dict)  # by an example's content
    _engine: Engine | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, reference: str, modality: str = "") -> Space:
        """Load a source. Raises HeadstartError where it can't be, or reads another modality."""
        backbone = catalog.load_backbone(reference)
        if modality and backbone.modality != modality:
            raise HeadstartError(
                f"{reference} reads {backbone.modality}, and this session holds {modality}. Name "
                "another source, or another session with --out."
            )
        reader = Reader(fitted_modality(backbone, Settings()), backbone.preprocess)
        return cls(reference, backbone, reader, machine.device("auto"))

    @property
    def modality(self) -> Modality:
        """What reads its items."""
        return self.reader.modality

    def missing(self, items: Sequence[Item]) -> list[Item]:
        """Those whose features are not known here yet."""
        return [item for item in items if item.digest not in self._known]

    def learn(self, items: Sequence[Item]) -> None:
        """Compute the features of items and store them; those stored already are read.

        Raises HeadstartError for an item that can't be read, and OSError for a full disk.
        """
        with self._lock:
            rows = features_of(items, self.backbone, self.reader, self.device, Silent())
            found = rows[np.arange(len(items))]
        self._known |= {item.digest: row for item, row in zip(items, found, strict=True)}

    def rows(self, items: Sequence[Item]) -> np.ndarray:
        """The features (N, D) of items that were learned."""
        return np.stack([self._known[item.digest] for item in items])

    def glance(self, raw: bytes) -> np.ndarray:
        """Features (1, D) of something that is not kept. Raises DataError where it can't be."""
        item = Item("That", "", None, InlineSource(raw), digest(raw))
        reader = Reader(self.reader.modality, self.reader.preprocess).in_arrays()
        with self._lock:
            if self._engine is None:
                prefix = Prefix(
                    self.backbone, len(self.backbone.stages), self.device, precision="fp32"
                )
                (inputs,) = reader.batches([item], [np.arange(1)])
                self._engine = prefix.engine_for(reader, inputs, Silent(), "fp32", 1)
            return over_items(self._engine.run, [item], reader)
