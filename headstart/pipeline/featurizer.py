"""Frozen features as a transformer of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin

from headstart import catalog
from headstart.contracts import Backbone, Modality
from headstart.data import FileSource, Input, Item, inputs_of
from headstart.data.check import check_items
from headstart.defaults import Settings, check
from headstart.errors import DataError, HeadstartError
from headstart.features.extract import BATCH, Prefix, extract
from headstart.features.reading import Reader
from headstart.pipeline.prepare import fitted_modality
from headstart.runtime import machine
from headstart.runtime.progress import Silent

_OPEN = 2  # backbones kept in memory, so that clones and folds open none anew


@final
class Featurizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # it has no types
    """A pretrained backbone that turns files, pictures or texts into features (N, D) float32.

    `backbone` is a reference such as `timm:resnet50`; `batch_size`, `engine`, `precision` and
    `device` are those of `Settings`. Nothing is learned, so that it need not be fitted. What is
    pickled is the reference, never weights. Features lie in the store, so that each item is
    computed once, however many folds and settings are tried after it.
    """

    def __init__(
        self,
        backbone: str,
        *,
        batch_size: int = BATCH,
        engine: str = "auto",
        precision: str = "fp32",
        device: str = "auto",
    ) -> None:
        self.backbone = backbone
        self.batch_size = batch_size
        self.engine = engine
        self.precision = precision
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Featurizer:
        """Nothing but a look at the settings. Raises HeadstartError for those that can't be."""
        self._settings()
        _opened(self.backbone)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Features (N, D) float32 of items: a list, array or column of one kind.

        What an item may be says `headstart.data.inputs_of`: for images paths, PIL images, bytes, or
        pixels (H, W, C), also stacked; for texts strings, files as `pathlib.Path`, or bytes; rows
        of a table. Raises DataError, naming the place, for what can't be read.
        """
        settings, opened = self._settings(), _opened(self.backbone)
        items = opened.items(X)
        if not items:
            return np.empty((0, opened.backbone.feature_dim), np.float32)
        prefix = Prefix(
            opened.backbone,
            len(opened.backbone.stages),
            machine.device(settings.device),
            settings.engine,
            settings.precision,
            self.batch_size,
        )
        reader = Reader(opened.modality, opened.backbone.preprocess)
        return extract(prefix, items, reader, Silent()).features()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """f0 to fD-1, as in the files of `headstart export-features`."""
        width = _opened(self.backbone).backbone.feature_dim
        return np.array([f"f{number}" for number in range(width)], dtype=object)

    def _settings(self) -> Settings:
        settings = Settings(
            batch_size=self.batch_size,
            engine=self.engine,
            precision=self.precision,
            device=self.device,
        )
        check(settings)
        return settings

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags


@dataclass(frozen=True)
class _Opened:
    """A backbone with the modality that reads for it."""

    backbone: Backbone
    modality: Modality

    def items(self, inputs: Any) -> tuple[Item, ...]:
        """What is given as items that were read once and can be used, one for each element."""
        if isinstance(inputs, str | bytes | Path | Image.Image) or not isinstance(inputs, Iterable):
            raise HeadstartError(
                f"{str(inputs)[:60]!r} is no list of items. Give several, or one in a list."
            )
        numbers = isinstance(inputs, np.ndarray) and inputs.ndim and inputs.dtype.kind not in "OUS"
        listed = list(inputs) if numbers else inputs
        rows = list(inputs_of(listed, self.modality))
        if isinstance(listed, Sized) and len(listed) != len(rows):
            raise DataError(
                f"{len(listed)} items name {len(rows)} files or rows, and one row of features "
                "belongs to each. Name the files."
            )
        for place, each in enumerate(rows):
            if each.problem:
                raise _unusable(place, each, each.problem)
        items = [Item(str(n), "", None, each.item.source) for n, each in enumerate(rows)]
        checked = check_items(items, self.modality, Silent())
        if checked.skipped:
            first, reason = checked.skipped[0]
            raise _unusable(int(first), rows[int(first)], reason)
        return checked.items


def _unusable(place: int, each: Input, reason: str) -> DataError:
    name = f" ({each.name})" if isinstance(each.source, FileSource) or each.source is None else ""
    return DataError(f"Item {place}{name} can't be used: {reason}. Leave it out or mend it.")


@lru_cache(maxsize=_OPEN)
def _opened(backbone: str) -> _Opened:
    network = catalog.load_backbone(backbone)
    return _Opened(network, fitted_modality(network, Settings()))
