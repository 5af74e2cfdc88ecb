"""How a manifest is to be read: which columns hold content, label and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.contracts import Modality
from headstart.errors import DataError

_LABELS = ("label", "labels")  # columns that hold the label whatever else is there
NUMBERING = frozenset({"", "id", "idx", "index", "unnamed: 0"})  # columns that only count rows
_SPLIT = "split"


@dataclass(frozen=True)
class Schema:
    """What the user says of a manifest; all that is None or empty is told from the manifest.

    `label` names the label column and `content` the column of the content, or two that make a pair
    of texts. `kind` is "classes", "numbers" or "label sets"; `delimiter` stands between the labels
    of one item, which are then a set. `group` names the column of the groups that items belong to.
    """

    label: str | None = None
    content: tuple[str, ...] = ()
    kind: str | None = None
    delimiter: str | None = None
    group: str | None = None
    may_lack_label: bool = False  # the label column's name is then empty


GUESSED = Schema()


@dataclass(frozen=True)
class Columns:
    """The columns of one manifest that are read, and a sentence on those that were guessed."""

    content: tuple[str, ...]
    label: str
    split: str | None
    said: str
    group: str | None = None


def choose_columns(path: Path, names: Sequence[str], modality: Modality, schema: Schema) -> Columns:
    """The columns of a manifest that hold content, label and split.

    Raises DataError listing the columns there are when content or label can't be told.
    """
    choice = _Choice(path, tuple(names), modality, schema)
    content = choice.content()
    label = choice.label(content)
    split = choice.lower.get(_SPLIT)
    return Columns(
        content,
        label,
        None if split in (label, *content) else split,
        choice.said(content, label),
        choice.group(content, label),
    )


@dataclass(frozen=True)
class _Choice:
    path: Path
    names: tuple[str, ...]
    modality: Modality
    schema: Schema

    @property
    def lower(self) -> dict[str, str]:
        return {name.lower(): name for name in reversed(self.names)}

    @property
    def listed(self) -> str:
        return ", ".join(repr(name) for name in self.names) or "none"

    def content(self) -> tuple[str, ...]:
        if self.schema.content:
            return self._asked(self.schema.content)
        known = [self.lower[name] for name in self.modality.columns if name in self.lower]
        known = [name for name in known if name != self.schema.label]
        if known:
            return (known[0],)
        label = self.schema.label or self._named_label(())
        others = [name for name in self._others(()) if name != label]
        if self.modality.inline and label in self.names and len(others) == 1:
            return (others[0],)
        raise DataError(
            f"{self.path} has no column for the content; its columns: {self.listed}. "
            f"{self._advice()}"
        )

    def label(self, content: tuple[str, ...]) -> str:
        asked = self.schema.label
        if asked in content:
            raise DataError(
                f"{self.path} can't have content and label in one column, {asked!r}. Name another."
            )
        if asked is not None:
            return self._demanded(asked)
        likely = [n for n in self._others(content) if n.lower() not in self.modality.columns]
        known = (*content, self.schema.group)
        possible = [name for name in self.names if name not in known]
        only = (names[0] for names in (likely, possible) if len(names) == 1)
        chosen = self._named_label(content) or next(only, None)
        if self.schema.may_lack_label and chosen not in likely:
            return ""
        if chosen is None:
            raise DataError(
                f"{self.path} has no column 'label'; its columns: {self.listed}. "
                "Say which one holds the label (--label, or label= from Python)."
            )
        return chosen

    def group(self, content: tuple[str, ...], label: str) -> str | None:
        asked = self.schema.group
        if asked is None:
            return None
        if asked in (label, *content):
            raise DataError(
                f"{self.path} can't have the groups in {asked!r}, which is the content or the "
                "label. Name another column."
            )
        return self._demanded(asked)

    def said(self, content: tuple[str, ...], label: str) -> str:
        """Empty where all was asked for, and where nothing else could be meant."""
        plain = {content[0], label} == {self.modality.columns[0], "label"} == set(self.names)
        if plain or (self.schema.content and self.schema.label):
            return ""
        parts = " and ".join(f"`{name}`" for name in content)
        verb = "is" if len(content) == 1 else "are"
        what = "text" if self.modality.inline else "content"
        return f"{parts} {verb} the {what}, `{label}` the label"

    def _named_label(self, content: tuple[str, ...]) -> str | None:
        known = (self.lower[name] for name in _LABELS if name in self.lower)
        return next((name for name in known if name not in content), None)

    def _others(self, content: tuple[str, ...]) -> list[str]:
        passed = {_SPLIT, *NUMBERING}
        known = (*content, self.schema.group)
        return [n for n in self.names if n not in known and n.strip().lower() not in passed]

    def _asked(self, content: tuple[str, ...]) -> tuple[str, ...]:
        most = 2 if self.modality.inline else 1
        if len(content) > most:
            what = "Texts come in at most two columns" if most == 2 else "The content is one column"
            raise DataError(f"{self.path} can't be read by {len(content)} columns. {what}.")
        return tuple(self._demanded(name) for name in content)

    def _demanded(self, name: str) -> str:
        if name in self.names:
            return name
        raise DataError(
            f"{self.path} has no column {name!r}; its columns: {self.listed}. Name one of these."
        )

    def _advice(self) -> str:
        if self.modality.inline:
            return "Say which one holds the text (--text, or text= from Python)."
        return f"Name one of them {', '.join(repr(name) for name in self.modality.columns)}."
