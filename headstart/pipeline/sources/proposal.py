"""A mapping that names, kinds and sizes of columns speak for: written for a user to check."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from headstart.contracts.cells import is_blank
from headstart.contracts.written_numbers import format_of
from headstart.data import Dataset
from headstart.errors import HeadstartError
from headstart.pipeline.sources.tables import SourceTable, Table

FILE: Final = "columns.yaml"
_LEAST: Final = 0.5  # likeness of two columns, from which on one is proposed for the other
_NEAR: Final = 3.0  # times: medians within it are of one unit
_SHOWN: Final = 6
_SAME: Final = (  # words for one thing, in any spelling of names
    {"area", "sqft", "surface", "livingarea", "floorarea", "sqm", "m2", "size"},
    {"price", "cost", "amount", "value", "saleprice", "rent"},
    {"bath", "baths", "bathroom", "bathrooms"},
    {"bed", "beds", "bedroom", "bedrooms", "bedrms"},
    {"lot", "lotsize", "lotarea", "land", "plot"},
    {"year", "built", "yearbuilt"},
    {"ac", "aircon", "centralair", "airconditioning"},
    {"sex", "gender"},
    {"zip", "zipcode", "postcode", "postalcode"},
)


def proposed(target: Table, dataset: Dataset, sources: Sequence[SourceTable]) -> HeadstartError:
    """The error that says what was proposed, and in which file it stands now.

    A file that is there already is left alone.
    """
    texts, pairings, unnamed = [], [], ""
    for source in sources:
        label = _label(dataset, source)
        pairs = _pairs(target, source, label)
        texts.append(_written(target, source, label, pairs))
        pairings += [f"{name} from {source.key}'s {other}" for name, other in pairs.items()]
        unnamed = unnamed or ("" if label else source.key)
    place = _free(Path(FILE))
    place.write_text("\n".join([_HEAD.format(root=dataset.root), *texts]), encoding="utf-8")
    first = "; ".join(pairings[:_SHOWN]) or "no column"
    more = f" and {len(pairings) - _SHOWN} more" if len(pairings) > _SHOWN else ""
    todo = f"name the label of {unnamed}, " if unnamed else ""
    return HeadstartError(
        f"--from names a table, and nothing says which of its columns are which. A proposal is in "
        f"{place}: {first}{more}. Check it, {todo}and give it by --map {place}."
    )


_HEAD: Final = """# Which columns of other tables are which of {root}, and in what units.
# factor: what an amount is multiplied by; standardise: true where units can't be compared.
# Remove what is not the same thing.
"""


def _free(path: Path) -> Path:
    places = [path, *(path.with_stem(f"{path.stem}-{number}") for number in range(2, 100))]
    return next(place for place in places if not place.exists())


def _label(dataset: Dataset, source: SourceTable) -> str | None:
    """The column of a source that is most like the target's label by its name."""
    name = dataset.labels[0] if dataset.kind == "numbers" else ""
    label_columns = dataset.report.columns.get("label") or (name,)
    likeness = {column: _alike(str(label_columns[0]), column) for column in source.cells}
    best = max(likeness, key=lambda column: likeness[column], default=None)
    return best if best is not None and likeness[best] >= _LEAST else None


def _pairs(target: Table, source: SourceTable, label: str | None) -> dict[str, str]:
    """Columns of the source by the target's, the likeliest pairs first, each once."""
    scores = {
        (name, column): _alike(name, column) + 0.1 * _near(target[name], source.cells[column])
        for name in target
        for column in source.cells
        if column != label and _kind(target[name]) == _kind(source.cells[column])
    }
    pairs: dict[str, str] = {}
    for name, column in sorted(scores, key=lambda pair: -scores[pair]):
        likely = _alike(name, column) >= _LEAST
        if likely and name not in pairs and column not in pairs.values():
            pairs[name] = column
    return {name: pairs[name] for name in target if name in pairs}


def _alike(name: str, other: str) -> float:
    """How alike two names are, from 0 to 1."""
    one, two = _words(name), _words(other)
    whole = "".join(one), "".join(two)
    if whole[0] == whole[1]:
        return 1.0
    for group in _SAME:
        if (whole[0] in group or set(one) & group) and (whole[1] in group or set(two) & group):
            return 0.9
    ratio = difflib.SequenceMatcher(None, *whole).ratio()
    return ratio if ratio >= 0.75 else 0.5 * ratio


def _words(name: str) -> list[str]:
    parted = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return [word.lower() for word in re.findall(r"[A-Za-z]+|\d+", parted)]


def _kind(values: Sequence[Any]) -> str:
    cells = [value for value in values if not is_blank(value)]
    if {str(cell).strip().lower() for cell in cells} <= {"yes", "no", "true", "false", "y", "n"}:
        return "yes or no"
    return "words" if format_of(cells) is None else "numbers"


def _near(values: Sequence[Any], others: Sequence[Any]) -> float:
    """1 where medians are of one size."""
    one, two = _median(values), _median(others)
    return float(one > 0 and two > 0 and 1 / _NEAR < one / two < _NEAR)


def _median(values: Sequence[Any]) -> float:
    form = format_of(values)
    amounts = [form(value) for value in values if not is_blank(value)] if form else []
    numbers = [amount for amount in amounts if amount is not None]
    return float(median(numbers)) if numbers else 0.0


def _written(target: Table, source: SourceTable, label: str | None, pairs: dict[str, str]) -> str:
    lines = [f"{json.dumps(source.key, ensure_ascii=False)}:"]
    name = json.dumps(label, ensure_ascii=False) if label else '""  # name it'
    lines.append(f"  label:\n    from: {name}\n    factor: 1  # in another currency: its worth")
    lines.append("  columns:" if pairs else "  columns: {}  # none is alike by its name")
    for own, other in pairs.items():
        lines.append(f"    {json.dumps(own, ensure_ascii=False)}:")
        lines.append(f"      from: {json.dumps(other, ensure_ascii=False)}")
        if _kind(target[own]) != "numbers":
            continue
        medians = _median(target[own]), _median(source.cells[other])
        comparison = f"medians {medians[0]:.4g} here, {medians[1]:.4g} there"
        alike = _near(target[own], source.cells[other]) or medians[0] == medians[1]
        unit = (
            f"factor: 1  # {comparison}"
            if alike
            else f"standardise: true  # {comparison}: other units?"
        )
        lines.append(f"      {unit}")
    unmapped = [column for column in source.cells if column not in (label, *pairs.values())]
    if unmapped:
        lines.append(f"    # not mapped: {', '.join(unmapped)}")
    return "\n".join(lines) + "\n"
