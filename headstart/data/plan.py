"""How the splits of a data set come about: by the names its layout gives, else by content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from headstart.data.sources import SPLITS, Contents, Item
from headstart.data.splits import FROM_TRAIN, TEST_FROM_TRAIN, UNSPLIT, Shares, cut

_HIDDEN = frozenset({None, "-1", "-1.0", "[]"})  # what stands for labels that are kept back


@dataclass(frozen=True)
class Plan:
    """What each named split becomes, and the shares of what is cut by content, if anything is."""

    rule: str
    roles: Mapping[str, str]
    shares: Shares | None

    @property
    def held(self) -> frozenset[str]:
        """The splits that are held out by name, so that nothing is cut from them."""
        return frozenset(self.roles.values()) - {"train"}

    def rename(self, item: Item) -> Item:
        """The item in the split that its named one becomes, or in none yet."""
        split = self.roles.get(item.split or "")
        return item if item.split == split else replace(item, split=split)

    def too_few(self, items: Sequence[Item], column: str | None) -> tuple[str, ...]:
        """A sentence where groups are too few to be kept together; without any, none."""
        groups = {item.group for item in items if item.split not in self.held} - {""}
        least = ceil(0.5 / min(share for _, share in self.shares or UNSPLIT))
        if not groups or len(groups) >= least:
            return ()
        return (
            f"`{column}` has {len(groups)} groups, too few to keep each in one split: with {least} "
            "or more they would be. The groups part the report alone.",
        )

    def cut(self, items: Sequence[Item], stratum: Callable[[str], str]) -> tuple[Item, ...]:
        """Give a split to every item that is not held out by name.

        `stratum` answers what a label belongs to that must be in every split.
        """
        if self.shares is None:
            return tuple(items)
        clusters: defaultdict[str, Counter[str]] = defaultdict(Counter)
        free = {item.identity: item for item in items if item.split not in self.held}
        for item in free.values():
            clusters[item.cluster][stratum(item.label)] += 1
        split_of = cut(clusters, self.shares)
        return tuple(
            item if item.split in self.held else replace(item, split=split_of[item.cluster])
            for item in items
        )


def plan_of(contents: Contents) -> Plan:
    """Three named splits are used as they are; of two the second is held out for the test.

    Where a named test split has no labels, another is cut from the training split.
    """
    present = [name for name in SPLITS if name in contents.split_names]
    words = [f"`{contents.split_names[name]}`" for name in present]
    without = [f"`{word}` has no labels; " for word in contents.unlabelled.values()]
    if len(present) == 3:
        rule = f"{words[0]}, {words[1]} and {words[2]} are the splits as named"
        return Plan(rule, {name: name for name in SPLITS}, None)
    if present == ["train", "validation"] and "test" in contents.unlabelled:
        rule = (
            f"{without[0]}{words[1]} is the validation; "
            f"test (20 %) is cut from {words[0]} by content hash"
        )
        return Plan(rule, {name: name for name in present}, TEST_FROM_TRAIN)
    if len(present) == 2:
        rule = (
            f"{''.join(without)}{words[1]} is the held-out test; "
            f"validation (20 %) is cut from {words[0]} by content hash"
        )
        return Plan(rule, {present[0]: "train", present[1]: "test"}, FROM_TRAIN)
    only = f"only {words[0]} is there; " if words else ""
    only = "".join(without) or only
    return Plan(f"{only}train, validation and test (70/15/15) are cut by content hash", {}, UNSPLIT)


def held_out(contents: Contents) -> tuple[Contents, str]:
    """Only what the layout holds out, or everything where it names fewer than two splits."""
    present = [name for name in SPLITS if name in contents.split_names]
    without = [f"`{word}` has no labels; " for word in contents.unlabelled.values()]
    if len(present) < 2:
        return contents, f"{''.join(without)}every item is test data"
    last = present[-1]
    rows = tuple(row for row in contents.rows if row.split == last)
    rule = f"{''.join(without)}only the held-out `{contents.split_names[last]}` is used"
    return replace(contents, rows=rows), rule


def without_hidden(contents: Contents, labels: Sequence[str | None]) -> Contents:
    """What has labels: splits of which no row has one, as in a competition's test, are left out.

    `labels` are those of the rows, None where there is none. A split of which all are -1 or empty
    sets, which no training row is, has none either.
    """
    values: dict[str, set[str | None]] = {}
    for row, label in zip(contents.rows, labels, strict=True):
        if row.split in contents.split_names:
            values.setdefault(str(row.split), set()).add(label)
    trained = values.get("train", set())
    hidden = {
        split
        for split, own in values.items()
        if split != "train" and own <= _HIDDEN and not (own - {None}) & trained
    }
    if not hidden or len(hidden) == len(values):
        return contents
    names = dict(contents.split_names)
    return replace(
        contents,
        rows=tuple(row for row in contents.rows if row.split not in hidden),
        unlabelled={**contents.unlabelled, **{split: names.pop(split) for split in sorted(hidden)}},
        split_names=names,
    )
