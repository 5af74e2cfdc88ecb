"""What tables hold of items: rows that are items, and parts of what a cell names."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from headstart.contracts.backbone import Backbone, Fed, Preprocess
from headstart.contracts.task import Array
from headstart.errors import DataError

if TYPE_CHECKING:
    from headstart.contracts.modality import Modality


class Tabular(ABC):  # noqa: B024  # every part has a default
    """The side of a modality that manifests see.

    Where items are `whole_rows`, `columns_of` says which columns are read, and `row` makes the
    bytes of one; rows with equal content may then have different labels. `span` names the columns
    between which numbers only a part of the content is meant, `transcripts` those of texts that are
    answers where no label is.
    """

    whole_rows: ClassVar[bool] = False
    transcripts: ClassVar[tuple[str, ...]] = ()
    span: ClassVar[tuple[str, str] | None] = None

    def part(self, raw: bytes, start: float | None, end: float | None) -> bytes:
        """The part of an item between two numbers of the columns `span`, as an item of its own.

        Raises DataError where there is nothing between them.
        """
        raise DataError("items of this kind have no parts")

    def length(self, raw: bytes) -> float:
        """How long an item is, in the numbers of the columns `span`.

        Raises DataError for bytes that are no item.
        """
        raise DataError("items of this kind have no length")

    def heard(self, preprocess: Preprocess) -> float | None:
        """How much of an item a network takes in at a time, likewise; None for no such numbers."""
        return None

    def columns_of(
        self, table: Mapping[str, Sequence[Any]]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of a table by column those that rows are made of, and sentences on how all are read."""
        return tuple(table), ()

    def reading(self, backbones: Sequence[Fed]) -> Self:
        """The same that reads of rows whatever one of these backbones does."""
        return self

    def settled(self, table: Mapping[str, Sequence[Any]]) -> Self:
        """The same that knows which columns of a table hold items of other modalities."""
        return self

    def holds(self) -> Mapping[str, Modality]:
        """Those columns, each with the modality of its cells."""
        return {}

    def fitted_columns(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Of the columns that rows were made of those that a fitted modality goes by."""
        return tuple(columns)

    def row(self, cells: Mapping[str, Any]) -> bytes | None:
        """The bytes of an item that is a table's row; None where it holds nothing.

        Cells that are items of other modalities are their bytes. Raises DataError for a cell that
        can't be part of a row.
        """
        return None

    def apart(self, raw: bytes, preprocess: Preprocess) -> tuple[Array, Mapping[str, bytes]]:
        """A row's plain columns as numbers (D,), and by column its cells that are items.

        Raises DataError for what is no row.
        """
        raise DataError("items of this kind have no columns")

    def prepared(self, backbone: Backbone, sample: Iterable[bytes]) -> Backbone:
        """The backbone with what items to learn from say of its inputs; never their labels."""
        return backbone

    def feature_columns(self, preprocess: Preprocess) -> Sequence[str]:
        """Of which column each number of a decoded row is."""
        return ()

    def giveaways(
        self, rows: Sequence[Array], targets: Array, preprocess: Preprocess
    ) -> Sequence[str]:
        """Sentences on columns of rows, as numbers (D,), that are their targets in disguise."""
        return ()
