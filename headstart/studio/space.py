"""The features of one source: stored of examples, passing of what is only looked at."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from headstart import catalog
from headstart.contracts import Backbone, Modality
from headstart.data import InlineSource, Item
from headstart.data.sources import digest
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.features.engine import Engine
from headstart.features.extract import Prefix, extract
from headstart.features.reading import Reader
from headstart.pipeline.prepare import fitted_modality
from headstart.runtime import machine
from headstart.runtime.progress import Silent

MANY = 256  # examples for which another engine may be made


@final
@dataclass(eq=False)
class Space:
    """A source that is loaded, and the features of examples that were seen; safe in threads."""

    reference: str
    backbone: Backbone
    reader: Reader
    prefix: Prefix
    _rows: dict[str, np.ndarray] = field(default_factory=dict)  # by an example's content
    _glanced: tuple[str, np.ndarray] = ("", np.empty((0, 0)))  # the last thing that was looked at
    _hurries: bool = False  # whether an engine was chosen for many
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
        end, device = len(backbone.stages), machine.device("auto")
        prefix = Prefix(backbone, end, device, precision="fp32", engines={})
        return cls(reference, backbone, reader, prefix)

    @property
    def modality(self) -> Modality:
        """What reads its items."""
        return self.reader.modality

    def missing(self, items: Sequence[Item]) -> list[Item]:
        """Those whose features are not known here yet."""
        return [item for item in items if item.digest not in self._rows]

    def learn(self, items: Sequence[Item], waiting: int = 0) -> None:
        """Compute the features of items and store them; those stored already are read.

        `waiting` are about as many as will follow. Raises HeadstartError for an item that can't be
        read, and where the disk is full.
        """
        with self._lock:
            reader = self._fresh()
            if waiting > MANY and not self._hurries:
                self._hurry(reader, items, waiting)
            rows = extract(self.prefix, items, reader, Silent()).features()
        self._rows |= {item.digest: row for item, row in zip(items, rows, strict=True)}

    def rows(self, items: Sequence[Item]) -> np.ndarray:
        """The features (N, D) of items that were learned."""
        return np.stack([self._rows[item.digest] for item in items])

    def glance(self, raw: bytes) -> np.ndarray:
        """Features (1, D) of something that is not kept. Raises DataError where it can't be."""
        item = Item("That", "", None, InlineSource(raw), digest(raw))
        if item.digest == self._glanced[0]:
            return self._glanced[1]
        reader = self._fresh().in_arrays()
        with self._lock:
            (inputs,) = reader.batches([item], [np.arange(1)])
            engine = self.prefix.engine_for(reader, inputs, Silent(), "fp32", 1)
            features: np.ndarray = engine.run(inputs)
        self._glanced = item.digest, features
        return features

    def _fresh(self) -> Reader:
        """A reader that keeps nothing of what it reads for later."""
        return Reader(self.reader.modality, self.reader.preprocess)

    def _hurry(self, reader: Reader, items: Sequence[Item], waiting: int) -> None:
        """Choose an engine for many examples in the place of that for a few."""
        self._hurries, reader = True, reader.in_arrays()
        inputs = next(reader.batches(items, [np.arange(len(items))]))
        engines = dict[str, Engine]()
        prefix = replace(self.prefix, engines=engines)
        prefix.engine_for(reader, inputs, Silent(), "fp32", waiting)
        self.prefix = prefix
