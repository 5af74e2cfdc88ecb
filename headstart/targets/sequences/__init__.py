"""Sequences: a text an item as the answer, such as its translation or what is said in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np

from headstart.contracts.labels import Items, LabelRow, Names, Screened, Splits
from headstart.contracts.scripts import scripts, share
from headstart.contracts.sequences import decoded, encoded
from headstart.contracts.spoken import plain
from headstart.contracts.targets import Encoding, Targets
from headstart.errors import DataError
from headstart.targets.sequences.screening import screened

_LETTERS: Final = 12  # of one text, from which on its script tells the language
_USUAL: Final = 0.1  # of all texts: scripts that are in more are the column's own

FOREIGN: Final = "its text is not in the script of the others"
MUTE: Final = "its text has no word"
_BRIEF = 60  # characters of a text among others
_REPEATED = 0.05  # of the answers held out: more that were learned word for word are said


@final
class Sequences(Targets):
    """A text, as it is written but for white space at its ends; encoded by `contracts.sequences`.

    One item may have several right answers, so that labels don't contradict each other.
    """

    name: ClassVar[str] = "sequences"
    words: ClassVar[tuple[str, str]] = ("text", "texts")
    unit: ClassVar[str] = "pairs"
    encoding: ClassVar[Encoding] = Encoding.OTHER
    verbatim: ClassVar[bool] = True
    contradict: ClassVar[bool] = False
    constant: ClassVar[bool] = False
    missing: ClassVar[frozenset[str]] = frozenset()  # "None" and "NA" are words

    def read(self, row: LabelRow) -> str | None:
        """The text. Raises DataError for what is none."""
        value = row.value
        if value is None or value != value:  # NaN is how tables say that there is none
            return None
        if not isinstance(value, str | int | float):
            raise DataError(
                f"{row.place} has {str(value)[:40]!r} as its answer, which is no text. "
                "Give one text a row."
            )
        text = str(value).replace("\0", "").strip()
        return text.encode("utf-8", "replace").decode("utf-8") or None

    def names(self, path: Path, items: Items, columns: Names) -> tuple[str, ...]:
        """The column of the answers, such as a language; `target` where none has a name."""
        return tuple(filter(None, columns[:1])) or ("target",)

    def encode(self, labels: Sequence[str], names: Names) -> np.ndarray:
        """Code points (N, L) int32."""
        return encoded(labels)

    def brief(self, label: str) -> str:
        """Its beginning."""
        line = " ".join(label.split())
        return line if len(line) <= _BRIEF else line[: _BRIEF - 1] + "…"

    def heading(self, names: Names) -> str:
        """`with a text of `uk``."""
        return f"with a text of `{names[0]}`" if names else "with a text"

    def spread(self, items: Items, names: Names) -> str:
        """How long the texts are."""
        lengths = sorted(len(item.label) for item in items)
        if not lengths:
            return ""
        return f"{lengths[0]} to {lengths[-1]} characters, median {lengths[len(lengths) // 2]}"

    def warnings(self, splits: Splits, names: Names) -> list[str]:
        """How many answers that are held out were learned word for word."""
        train_texts = {item.label for item in splits.get("train", ())}
        test = [item.label for item in splits.get("test", ())]
        repeated = sum(label in train_texts for label in test)
        if not train_texts or repeated <= _REPEATED * len(test):
            return []
        return [
            f"{repeated} of {len(test)} answers in test are, word for word, those of other "
            "training items, so that looking them up goes far."
        ]

    def unvarying(self, path: Path, label: str) -> DataError:
        """The error where every item has the same text."""
        return DataError(
            f"{path} has one text for every item, {self.brief(label)!r}. Give some that differ."
        )

    def screened(
        self, texts: Iterable[str | None], labels: Sequence[str], columns: tuple[str, str]
    ) -> Screened:
        """Pairs that spoil what is learned: copies, wrong languages, lengths, repetitions.

        Those are alike whose sources differ in case, digits, punctuation and placeholders. Where
        items are no texts, only what is wrong with their own.
        """
        sources = [*texts]
        if sources and all(text is None for text in sources):
            return _screened_speech(labels)
        return screened(sources, labels, columns)

    def only_answer(self, outputs: np.ndarray, names: Names) -> str:
        """The text that is the answer to every item."""
        different = {*decoded(outputs)}
        return repr(self.brief(different.pop())) if len(different) == 1 else ""

    def task_settings(self, targets: np.ndarray, names: int, weigh: bool) -> dict[str, Any]:
        """None."""
        return {}


def _screened_speech(labels: Sequence[str]) -> Screened:
    """Texts without a word, and those in another script than the others."""
    letters = [scripts(text) for text in labels]
    texts = Counter(name for each in letters for name in each)
    own = frozenset(name for name, count in texts.items() if count > _USUAL * len(labels))
    faults = tuple(_fault(text, each, own) for text, each in zip(labels, letters, strict=True))
    counts = Counter(filter(None, faults))
    reasons = ", ".join(f"{count} as {fault}" for fault, count in counts.most_common())
    remarks = (f"texts left out: {reasons}",) if reasons else ()
    return Screened(faults, ("",) * len(labels), remarks)


def _fault(text: str, letters: Counter[str], own: frozenset[str]) -> str:
    if not plain(text):
        return MUTE
    foreign = letters.total() >= _LETTERS and own and not share(letters, own)
    return FOREIGN if foreign else ""
