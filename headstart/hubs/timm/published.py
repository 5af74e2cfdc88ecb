"""What is published of timm's pretrained weights: their accuracy on ImageNet-1k, and the year."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ACCURACY: Final[Mapping[str, float]] = json.loads(
    Path(__file__).with_name("accuracy.json").read_text(encoding="utf-8")
)
"""Top-1 on the validation images of ImageNet-1k, in percent, by timm's name with its tag.

From results/results-imagenet.csv of PyTorch Image Models (Wightman 2019), as of late 2024, rounded
to one decimal: the row at the size that these weights are fed by default, which is not always the
size at which they do best. Those of DINOv2 (Oquab et al. 2023) are its authors', and of a linear
head on frozen features. Weights whose head was never trained on ImageNet-1k have no entry.
"""

_PUBLISHED: Final = {
    2014: "vgg",
    2015: "inception_v3 resnet",
    2016: "densenet inception_resnet inception_v4 resnetv2 resnext wide_resnet xception",
    2017: "dla dpn mobilenetv1 nasnet pnasnet senet154 seresnet seresnext",
    2018: "darknet fbnetc mnasnet mobilenetv2",
    2019: "cspdarknet cspresne ecaresnet efficientnet ghostnet hrnet mixnet mobilenetv3 res2ne "
    "selecsls skresn spnasnet vovnet",
    2020: "deit fbnetv3 gernet regnet resnest rexnet tinynet tresnet vit_",
    2021: "beit botnet cait clip coat_ coatnet convit crossvit efficientnetv2 gmlp halonet "
    "hardcorenas lcnet levit mixer mobilevit mvitv2 nest_ nfnet pit_ poolformer pvt_v2 repvgg "
    "resmlp resnetrs swin tnt_ twins visformer volo xcit",
    2022: "beit3 beitv2 caformer convformer convmixer convnext davit deit3 edgenext "
    "efficientformer efficientvit eva_ flexivit focalnet gcvit ghostnetv2 maxvit maxxvit "
    "mobileone mobilevitv2 nextvit repghost sequencer tiny_vit",
    2023: "convnextv2 dinov2 efficientvit_m eva02 fastvit hiera inception_next repvit samvit "
    "siglip swiftformer",
    2024: "aimv2 ghostnetv3 mambaout mobilenetv4 rdnet sam2 starnet test_ vitamin",
    2025: "dinov3 naflexvit",
}
_YEARS: Final = {word: year for year, words in _PUBLISHED.items() for word in words.split()}


def accuracy(name: str) -> float | None:
    """The published top-1 accuracy of these weights on ImageNet-1k in percent, if it is known."""
    return ACCURACY.get(name)


def year(name: str) -> int | None:
    """When the newest architecture or method that a name mentions was published, if any is known.

    A variant's name contains that of what it varies: `wide_resnet50_2` is of 2016, not of 2015.
    """
    return max((year for word, year in _YEARS.items() if word in name), default=None)
