"""What the user says of a manifest, and which of its columns are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """The columns of one manifest that are read, and a sentence on those that were guessed."""

    content: tuple[str, ...]
    labels: tuple[str, ...]
    split: str | None = None
    remark: str = ""
    group: str | None = None
    span: tuple[str, str] | None = None  # between whose numbers only a part is meant
    kind: str = ""  # of target, where the label column's name says it
    owner: str = ""  # the column that may be one of groups, by its name

    @property
    def label(self) -> str:
        """The label column's name, with commas between several; empty where there is none."""
        return ",".join(self.labels)


@dataclass(frozen=True)
class Schema:
    """What the user says of a manifest; all that is None or empty is told from the manifest.

    `label` names the label column, or several with commas between, and `content` the column of the
    content, or two that make a pair of texts. `kind` names a kind of target, such as "numbers";
    `delimiter` stands between the labels of one item, which are then a set. `group` names the
    column of the groups that items belong to, `files` the one of paths to files. `class_level` says
    which folders are the classes: 1 for those right in the data set's folder or in a split's.
    """

    label: str | None = None
    content: tuple[str, ...] = ()
    kind: str | None = None
    delimiter: str | None = None
    group: str | None = None
    may_lack_label: bool = False  # the label column's name is then empty
    missing: str | None = None  # words with commas between that say there is no label
    before: Columns | None = None  # those a model was fitted with: taken where they are there
    files: str | None = None
    class_level: int | None = None
    drop: tuple[str, ...] = ()  # columns that rows are made without

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that the user names."""
        columns = (self.label, self.group, self.files, *self.content, *self.drop)
        return tuple(name for name in columns if name is not None)


GUESSED = Schema()
