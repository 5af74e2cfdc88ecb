"""How the splits of a data set come about: by the names its layout gives, else by content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.data.sources import SPLITS, Found, Item
from headstart.data.splits import FROM_TRAIN, UNSPLIT, Shares, cut


@dataclass(frozen=True)
class Plan:
    """What each named split becomes, and the shares of what is cut by content, if anything is."""

    rule: str
    named: Mapping[str, str]
    shares: Shares | None

    def rename(self, item: Item) -> Item:
        """The item in the split that its named one becomes, or in none yet."""
        split = self.named.get(item.split or "")
        return item if item.split == split else replace(item, split=split)

    def cut(
        self, items: Sequence[Item], stratum: Callable[[str], str]
    ) -> tuple[tuple[Item, ...], tuple[str, ...]]:
        """Give a split to every item that is not held out by name; also the ids that moved.

        `stratum` answers what a label belongs to that must be in every split.
        """
        if self.shares is None:
            return tuple(items), ()
        strata: defaultdict[str, list[str]] = defaultdict(list)
        for item in items:
            if item.split != "test":
                strata[stratum(item.label)].append(item.identity)
        split_of, moved = cut(strata, self.shares)
        done = tuple(
            item if item.split == "test" else replace(item, split=split_of[item.identity])
            for item in items
        )
        strangers = frozenset(moved)
        return done, tuple(item.id for item in done if item.identity in strangers)


def plan_of(found: Found) -> Plan:
    """Three named splits are used as they are; of two the second is held out for the test."""
    present = [name for name in SPLITS if name in found.split_names]
    words = [f"`{found.split_names[name]}`" for name in present]
    if len(present) == 3:
        rule = f"{words[0]}, {words[1]} and {words[2]} are the splits as named"
        return Plan(rule, {name: name for name in SPLITS}, None)
    if len(present) == 2:
        rule = (
            f"{words[1]} is the held-out test; "
            f"validation (20 %) is cut from {words[0]} by content hash"
        )
        return Plan(rule, {present[0]: "train", present[1]: "test"}, FROM_TRAIN)
    only = f"only {words[0]} is there; " if words else ""
    return Plan(f"{only}train, validation and test (70/15/15) are cut by content hash", {}, UNSPLIT)


def held_out(found: Found) -> tuple[Found, str]:
    """Only what the layout holds out, or everything where it names fewer than two splits."""
    present = [name for name in SPLITS if name in found.split_names]
    if len(present) < 2:
        return found, "every item is test data"
    last = present[-1]
    rows = tuple(row for row in found.rows if row.split == last)
    return replace(found, rows=rows), f"only the held-out `{found.split_names[last]}` is used"
