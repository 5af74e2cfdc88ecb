"""Unlabelled items that pass through the network beside the labelled ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from headstart.contracts import Batch, Step
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.features.loaders import Feed
from headstart.features.reading import View
from headstart.training.single import alone

_APART = 1_000_003  # between the views of one pass and those of the next within an epoch


def endless(feed: Feed, size: int, seed: int, epoch: int, model: Model) -> Iterator[Batch]:
    """Batches of at most `size` for one epoch, pass after pass, each in another order.

    They depend on the seed and the epoch alone, and leave the global random state as it is. Without
    single items that a BatchNorm can't normalise. Raises HeadstartError where none is left.
    """
    rng = np.random.default_rng([seed % 2**32, epoch])
    for number in count():
        used = False
        view = View(seed, epoch + number * _APART)
        for batch in feed.batches(rng.permutation(len(feed)), size, view):
            if not alone(batch, model):
                used = True
                yield batch
        if not used:
            raise HeadstartError(
                f"{len(feed)} unlabelled items are too few to train on. Give some more, "
                "or name a strategy that needs none."
            )


def pass_through(model: Model, batch: Batch) -> Step:
    """One forward pass of unlabelled items, whose loss is 0."""
    features = model.features(batch.inputs, batch.start)
    outputs = model.head(features)
    return Step(outputs, outputs.new_zeros(()), features, batch.targets)
