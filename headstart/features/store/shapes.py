"""What a stored row holds: one array, or several by name, one behind another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, final

import numpy as np

from headstart.errors import HeadstartError

_KINDS = "fbiu"  # of numpy: numbers and truth values
_FLOAT = np.dtype("<f4")


@final
@dataclass(frozen=True)
class Shape:
    """The array of one item under the empty name, or several arrays by name, in their order.

    `types` are what they are read back as: float32, or what a mask or a count was.
    """

    lengths: Mapping[str, tuple[int, ...]]
    types: Mapping[str, np.dtype]

    @classmethod
    def of(cls, values: Any) -> Shape:
        """That of activations (N, …), one array or a mapping of them."""
        arrays = _by_name(values)
        lengths = {name: tuple(arrays[name].shape[1:]) for name in sorted(arrays)}
        return cls(lengths, {name: _type(arrays[name].dtype) for name in lengths})

    @classmethod
    def alone(cls, lengths: Sequence[int]) -> Shape:
        """That of one array of float32."""
        return cls({"": tuple(lengths)}, {"": _FLOAT})

    @classmethod
    def from_json(cls, content: Any) -> Shape:
        """The shape that `to_json` wrote. Raises ValueError, TypeError or KeyError for others."""
        if isinstance(content, list):
            shape = cls.alone(content)
        else:
            lengths = {name: tuple(content[name]["shape"]) for name in sorted(content)}
            shape = cls(lengths, {name: np.dtype(content[name]["type"]) for name in lengths})
        every = [length for each in shape.lengths.values() for length in each]
        right = all(type(length) is int and length > 0 for length in every)
        if (
            not right
            or not shape.lengths
            or any(t.kind not in _KINDS for t in shape.types.values())
        ):
            raise ValueError(f"{content} is no shape of rows")
        return shape

    def to_json(self) -> Any:
        """Plain values: lengths, or by name lengths and type."""
        if self.is_alone:
            return list(self.lengths[""])
        return {
            name: {"shape": list(lengths), "type": self.types[name].name}
            for name, lengths in self.lengths.items()
        }

    @property
    def is_alone(self) -> bool:
        """Whether a row is one array without a name."""
        return list(self.lengths) == [""]

    @property
    def numbers(self) -> int:
        """How many numbers a row has."""
        return sum(map(prod, self.lengths.values()))

    def joined(self, values: Any, count: int) -> np.ndarray:
        """Activations of so many items as one array (N, numbers).

        Raises ValueError for names or shapes that are others.
        """
        arrays = _by_name(values)
        if arrays.keys() != self.lengths.keys():
            raise ValueError(f"activations are called {sorted(arrays)}, not {list(self.lengths)}")
        if self.is_alone:
            return arrays[""].reshape(count, self.numbers)
        rows = [arrays[name].reshape(count, prod(each)) for name, each in self.lengths.items()]
        return np.concatenate([row.astype(_FLOAT) for row in rows], axis=1)

    def apart(self, rows: Any, cast: bool = True) -> Any:
        """Rows (N, numbers), an array or a tensor, as they were: one (N, …), or several by name.

        Where `cast`, arrays are of the types they had.
        """
        if self.is_alone:
            return rows.reshape(len(rows), *self.lengths[""])
        parts, start = {}, 0
        for name, lengths in self.lengths.items():
            size = prod(lengths)
            part = rows[:, start : start + size].reshape(len(rows), *lengths)
            parts[name] = part.astype(self.types[name]) if cast else part
            start += size
        return parts


def demand_exact(values: Any, rows: np.ndarray, shape: Shape) -> None:
    """Raise HeadstartError where whole numbers among activations are others as they are stored."""
    if shape.is_alone:
        return
    again = shape.apart(rows)
    for name, array in values.items():
        if shape.types[name] != _FLOAT and not np.array_equal(array, again[name]):
            raise HeadstartError(
                f"The activations {name!r} are whole numbers, of which some are too large to be "
                "stored in this precision. Give --precision fp32, or name a strategy that trains "
                "every stage."
            )


def _by_name(values: Any) -> Mapping[str, np.ndarray]:
    return values if isinstance(values, Mapping) else {"": values}


def _type(own: np.dtype) -> np.dtype:
    return _FLOAT if own.kind == "f" else own
