"""Which column of a source is which of the target's, and in what units: a file that a user checks.

```yaml
saratoga.csv:
  label: {from: price, factor: 1}
  columns:
    sqft: {from: livingArea, factor: 1}
    lotsize: {from: lotSize, factor: 43560}
    rooms: {from: rooms, standardise: true}
    type: {from: kind, values: {flat: Condo}}
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final, NoReturn

from headstart.data import Dataset
from headstart.errors import DataError
from headstart.pipeline.sources.tables import SourceTable, Table

_PARTS: Final = ("from", "factor", "standardise", "values")
_LARGEST: Final = 2**20  # bytes of the file


@dataclass(frozen=True)
class ColumnMap:
    """One column of a source: what its amounts are multiplied by, what its words are called.

    With `standardise` amounts are those as many spreads from their mean as in the target.
    """

    source: str
    factor: float = 1.0
    standardise: bool = False
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableMap:
    """A source's label, and its columns by the target's."""

    label: ColumnMap
    columns: Mapping[str, ColumnMap]


def read(
    path: Path, sources: Sequence[SourceTable], target: Table, dataset: Dataset
) -> dict[str, TableMap]:
    """The mapping of each source by its file's name. Raises DataError where it doesn't fit."""
    content = _content(path)
    keys = [source.key for source in sources]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        raise DataError(
            f"Two sources are called {twice!r}, so that a mapping can't tell them "
            "apart. Rename one."
        )
    maps = {}
    for source in sources:
        entry = content.get(source.key)
        if not isinstance(entry, dict) or set(entry) != {"label", "columns"}:
            _refuse(path, f"does not say `label` and `columns` of {source.key}")
        label = _column(path, source, "label", entry["label"])
        columns = entry["columns"]
        if not isinstance(columns, dict) or not columns:
            _refuse(path, f"names no column of {source.key}")
        own = {str(name): _column(path, source, str(name), part) for name, part in columns.items()}
        _demand_known(path, own, target, dataset.root)
        if any(part.source == label.source for part in own.values()):
            _refuse(path, f"has the label of {source.key}, {label.source!r}, among its columns")
        maps[source.key] = TableMap(label, own)
    return maps


def _content(path: Path) -> dict[str, Any]:
    import yaml

    if not path.is_file():
        raise DataError(
            f"{path} does not exist. Leave out --map to have a mapping proposed and written."
        )
    if path.stat().st_size > _LARGEST:
        _refuse(path, "is too large")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).replace("\n", " ")[:200]
        raise DataError(f"{path} is no YAML ({reason}). Correct it.") from error
    if not isinstance(content, dict):
        _refuse(path, "holds no mapping by file")
    return content


def _column(path: Path, source: SourceTable, name: str, entry: Any) -> ColumnMap:
    parts = {"from": entry} if isinstance(entry, str) else entry
    if not isinstance(parts, dict) or not isinstance(parts.get("from"), str):
        _refuse(path, f"does not say which column of {source.key} is {name!r}")
    strange = next((part for part in parts if part not in _PARTS), None)
    if strange is not None:
        _refuse(path, f"says {strange!r} of {name!r}, of which {', '.join(_PARTS)} can be said")
    if parts["from"] not in source.cells:
        _refuse(
            path,
            f"names {parts['from']!r}, which is no column of {source.key} "
            f"({', '.join(source.cells)})",
        )
    factor, values = parts.get("factor", 1.0), parts.get("values", {})
    number = isinstance(factor, int | float) and not isinstance(factor, bool)
    if not number or not isfinite(factor) or factor <= 0:
        _refuse(path, f"has the factor {factor!r} for {name!r}, which is no number above 0")
    standardise = parts.get("standardise", False)
    if not isinstance(standardise, bool) or (standardise and "factor" in parts):
        _refuse(path, f"needs a factor or `standardise: true` for {name!r}, one of the two")
    if not isinstance(values, dict):
        _refuse(path, f"has values of {name!r} that are no mapping of words")
    words = {str(word): str(other) for word, other in values.items()}
    return ColumnMap(parts["from"], float(factor), standardise, words)


def _demand_known(path: Path, names: Iterable[str], target: Table, root: Path) -> None:
    strange = next((name for name in names if name not in target), None)
    if strange is not None:
        _refuse(
            path,
            f"names {strange!r}, which is no column that is read of {root} ({', '.join(target)})",
        )


def _refuse(path: Path, why: str) -> NoReturn:
    raise DataError(f"{path} {why}. Correct it, or leave out --map to have one proposed.")
