"""Run the frozen prefix once an item and store what comes out at the boundary.

Reading and decoding, the engine, and the store overlap; between them wait a few batches at most.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from headstart.contracts import Backbone
from headstart.contracts.executor import Executor, Local
from headstart.data import Item
from headstart.errors import OutOfTimeError
from headstart.features import prepared
from headstart.features.activating import Activating
from headstart.features.cache import enforce_limit
from headstart.features.cells import Part, RowParts
from headstart.features.engine import Engine, cached_engine, fastest
from headstart.features.engine.candidates import Wishes
from headstart.features.reading import Reader, View, alike, chosen
from headstart.features.store import Addresses, FeatureStore, Precision, RaggedRows, Rows, Shape
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Progress

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch
    from torch import nn

    from headstart.contracts.joined import Joined

BATCH = 32  # items that run at once, unless said otherwise


@dataclass(frozen=True)
class Prefix:
    """The first stages of a backbone, frozen, up to (and without) stage `boundary`.

    `engine` is auto, torch or openvino; `precision` is auto, fp32 or bf16. In `engines`, where it
    is a mapping, what runs it is kept by precision for the extractions that follow. `executor` says
    in which processes.
    """

    backbone: Backbone
    boundary: int
    device: torch.device | str
    engine: str = "auto"
    precision: str = "auto"
    batch: int = BATCH
    engines: dict[str, Engine] | None = field(default=None, repr=False, compare=False)
    executor: Executor = field(default_factory=Local, repr=False, compare=False)

    def of_part(self, part: Part) -> Prefix:
        """The whole of a part of the backbone, run the same way."""
        stages = len(part.backbone.stages)
        return replace(self, backbone=part.backbone, boundary=stages, engines=None)

    def network(self) -> nn.Sequential:
        """The stages as one network."""
        from torch import nn

        return nn.Sequential(*self.backbone.prefix(self.boundary))

    def precisions(self) -> tuple[str, ...]:
        """In which precisions its activations may be computed."""
        return ("fp32", "bf16") if self.precision == "auto" else (self.precision,)

    def key(self, reader: Reader, precision: str) -> dict[str, object]:
        """What an activation depends on besides the item."""
        return {
            "weights": self.backbone.origin.weights_hash,
            "architecture": str(self.backbone.architecture.ordered()),
            "boundary": self.boundary,
            "preprocess": dict(reader.preprocess),
            "decoding": reader.modality.version,
            "precision": precision,
            **({"look": reader.look} if reader.look else {}),
        }

    def engine_for(
        self, reader: Reader, inputs: Any, progress: Progress, precision: str, items: int
    ) -> Engine:
        """What runs it on so many items like these inputs, in a precision of its own or any.

        Raises HeadstartError where the engine asked for can't.
        """
        engines = {} if self.engines is None else self.engines
        if precision not in engines:
            engines[precision] = self._chosen(reader, inputs, progress, precision, items)
        return engines[precision]

    def _chosen(
        self, reader: Reader, inputs: Any, progress: Progress, precision: str, items: int
    ) -> Engine:
        key = self.key(reader, precision)
        wishes: Wishes = {"engine": self.engine, "precision": precision, "items": items}
        if self.backbone.is_late and str(self.device) == "cpu":
            engine = cached_engine(inputs, key, **wishes) or self._prepared(precision)
            if engine is not None:
                return engine
        return fastest(
            self.network(),
            inputs,
            self.device,
            key=key,
            progress=progress,
            **wishes,
        )

    def _prepared(self, precision: str) -> Engine | None:
        """What saved models answer with, which runs in fp32; None where it can't or may not be."""
        whole = self.boundary == len(self.backbone.stages)
        if not whole or self.engine == "torch" or precision == "bf16":
            return None
        return prepared.engine(self.backbone)

    def addresses(self, reader: Reader, items: Sequence[Item], view: View | None) -> Addresses:
        """The rows that hold these items: one each, or before the pooling one for each token."""
        digests = [item.digest if view is None else view.digest(item.digest) for item in items]
        pooled = self.boundary == len(self.backbone.stages) and self.backbone.summary is None
        return Addresses.of(digests, None if pooled else reader.sizes(items))

    def stored_as(self, precision: str) -> Precision:
        """The type of its rows: features in fp32, as they are small; activations as computed."""
        whole = self.boundary == len(self.backbone.stages)
        return "bf16" if precision == "bf16" and not whole else "fp32"


@dataclass(frozen=True)
class Extraction:
    """What an extraction answers with; `engine` is empty where everything was stored already."""

    rows: Rows | RaggedRows
    computed: int
    seconds: float
    engine: str = ""

    def pooled(self) -> Rows:
        """The rows of pooled features, (N, D) float32, read when asked for."""
        if isinstance(self.rows, RaggedRows) or not self.rows.shape.is_alone:
            raise TypeError("these are activations before the pooling")
        return self.rows

    def features(self) -> np.ndarray:
        """All pooled features in memory, (N, D) float32."""
        features: np.ndarray = self.pooled().all()
        return features


def extract(
    prefix: Prefix,
    items: Sequence[Item],
    reader: Reader,
    progress: Progress,
    view: View | None = None,
    until: Budget | None = None,
) -> Extraction:
    """The prefix's activations for these items; only those not stored yet are computed.

    With a view, those of the items' random variants in that view. Raises HeadstartError when the
    disk is full or the engine asked for can't run the prefix, and OutOfTimeError where `until` ends
    before the work; what was computed by then is kept.
    """
    if prefix.backbone.parts:
        return _of_rows(prefix, items, reader, progress, until)
    return _of_items(prefix, items, reader, progress, (view, until))


def _of_items(
    prefix: Prefix,
    items: Sequence[Item],
    reader: Reader,
    progress: Progress,
    more: tuple[View | None, Budget | None],
) -> Extraction:
    """The same of items that are read whole."""
    (view, until), started, reader = more, time.monotonic(), reader.in_arrays()
    addresses = prefix.addresses(reader, items, view)
    precision, store, missing = _fullest(prefix, reader, addresses)
    name = ""
    if len(missing):
        groups = alike(missing, prefix.batch, reader.sizes(items))
        many = len(missing)

        def engine(inputs: Any) -> Engine:
            return prefix.engine_for(reader, inputs, progress, precision, many)

        work = Activating(engine, reader, view)
        with closing(prefix.executor.run(work, chosen(items, groups))) as outputs:
            first = next(outputs)
            name = first.engine
            with progress.track(f"extracting features ({name})", many) as advance:
                timed = _Timed(many, until)
                shape = Shape.of(addresses.packed(groups[0], first.values))
                store = store or _open(prefix, reader, first.precision, shape)
                with store:
                    for group, output in zip(groups, chain([first], outputs), strict=True):
                        values = addresses.packed(group, output.values)
                        store.append(addresses.rows_of(group), values)
                        advance(len(group))
                        timed.advance(len(group))
        enforce_limit()
    if store is None:
        raise ValueError("there is nothing to extract features of")
    rows = addresses.items_in(store.rows(addresses.digests))
    return Extraction(rows, len(missing), time.monotonic() - started, name)


def _of_rows(
    prefix: Prefix,
    items: Sequence[Item],
    reader: Reader,
    progress: Progress,
    until: Budget | None,
) -> Extraction:
    """The features of rows, of which some cells are items of the backbone's parts."""
    started, rows = time.monotonic(), RowParts.of(prefix.backbone, items, reader)
    each = {
        name: extract(prefix.of_part(part), part.items, part.reader, progress, until=until)
        for name, part in rows.parts.items()
    }
    (network,) = prefix.backbone.stages.values()
    features = {name: extraction.features() for name, extraction in each.items()}
    whole = Rows.in_memory(rows.joined(cast("Joined", network), features))
    computed = sum(extraction.computed for extraction in each.values())
    engines = dict.fromkeys(filter(None, (extraction.engine for extraction in each.values())))
    return Extraction(whole, computed, time.monotonic() - started, ", ".join(engines))


@final
class _Timed:
    """Work on so many items that must be over when a budget ends."""

    def __init__(self, total: int, until: Budget | None) -> None:
        self._total, self._until = total, until
        self._began, self._done = time.monotonic(), 0

    def advance(self, items: int) -> None:
        """Some more are done. Raises OutOfTimeError where there is no time for the rest."""
        self._done += items
        if self._until is None or self._done == self._total or not self._until.over():
            return
        seconds = time.monotonic() - self._began
        rest = (self._total - self._done) * seconds / self._done
        error = OutOfTimeError(
            f"The budget ended when the features of {self._done} of {self._total} items were "
            f"computed; the rest would take about {rest:.0f} s more. They are kept: run it again, "
            "or give more time."
        )
        error.price = seconds / self._done
        raise error


def is_stored(prefix: Prefix, items: Sequence[Item], reader: Reader) -> bool:
    """Whether nothing is left to compute for these items."""
    if prefix.backbone.parts:
        parts = RowParts.of(prefix.backbone, items, reader).parts.values()
        return all(is_stored(prefix.of_part(each), each.items, each.reader) for each in parts)
    _, store, missing = _fullest(prefix, reader, prefix.addresses(reader, items, None))
    return store is not None and not len(missing)


def _fullest(
    prefix: Prefix, reader: Reader, addresses: Addresses
) -> tuple[str, FeatureStore | None, np.ndarray]:
    """The store that lacks fewest of these items, its precision, and the positions it lacks.

    Where nothing is stored, the precision is as asked for.
    """
    precision, fullest = prefix.precision, None
    lacking = addresses.once()
    for each in prefix.precisions():
        shape = FeatureStore.shape_of(prefix.key(reader, each))
        if shape is None:
            continue
        store = _open(prefix, reader, each, shape)
        absent = np.array(store.missing(addresses.digests), dtype=np.int64)
        missing = addresses.items_of(absent)
        if len(missing) < len(lacking):
            precision, fullest, lacking = each, store, missing
    return precision, fullest, lacking


def _open(prefix: Prefix, reader: Reader, precision: str, shape: Shape) -> FeatureStore:
    return FeatureStore(prefix.key(reader, precision), shape, dtype=prefix.stored_as(precision))
