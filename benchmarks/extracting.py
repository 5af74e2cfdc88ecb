"""Frozen extraction in this process, from bytes to features, with an empty store each time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


def extraction(reference: str, modality: str) -> Callable[[Sequence[bytes]], np.ndarray]:
    """A function from items to features (N, D), whose engine is chosen at its first call."""
    import torch

    from headstart import catalog
    from headstart.data import InlineSource, Item
    from headstart.data.check import digest
    from headstart.features.extract import Prefix, extract
    from headstart.features.reading import Reader
    from headstart.runtime.progress import Silent

    backbone = catalog.load_backbone(reference)
    kind = catalog.modality(modality).fitted(backbone)
    prefix = Prefix(backbone, len(backbone.stages), torch.device("cpu"))
    place = tempfile.TemporaryDirectory()  # engines stay in one place, stores are made anew
    os.environ["HEADSTART_CACHE"] = place.name

    def features(contents: Sequence[bytes]) -> np.ndarray:
        shutil.rmtree(Path(place.name) / "features", ignore_errors=True)
        items = [
            Item(str(number), "", None, InlineSource(content), digest(content))
            for number, content in enumerate(contents)
        ]
        reader = Reader(kind, backbone.preprocess)
        return extract(prefix, items, reader, Silent()).features()

    return features
