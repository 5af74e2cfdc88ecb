"""The detectors of transformers that can be taken apart: where their trunk stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final


@final
@dataclass(frozen=True)
class DetectorFamily:
    """Where the trunk stands, and whose image processor turns answers into boxes.

    A trunk of `tokens` is a transformer, whose last ones are what boxes are read from; any other
    answers maps with their masks. By `softmax` a query is of one class or none, else of any, and
    the surest are answers, `as_many_as_queries` or 100.
    """

    trunk: str
    processor: str
    tokens: bool = False
    softmax: bool = False
    as_many_as_queries: bool = False


_MAPS: Final = DetectorFamily("model.backbone", "RTDetrImageProcessor", as_many_as_queries=True)
_SOFTMAX: Final = replace(
    _MAPS, processor="DetrImageProcessor", softmax=True, as_many_as_queries=False
)
_FOCAL: Final = replace(_MAPS, processor="ConditionalDetrImageProcessor", as_many_as_queries=False)
FAMILIES: Final[Mapping[str, DetectorFamily]] = {
    "conditional_detr": _FOCAL,
    "d_fine": _MAPS,
    "dab-detr": replace(_FOCAL, trunk="model.backbone.conv_encoder"),
    "deformable_detr": _FOCAL,
    "detr": _SOFTMAX,
    "rt_detr": _MAPS,
    "rt_detr_v2": _MAPS,
    "table-transformer": replace(_SOFTMAX, trunk="model.backbone.conv_encoder"),
    "yolos": DetectorFamily("vit", "YolosImageProcessor", tokens=True, softmax=True),
}
