"""Which items tell the ranges of whole numbers: none of those that forms are compared on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.pipeline.exporting.checking import HeldOut, own_data
from headstart.serve import Predictor

MOST: Final = 300  # items
_EVERY: Final = 3  # of the items to compare on that go, where there are no others


def ranges(
    folder: Path, predictor: Predictor, calibration: Any, items: HeldOut
) -> tuple[list[Item], HeldOut]:
    """Items for the ranges, at most 300, and those to compare on without them.

    They are those that are named, labelled or not, or are in the data that the model was fitted to;
    where all of these are compared on, a third of them. Raises HeadstartError where none can be
    read.
    """
    data = own_data(folder, "--calibration")[1] if calibration is None else calibration
    apart = {_content(item.read()) for item in items.items}
    requested_items = [
        each.item
        for each in predictor.inputs(Path(data) if isinstance(data, str) else data)
        if not predictor.problem(each) and _content(each.item.read()) not in apart
    ]
    if requested_items:
        order = np.random.default_rng(0).permutation(len(requested_items))[:MOST]
        return [requested_items[place] for place in sorted(order.tolist())], items
    if calibration is not None or len(items.items) < 2 * _EVERY:
        raise HeadstartError(
            f"{data} has no item for the ranges of whole numbers that isn't compared on. "
            "Name others with --calibration, or leave out --int8."
        )
    places = np.arange(len(items.items))
    own = places[::_EVERY][:MOST]
    rest = items.part(np.setdiff1d(places, own), folder)
    return [items.items[place] for place in own], rest


def _content(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
