"""A kind of raw input: reading, checking, and turning items into what a network takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.random import Generator as Rng

from headstart.contracts.backbone import Fed, Preprocess
from headstart.contracts.places import Extent, Motion
from headstart.contracts.presented import Presented
from headstart.contracts.tabular import Tabular


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


class Modality(Presented, Tabular, ABC):
    """A kind of raw input, such as pictures.

    `suffixes` are those of files that count as items, lower case with the dot; `columns` those of a
    manifest that may hold the content, best first, and `inline` says that they hold it themselves
    and not a path. `version` is raised when `check` or `decode` answers otherwise than before.

    Items of a `ragged` modality differ in `size`: inputs are then mappings with a `mask` (N, T),
    1 before padding, and what stages answer is `hidden` (N, T, D) with that mask. Where they are
    `compact` decoded ones are kept in memory. `varied` says that items have random views. Those
    that `has_extent` have places that labels may point at; `in_arrays` says there are `arrays`.
    Of a kind with `pixels` a table may hold the numbers themselves, from 0 to 255.
    """

    suffixes: ClassVar[frozenset[str]]
    columns: ClassVar[tuple[str, ...]]
    version: ClassVar[int] = 1
    inline: ClassVar[bool] = False
    ragged: ClassVar[bool] = False
    compact: ClassVar[bool] = True
    varied: ClassVar[bool] = False
    has_extent: ClassVar[bool] = False
    in_arrays: ClassVar[bool] = False
    pixels: ClassVar[bool] = False

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

    def blank(self, preprocess: Preprocess) -> Any:
        """Model inputs of one item in which there is nothing."""
        return self.collate([self.decode(b"", preprocess)], preprocess)

    def extent(self, raw: bytes) -> Extent | None:
        """How large an item is where it has places to point at, as `has_extent` says.

        Raises DataError for bytes that are no item.
        """

    def motion(self, preprocess: Preprocess, rng: Rng) -> Motion | None:
        """What `decode` does to places with this `rng` as it is; None where they can't be told."""

    def accepts(self, preprocess: Preprocess) -> bool:
        """Whether a stranger's preprocessing is one that items can be prepared by, in any case."""
        return True

    def composed(self, modality_by_name: Callable[[str], Modality]) -> Modality:
        """The same with a way to others by name, for one whose items hold items of others."""
        return self

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

    def outside(self, raw: bytes, preprocess: Preprocess) -> Mapping[str, str]:
        """The columns of an item whose value lies outside all that was learned from, and what did.

        None where that isn't known.
        """
        return {}

    def look(self, inputs: Any, name: str) -> Any | None:
        """A batch of inputs seen otherwise, by `flip` or `scales`; None where there is no such.

        Of tensors, or of what `arrays` answers.
        """
