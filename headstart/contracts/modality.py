"""A kind of raw input: reading, checking, and turning items into what a network takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.random import Generator as Rng

from headstart.contracts.backbone import Backbone, Fed, Preprocess
from headstart.contracts.task import Array


@dataclass(frozen=True)
class Check:
    """What a modality says of one item: why it can't be used, if so, and its peculiarities.

    `identity` is equal for items that count as identical, where their bytes say too little.
    `sketch` is 256 bits as hex, of which near copies share all but 10; empty for near none.
    """

    problem: str | None = None
    notes: tuple[str, ...] = ()
    identity: str = ""
    sketch: str = ""


@dataclass(frozen=True)
class Extent:
    """The width and height of a picture as it is seen, in pixels.

    `turn` is what made the stored pixels so: quarters clockwise, and 4 more where they were
    mirrored left to right before; 0 where nothing did.
    """

    width: int
    height: int
    turn: int = 0

    @property
    def sideways(self) -> bool:
        """Whether the stored pixels are as high as it is wide."""
        return self.turn % 2 == 1


@dataclass(frozen=True)
class Motion:
    """Where a random view moved what a picture shows: mirrored first, then made smaller."""

    mirrored: bool
    scale: float


class Modality(ABC):
    """A kind of raw input, such as pictures.

    `suffixes` are those of files that count as items, lower case with the dot; `columns` those of a
    manifest that may hold the content, best first, and `inline` says that they hold it themselves
    and not a path. Where items are `whole_rows` of tables, `columns_of` says which columns are
    read, and `row` makes the bytes of one; rows with equal content may then have different labels.
    `version` is raised when `check` or `decode` answers otherwise than before.

    Items of a `ragged` modality differ in `size`: inputs are then mappings with a `mask` (N, T),
    1 before padding, and what stages answer is `hidden` (N, T, D) with that mask. Where they are
    `compact` decoded ones are kept in memory. `varied` says that items have random views; `span`
    names the columns of a manifest between which numbers only a part of the content is meant.
    Those that `has_extent` have places that labels may point at.
    """

    suffixes: ClassVar[frozenset[str]]
    columns: ClassVar[tuple[str, ...]]
    version: ClassVar[int] = 1
    inline: ClassVar[bool] = False
    whole_rows: ClassVar[bool] = False
    ragged: ClassVar[bool] = False
    compact: ClassVar[bool] = True
    varied: ClassVar[bool] = False
    span: ClassVar[tuple[str, str] | None] = None
    has_extent: ClassVar[bool] = False

    @property
    def keeps_decoded(self) -> bool:
        """Whether decoded items may stay in memory: they differ in size, and are small."""
        return self.ragged and self.compact

    def recognises(self, head: bytes) -> bool | None:
        """Whether the first KiB of a file is that of an item; None where it can't be said."""

    @abstractmethod
    def check(self, raw: bytes) -> Check:
        """What is to be said of one item's bytes."""

    def problem(self, raw: bytes) -> str | None:
        """Why an item can't be used, of what `decode` doesn't refuse by itself."""
        return self.check(raw).problem

    @abstractmethod
    def decode(self, raw: bytes, preprocess: Preprocess, rng: Rng | None = None) -> Any:
        """One item as `preprocess` wants it; a random view of it where `rng` is given.

        Raises DataError for bytes that are no item.
        """

    @abstractmethod
    def collate(self, items: Sequence[Any], preprocess: Preprocess) -> Any:
        """Model inputs from decoded items: a tensor (N, ...), or a mapping of tensors."""

    def extent(self, raw: bytes) -> Extent | None:
        """How large an item is where it has places to point at, as `has_extent` says.

        Raises DataError for bytes that are no item.
        """

    def motion(self, preprocess: Preprocess, rng: Rng) -> Motion | None:
        """What `decode` does to places with this `rng` as it is; None where they can't be told."""

    def accepts(self, preprocess: Preprocess) -> bool:
        """Whether a stranger's preprocessing is one that items can be prepared by, in any case."""
        return True

    def fitted(self, backbone: Fed) -> Modality:
        """The same modality with what the backbone's files hold, such as a tokenizer."""
        return self

    def arrays(self, items: Sequence[Any], preprocess: Preprocess) -> Any | None:
        """What `collate` answers as NumPy arrays, pictures (N, H, W, C), made without torch.

        None where there is no such: its saved models then answer through torch.
        """

    def size(self, item: Any) -> int:
        """How long a decoded item is."""
        return 1

    def remarks(self, items: Sequence[Any], preprocess: Preprocess) -> Sequence[str]:
        """Sentences on what of these decoded items the backbone can't take in."""
        return ()

    def look(self, inputs: Any, name: str) -> Any | None:
        """A batch of inputs seen otherwise, by `flip` or `scales`; None where there is no such.

        Of tensors, or of what `arrays` answers.
        """

    def text(self, raw: bytes) -> str | None:
        """The words of an item, which a cheap baseline goes by; None where it has none."""

    def wording(self, raw: bytes) -> str | None:
        """An item as text for people, on pages; None where it is a picture."""
        return self.text(raw)

    def statistics(self, raw: bytes) -> Mapping[str, Array] | None:
        """What a cheap baseline goes by where there are no words: named arrays (K,)."""

    def shown(self, raw: bytes, side: int) -> Array | None:
        """An item as people see it, (H, W, 3) uint8, its shorter side at most `side`; or None.

        Raises DataError for bytes that are no item.
        """

    def played(self, raw: bytes) -> bytes | None:
        """The beginning of an item as a small MP3; None where there is nothing to hear."""

    def part(self, raw: bytes, start: float | None, end: float | None) -> bytes:
        """The part of an item between two numbers of the columns `span`, as an item of its own.

        Raises DataError where there is nothing between them.
        """
        raise NotImplementedError

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

    def pieces(self, raw: bytes) -> Sequence[tuple[str, int]]:
        """What each unit of a ragged item stands for, and its word's number, -1 for no word."""
        return ()
