"""What tables hold of items: rows that are items, and parts of what a cell names."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from headstart.contracts.backbone import Backbone, Preprocess
from headstart.contracts.task import Array
from headstart.errors import DataError


class Tabular(ABC):  # noqa: B024  # every part has a default
    """The side of a modality that manifests see.

    Where items are `whole_rows`, `columns_of` says which columns are read, and `row` makes the
    bytes of one; rows with equal content may then have different labels. `span` names the columns
    between which numbers only a part of the content is meant.
    """

    whole_rows: ClassVar[bool] = False
    span: ClassVar[tuple[str, str] | None] = None

    def part(self, raw: bytes, start: float | None, end: float | None) -> bytes:
        """The part of an item between two numbers of the columns `span`, as an item of its own.

        Raises DataError where there is nothing between them.
        """
        raise DataError("items of this kind have no parts")

    def columns_of(
        self, table: Mapping[str, Sequence[Any]]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of a table by column those that rows are made of, and sentences on how all are read."""
        return tuple(table), ()

    def row(self, cells: Mapping[str, Any]) -> bytes | None:
        """The bytes of an item that is a table's row; None where it holds nothing.

        Raises DataError for a cell that can't be part of one.
        """
        return None

    def prepared(self, backbone: Backbone, sample: Sequence[bytes]) -> Backbone:
        """The backbone with what items to learn from say of its inputs; never their labels."""
        return backbone

    def feature_columns(self, preprocess: Preprocess) -> Sequence[str]:
        """Of which column each number of a decoded row is."""
        return ()

    def giveaways(
        self, items: Sequence[Any], targets: Array, preprocess: Preprocess
    ) -> Sequence[str]:
        """Sentences on parts of decoded items that are their targets in disguise."""
        return ()
