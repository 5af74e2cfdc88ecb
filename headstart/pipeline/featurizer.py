"""Frozen features as a transformer of scikit-learn."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin

from headstart import catalog, machine
from headstart.contracts import Backbone, Modality
from headstart.data import FileSource, InlineSource, Item, Source
from headstart.data.check import check_items
from headstart.defaults import Settings, check
from headstart.errors import DataError, HeadstartError
from headstart.features.extract import BATCH, Prefix, extract
from headstart.features.reading import Reader
from headstart.pipeline.prepare import fitted_modality
from headstart.progress import Silent

_OPEN = 2  # backbones kept in memory, so that clones and folds open none anew


@final
class Featurizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # it has no types
    """A pretrained backbone that turns files, pictures or texts into features (N, D) float32.

    `backbone` is a reference such as `timm:resnet50`; `batch`, `engine`, `precision` and `device`
    are those of `Settings`. Nothing is learned, so that it need not be fitted. What is pickled is
    the reference, never weights. Features lie in the store, so that each item is computed once,
    however many folds and settings are tried after it.
    """

    def __init__(
        self,
        backbone: str,
        *,
        batch: int = BATCH,
        engine: str = "auto",
        precision: str = "fp32",
        device: str = "auto",
    ) -> None:
        self.backbone = backbone
        self.batch = batch
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

        For images: paths, PIL images, bytes of files, or uint8 arrays (H, W, C), also stacked. For
        texts: strings, paths of files given as `pathlib.Path`, or bytes. Raises DataError, naming
        the place, for what can't be read.
        """
        settings, opened = self._settings(), _opened(self.backbone)
        items = opened.items(X)
        if not items:
            return np.empty((0, opened.source.feature_dim), np.float32)
        prefix = Prefix(
            opened.source,
            len(opened.source.stages),
            machine.device(settings.device),
            settings.engine,
            settings.precision,
            self.batch,
        )
        reader = Reader(opened.modality, opened.source.preprocess)
        return extract(prefix, items, reader, Silent()).features()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """f0 to fD-1, as in the files of `headstart extract`."""
        width = _opened(self.backbone).source.feature_dim
        return np.array([f"f{number}" for number in range(width)], dtype=object)

    def _settings(self) -> Settings:
        settings = Settings(
            batch=self.batch, engine=self.engine, precision=self.precision, device=self.device
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

    source: Backbone
    modality: Modality

    def items(self, given: Any) -> tuple[Item, ...]:
        """What is given as items that were read once and can be used."""
        if isinstance(given, str | bytes | Path | Image.Image) or not isinstance(given, Iterable):
            raise HeadstartError(
                f"{str(given)[:60]!r} is no list of items. Give several, or one in a list."
            )
        sources = [self._source(each, place) for place, each in enumerate(_each(given))]
        items = [Item(str(place), "", None, source) for place, source in enumerate(sources)]
        checked = check_items(items, self.modality, Silent())
        if checked.skipped:
            place, reason = checked.skipped[0]
            source = sources[int(place)]
            name = f" ({source.path})" if isinstance(source, FileSource) else ""
            raise DataError(f"Item {place}{name} can't be used: {reason}. Leave it out or mend it.")
        return checked.items

    def _source(self, given: Any, place: int) -> Source:
        if isinstance(given, bytes):
            return InlineSource(given)
        if isinstance(given, os.PathLike):
            return FileSource(Path(given))
        if isinstance(given, str):
            return InlineSource(given.encode()) if self.modality.inline else FileSource(Path(given))
        if self.modality.inline:
            raise DataError(f"Item {place} is {_kind(given)}, which is no text. Give strings.")
        if isinstance(given, np.ndarray) and given.dtype == np.uint8 and given.ndim in (2, 3):
            return InlineSource(_png(_picture(given, place)))
        if isinstance(given, Image.Image):
            return InlineSource(_png(given))
        raise DataError(
            f"Item {place} is {_kind(given)}, which is no picture. "
            "Give paths, PIL images, bytes, or arrays of uint8 (H, W, C)."
        )


@lru_cache(maxsize=_OPEN)
def _opened(backbone: str) -> _Opened:
    source = catalog.load_backbone(backbone)
    return _Opened(source, fitted_modality(source, Settings()))


def _each(given: Any) -> Iterable[Any]:
    """The items of a list, an array, or a column of a table."""
    if isinstance(given, np.ndarray) and given.dtype == np.uint8:
        return list(given)
    listed = given.tolist() if isinstance(given, np.ndarray) else None
    if listed is None:
        values = getattr(given, "to_numpy", None)  # of pandas and polars
        listed = list(given) if values is None else values().tolist()
    return [each[0] if isinstance(each, list) and len(each) == 1 else each for each in listed]


def _picture(pixels: np.ndarray, place: int) -> Image.Image:
    grey = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    try:
        return Image.fromarray(grey)
    except TypeError:
        raise DataError(
            f"Item {place} has the shape {pixels.shape}, which is no picture. "
            "Give height, width, and 1, 3 or 4 channels."
        ) from None


def _png(picture: Image.Image) -> bytes:
    """The picture's pixels as a file, with the turn that a camera noted."""
    plain = picture if picture.mode in ("1", "L", "LA", "RGB", "RGBA") else picture.convert("RGB")
    file = io.BytesIO()
    plain.save(file, "PNG", compress_level=1, exif=picture.getexif())
    return file.getvalue()


def _kind(given: Any) -> str:
    """What a thing is, for a message."""
    if isinstance(given, np.ndarray):
        return f"an array of {given.dtype} {given.shape}"
    return f"of type {type(given).__name__}"
