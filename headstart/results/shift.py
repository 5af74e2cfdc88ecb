"""How far one data set is from another, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headstart.drift.shift import Shift
from headstart.drift.words import accuracy, again, command, language, moved
from headstart.report import as_columns
from headstart.report.notebook import Printed

_NAMED = 5  # classes and items that a terminal names
_LONGEST = 70  # signs of an item's name


@dataclass(frozen=True, repr=False)
class Shifted(Printed):
    """What `shift` found: `shift` the numbers, `before` and `now` what was compared.

    `is_model` says whether the former is a saved model.
    """

    shift: Shift
    before: str
    now: str
    is_model: bool = False

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        names = {"before": self.before, "now": self.now, "said": list(self.sentences())}
        return names | self.shift.to_json()

    def __str__(self) -> str:
        tables = filter(None, (_classes(self.shift), _items(self.shift)))
        return "\n".join([*self.sentences(), *(f"\n{table}" for table in tables)])

    def sentences(self) -> Iterator[str]:
        """What moved, by how much, and what to expect of answers."""
        old, new = self.shift.items
        yield f"{new} items of {self.now} against {old} held-out items of {self.before}."
        yield from again(self.shift)
        yield moved(self.shift)
        yield (
            f"A classifier tells them apart with an AUC of {self.shift.apart.effect:.2f} "
            f"(.5 is not at all; p {self.shift.apart.p:.3f}); maximum mean discrepancy "
            f"{self.shift.whole.effect:.3f} (p {self.shift.whole.p:.3f}); "
            f"{self.shift.by_dimension['moved']} of {self.shift.by_dimension['features']} features "
            f"differ, the most by {self.shift.by_dimension['largest']:.2f} (Kolmogorov-Smirnov)."
        )
        yield (
            f"{self.shift.unfamiliar:.0%} of the items are less familiar than 95 % of usual ones."
        )
        yield from language(self.shift)
        if self.shift.expected is not None:
            yield accuracy(self.shift)
            if self.shift.expected.outside:
                how = f": {command('suggest', self.before, self.now)}" if self.is_model else ""
                yield f"Label some to know{how}."


def _classes(shift: Shift) -> str:
    rows = [
        (
            row["label"],
            f"{row['before']:.3f}",
            f"{row['now']:.3f}",
            f"{row['low']:.3f} – {row['high']:.3f}",
            "" if row["unfamiliar"] is None else f"{row['unfamiliar']:.0%}",
        )
        for row in shift.shares[:_NAMED]
    ]
    titles = ("class", "share before", "now", "95 % interval", "unfamiliar")
    return as_columns(titles, rows) if rows else ""


def _items(shift: Shift) -> str:
    rows = [
        (_short(row), str(row.get("answer", "")), f"{row['familiarity']:.3f}")
        for row in shift.furthest[:_NAMED]
    ]
    return as_columns(("furthest items", "answer", "familiarity"), rows) if rows else ""


def _short(row: Mapping[str, Any]) -> str:
    text = " ".join(str(row["item"]).split())
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"
