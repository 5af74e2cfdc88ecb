"""Items in batches through a saved model, and their rows in the items' order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headstart.data import Item
from headstart.features.reading import Reader, alike, in_order

BATCH = 32
Run = Callable[[Any], np.ndarray]  # a batch of inputs -> a row for each


def over_items(run: Run, items: Sequence[Item], reader: Reader) -> np.ndarray:
    """What is made of items, each read and decoded anew."""
    own = Reader(reader.modality, reader.preprocess, plain=reader.plain)  # keeps none for later
    groups = alike(np.arange(len(items)), BATCH, own.sizes(items))
    return in_order(groups, [run(inputs) for inputs in own.batches(items, groups)])


def over_values(run: Run, values: Sequence[Any], reader: Reader) -> np.ndarray:
    """What is made of decoded items."""
    modality = reader.modality
    lengths = [modality.size(value) for value in values] if modality.ragged else None
    sizes = None if lengths is None else np.array(lengths, dtype=np.int64)
    groups = alike(np.arange(len(values)), BATCH, sizes)
    outputs = [run(reader.collated([values[place] for place in group])) for group in groups]
    return in_order(groups, outputs)
