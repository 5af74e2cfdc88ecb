"""How splits come about: as a layout names them, else by rank of content's hash in each class."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor

from headstart.data.sources import SPLITS, Contents, Item

Shares = tuple[tuple[str, float], ...]  # they sum to 1; one or two held out, then "train"
Counts = Mapping[str, Mapping[str, int]]  # of a cluster, by hash: different items of each class

UNSPLIT: Shares = (("test", 0.15), ("validation", 0.15), ("train", 0.70))
TEST_FROM_TRAIN: Shares = (("test", 0.20), ("train", 0.80))
FROM_TRAIN: Shares = (("validation", 0.20), ("train", 0.80))
_ANY = "\0"  # stands for all classes together
_TINY = 1e-9  # what sums of shares may be off
_HIDDEN = frozenset({None, "-1", "-1.0", "[]"})  # what stands for labels that are kept back


def cut(clusters: Counts, shares: Shares) -> dict[str, str]:
    """Give each cluster of items its split.

    Clusters of several items are spread first, and single items make up the shares: in order of
    their hash within the class, the first go to the first split, the last to the second, and those
    between are learned from. What is held out has its share to within half an item over all
    classes, and in each to within one item, as far as clusters allow. A class of at least as many
    clusters as there are splits is in each, if none holds other classes too; a class of fewer is at
    least learned from.

    A new single item moves to or from a split that is held out at most one other of its class, and
    one of one other class; and no cluster of several, if classes have a single item a split.
    """
    several = {name: own for name, own in clusters.items() if sum(own.values()) > 1}
    single: dict[str, list[str]] = {label: [] for own in clusters.values() for label in own}
    for name in sorted(clusters.keys() - several.keys()):
        single[next(iter(clusters[name]))].append(name)
    split_of = spread(several, dict(shares), {label: len(own) for label, own in single.items()})
    split_of |= {name: shares[-1][0] for own in single.values() for name in own}
    for place, counts in enumerate(_held_out(clusters, split_of, single, shares)):
        for label, count in counts.items():
            own = single[label]
            part = own[len(own) - count :] if place else own[:count]
            split_of |= dict.fromkeys(part, shares[place][0])
    return split_of


def _held_out(
    clusters: Counts,
    split_of: Mapping[str, str],
    single: Mapping[str, list[str]],
    shares: Shares,
) -> list[dict[str, int]]:
    """How many single items of each class to hold out in each split, beside clusters of several."""
    sizes, families, in_split = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for name, own in clusters.items():
        sizes.update(own)
        families.update(own.keys())
        if sum(own.values()) > 1:
            in_split.update({(split_of[name], label): count for label, count in own.items()})
    free = {label: len(own) for label, own in single.items()}
    names = [name for name, _ in shares]

    def lacks(label: str, name: str) -> int:
        due = families[label] >= len(names) or name == names[-1]
        return int(due and not in_split[name, label])

    numbers: list[dict[str, int]] = []
    for place, (name, share) in enumerate(shares[:-1]):
        total = sum(in_split[name, label] for label in sizes)
        goals = {label: share * size - in_split[name, label] for label, size in sizes.items()}
        most = {
            label: max(0, free[label] - sum(lacks(label, later) for later in names[place + 1 :]))
            for label in sizes
        }
        least = {label: min(most[label], lacks(label, name)) for label in sizes}
        total = floor(share * sizes.total() + 0.5 + _TINY) - total
        numbers.append(_whole(goals, least, most, total))
        free = {label: free[label] - count for label, count in numbers[-1].items()}
    return numbers


def _whole(
    goals: Mapping[str, float], least: Mapping[str, int], most: Mapping[str, int], total: int
) -> dict[str, int]:
    """Whole numbers that sum to a total, as far as bounds allow: by largest remainders (Hamilton).

    Of equal remainders that of the lowest hash comes first, so that classes of one size differ.
    """
    counts = {n: max(least[n], min(most[n], floor(want + _TINY))) for n, want in goals.items()}
    free = [name for name in counts if counts[name] < most[name]]
    free.sort(key=lambda name: (-round(goals[name] - counts[name], 9), hashed(name)))
    for name in free[: max(0, total - sum(counts.values()))]:
        counts[name] += 1
    return counts


def spread(
    clusters: Counts, shares: Mapping[str, float], single: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Give each cluster one of several parts, so that every class keeps its shares.

    Large ones come first, those of like size by hash. Each goes where its classes lack most of
    their shares of what was given out so far, then where items do (cf. scikit-learn's
    `StratifiedGroupKFold`); but where they are absent, if a class has just enough clusters left to
    be in every part, with the `single` items of it that come later. With equal shares no part is
    empty, unless there are fewer clusters than parts.
    """
    remaining = Counter(single or {})
    remaining[_ANY] = remaining.total()
    for own in clusters.values():
        remaining.update([*own, _ANY])
    enough = frozenset(label for label, count in remaining.items() if count >= len(shares))
    main = max(shares, key=lambda part: shares[part])
    parts = _Parts(shares, main, enough, remaining)
    order = sorted(clusters, key=lambda name: (-sum(clusters[name].values()).bit_length(), name))
    return {name: parts.give(clusters[name]) for name in order}


@dataclass
class _Parts:
    """What was given out so far: items of each class, and of each class in each part."""

    shares: Mapping[str, float]
    main: str  # the part of the largest share: a class of few clusters is at least in this
    enough: frozenset[str]  # classes that can be in every part
    remaining: Counter[str]  # clusters of each class that are still to come
    passed: Counter[str] = field(default_factory=Counter)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def give(self, own: Mapping[str, int]) -> str:
        """The part that a cluster with these items belongs to."""
        self.passed.update(own)
        learned = all(label in self.enough or self.counts[self.main, label] for label in own)
        labels = [*own, _ANY] if learned else list(own)
        last = [label for label in labels if label in self.enough and self._just_enough(label)]
        best = max(self.shares, key=lambda part: self._lack(part, own, last))
        self.counts.update({(best, label): count for label, count in own.items()})
        self.counts[best, _ANY] += sum(own.values())
        self.remaining.subtract([*own, _ANY])
        return best

    def _just_enough(self, label: str) -> bool:
        return self.remaining[label] <= sum(not self.counts[part, label] for part in self.shares)

    def _lack(
        self, part: str, own: Mapping[str, int], last: Sequence[str]
    ) -> tuple[int, float, float]:
        share = self.shares[part]
        lack = sum(
            count * (share - self.counts[part, label] / self.passed[label])
            for label, count in own.items()
        )
        absent = sum(not self.counts[part, label] for label in last)
        return (
            absent,
            round(lack, 9),
            round(share * self.passed.total() - self.counts[part, _ANY], 9),
        )


def hashed(text: str) -> str:
    """A hash of a text, as hex."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


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
        subject = f"`{column}` has" if column else "There are"
        return (
            f"{subject} {len(groups)} groups, too few to keep each in one split: with {least} or "
            "more they would be. The groups part the report alone.",
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
