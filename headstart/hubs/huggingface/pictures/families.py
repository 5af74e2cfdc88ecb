"""The encoders of pictures that can be taken apart: where their embeddings and layers stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final


@final
@dataclass(frozen=True)
class PictureFamily:
    """Names of modules in transformers' network, and the ways in which it makes features.

    A way is a sequence of steps over the last hidden states: a module's name, or one of
    `parts.STEPS`. Names of the tower stand without `prefix`, as they do in the tower alone.
    """

    prefix: str  # where the tower stands in transformers' network for classification
    layers: str
    own: tuple[str, ...]  # what that network classifies
    pooler: tuple[str, ...]  # what transformers calls pooler_output
    cls: tuple[str, ...] = ()
    mean: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ("embeddings",)
    blocks: str = "attention"  # how a layer is called: attention, map, or grid
    head: str = "classifier"
    extra: tuple[str, ...] = ()  # modules that own features pass by, saved with the rest
    whole: str = ""  # the kind that its classifier's config.json names, where that is another
    settings: tuple[tuple[str, bool], ...] = ()  # of the tower in a classifier

    @property
    def delicate(self) -> bool:
        """Whether it is fine-tuned at the low rates of transformers."""
        return self.blocks != "map"


_VIT: Final = PictureFamily(
    prefix="vit",
    layers="layers",
    own=("layernorm", "cls"),
    pooler=("layernorm", "pooler"),
    cls=("layernorm", "cls"),
    mean=("layernorm", "mean"),
)
_DINOV2: Final = PictureFamily(
    prefix="dinov2",
    layers="encoder.layer",
    own=("layernorm", "cls and patches"),
    pooler=("layernorm", "cls"),
    cls=("layernorm", "cls"),
    mean=("layernorm", "mean"),
)
_SWIN: Final = PictureFamily(
    prefix="swin",
    layers="encoder.layers",
    own=("layernorm", "mean"),
    pooler=("layernorm", "mean"),
    mean=("layernorm", "mean"),
    blocks="grid",
)
_CONVNEXT: Final = PictureFamily(
    prefix="convnext",
    layers="encoder.stages",
    own=("map", "layernorm"),
    pooler=("map", "layernorm"),
    mean=("map",),
    blocks="map",
)
_RESNET: Final = replace(
    _CONVNEXT,
    prefix="resnet",
    own=("map",),
    pooler=("map",),
    embeddings=("embedder",),
    head="classifier.1",
)
_CLIP: Final = PictureFamily(
    prefix="vision_model",
    layers="encoder.layers",
    own=("patches",),
    pooler=("cls", "post_layernorm"),
    cls=("cls",),
    mean=("mean",),
    embeddings=("embeddings", "pre_layrnorm"),
    extra=("post_layernorm",),
    whole="clip",
)
_SIGLIP: Final = PictureFamily(
    prefix="vision_model",
    layers="encoder.layers",
    own=("post_layernorm", "mean"),
    pooler=("post_layernorm", "head"),
    mean=("post_layernorm", "mean"),
    whole="siglip",
    settings=(("vision_use_head", False),),
)
FAMILIES: Final[Mapping[str, PictureFamily]] = {
    "clip_vision_model": _CLIP,
    "convnext": _CONVNEXT,
    "convnextv2": replace(_CONVNEXT, prefix="convnextv2"),
    "deit": replace(_VIT, prefix="deit"),
    "dinov2": _DINOV2,
    "dinov2_with_registers": replace(
        _DINOV2,
        prefix="dinov2_with_registers",
        own=("layernorm", "cls and patches but registers"),
    ),
    "regnet": replace(_RESNET, prefix="regnet"),
    "resnet": _RESNET,
    "siglip_vision_model": _SIGLIP,
    "swin": _SWIN,
    "swinv2": replace(_SWIN, prefix="swinv2"),
    "vit": _VIT,
}
WHOLE: Final[Mapping[str, str]] = {  # models of two towers, by the kind of the one for pictures
    family.whole: kind for kind, family in FAMILIES.items() if family.whole
}
