"""Rows whose cells are items of other backbones: each distinct cell goes through its own once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np

from headstart.contracts import Modality
from headstart.contracts.backbone import Backbone
from headstart.data import Item
from headstart.data.sources import Source, digest
from headstart.features.reading import Reader

if TYPE_CHECKING:
    from headstart.contracts.joined import Joined


@final
@dataclass(frozen=True)
class _Cell(Source):
    """What stands in one column of a row."""

    row: Item
    reader: Reader
    column: str

    def read(self) -> bytes:
        """Its bytes."""
        return self.reader.apart(self.row)[1][self.column]


@final
@dataclass(frozen=True)
class Part:
    """One of a backbone's parts, with the distinct cells that it reads."""

    backbone: Backbone
    reader: Reader
    cells: dict[str, Item] = field(default_factory=dict)  # by digest

    @property
    def items(self) -> list[Item]:
        """The cells as items."""
        return list(self.cells.values())


@final
@dataclass(frozen=True)
class RowParts:
    """Rows taken apart: their plain numbers (N, D), and for each column whose cells are items the
    part that reads it, the rows that have one, and the digests of these."""

    numbers: np.ndarray
    parts: Mapping[str, Part]
    columns: Sequence[tuple[str, list[int], list[str]]]

    @classmethod
    def of(cls, backbone: Backbone, items: Sequence[Item], reader: Reader) -> RowParts:
        """Those of items as this backbone reads them. Raises DataError for what is no row."""
        cell_modalities = reader.modality.holds()
        kinds = {each["name"]: each["kind"] for each in reader.preprocess["columns"]}
        columns: dict[str, tuple[str, list[int], list[str]]] = {
            name: (kinds[name], [], []) for name in cell_modalities
        }
        parts: dict[str, Part] = {}
        numbers = []
        for row, item in enumerate(items):
            own, cells = reader.apart(item)
            numbers.append(own)
            for name, content in cells.items():
                kind, rows, digests = columns[name]
                hashed = digest(content)
                rows.append(row)
                digests.append(hashed)
                part = parts.get(kind) or _part(backbone, kind, cell_modalities[name])
                parts[kind] = part
                if hashed not in part.cells:
                    source = _Cell(item, reader, name)
                    part.cells[hashed] = Item(f"{item.id} {name}", "", None, source, hashed)
        return cls(np.stack(numbers), parts, list(columns.values()))

    def joined(self, network: Joined, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """Rows (N, D) float32 of the parts' features of their distinct cells, in their order."""
        import torch

        cells = [
            (torch.tensor(rows, dtype=torch.int64), torch.from_numpy(own))
            for rows, own in self.by_column(network, features)
        ]
        with torch.inference_mode():
            return network.beside(torch.from_numpy(self.numbers), cells).numpy()

    def by_column(
        self, network: Joined, features: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """For each column its rows that have a cell, and these cells' features."""
        order = {k: {d: n for n, d in enumerate(part.cells)} for k, part in self.parts.items()}
        for (kind, rows, digests), (_, width) in zip(self.columns, network.columns, strict=True):
            places = [order[kind][each] for each in digests]
            yield rows, features[kind][places] if rows else np.empty((0, width), np.float32)


def _part(backbone: Backbone, kind: str, modality: Modality) -> Part:
    own = backbone.parts[kind]
    return Part(own, Reader(modality, own.preprocess))
