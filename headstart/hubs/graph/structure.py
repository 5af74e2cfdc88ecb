"""What the text of a saved graph says of its input and of its constants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

_TAG: Final = re.compile(r"<data\b[^>]*\boffset=[^>]*>")
_PART: Final = re.compile(r'\b(element_type|offset|size)="([^"]*)"')
_INPUT: Final = re.compile(r'type="Parameter"[^>]*>\s*<data shape="[^",]*,(\d+),(\d+),(\d+)"')
_ROW: Final = re.compile(r'type="Parameter"[^>]*>\s*<data shape="[^",]*,(\d+)"')
_OUTPUT: Final = re.compile(
    r'type="Result"[^>]*>\s*<input>\s*<port[^>]*>\s*<dim>[^<]*</dim>\s*<dim>(\d+)</dim>'
)
_WEIGHTS: Final = {  # types of weights, quantised ones among them; shapes and axes are i32 and i64
    "f64": torch.int64,
    "f32": torch.int32,
    "f16": torch.int16,
    "bf16": torch.int16,
    "i8": torch.int8,
    "u8": torch.uint8,
}


def size(xml: str) -> int:
    """How many bytes of constants a graph's text refers to."""
    return max((offset + length for _, offset, length in _constants(xml)), default=0)


def features(xml: str) -> int | None:
    """How many features it answers, an item or a position; None where it says no such thing."""
    match = _OUTPUT.search(xml)
    return int(match[1]) if match else None


def sides(xml: str) -> tuple[int, int, int] | None:
    """Channels, height and width of the pictures it takes; None where it says no such thing."""
    match = _INPUT.search(xml)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def numbers(xml: str) -> int | None:
    """How many numbers a row has that a graph of sounds takes; None where it says no such thing."""
    match = _ROW.search(xml)
    return int(match[1]) if match else None


def shuffle(xml: str, constants: Tensor) -> Tensor:
    """Copied constants, the values of each put into an order from torch's global random state.

    That leaves every layer the distribution of its weights, and nothing that they learned.
    """
    shuffled, done = constants.clone(), set()
    for kind, offset, length in _constants(xml):
        if kind in _WEIGHTS and offset not in done:
            done.add(offset)
            values = shuffled[offset : offset + length].clone().view(_WEIGHTS[kind])
            values = values[torch.randperm(len(values))]
            shuffled[offset : offset + length] = values.view(torch.uint8)
    return shuffled


def _constants(xml: str) -> Iterator[tuple[str, int, int]]:
    """Type, offset and length in bytes of each constant."""
    for tag in _TAG.findall(xml):
        parts = dict(_PART.findall(tag))
        if {"element_type", "offset", "size"} <= parts.keys():
            yield parts["element_type"], int(parts["offset"]), int(parts["size"])
