"""What Keras has, told without importing it: facts of Keras Applications, and what is at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Final, final

from headstart.contracts.backbone import Card

_LICENCES: Final = {  # of the published weights, where Google did not train them
    "ConvNeXt": "MIT",
    "DenseNet": "BSD-3-Clause",
    "ResNet": "MIT",
    "ResNetV2": "BSD-3-Clause",
    "VGG": "CC-BY-4.0",
    "Xception": "MIT",
}
_PLAIN: Final = "{}_weights_tf_dim_ordering_tf_kernels.h5"
_CAFFE: Final = ("123.68,116.779,103.939", "1")
_BYTES: Final = ("0", "1")  # values from 0 to 255, which the network itself changes
_SYMMETRIC: Final = ("127.5", "127.5")
_IMAGENET: Final = ("123.675,116.28,103.53", "58.395,57.12,57.375")
_FED: Final = {  # the families' own preprocessing: mean and deviation of values from 0 to 255
    "ConvNeXt": _BYTES,
    "DenseNet": _IMAGENET,
    "EfficientNet": _BYTES,
    "EfficientNetV2": _BYTES,
    "Inception": _SYMMETRIC,
    "MobileNet": _SYMMETRIC,
    "MobileNetV3": _BYTES,
    "NASNet": _SYMMETRIC,
    "ResNet": _CAFFE,
    "ResNetV2": _SYMMETRIC,
    "VGG": _CAFFE,
    "Xception": _SYMMETRIC,
}
_IMAGENET_21K: Final = ("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge")  # trained on it first
# name, family, year, size, parameters, ImageNet top-1 in percent, file of weights
_TABLE: Final = f"""
ConvNeXtBase       ConvNeXt       2022 224  88591464 85.3 convnext_base.h5
ConvNeXtLarge      ConvNeXt       2022 224 197767336 86.3 convnext_large.h5
ConvNeXtSmall      ConvNeXt       2022 224  50223688 82.3 convnext_small.h5
ConvNeXtTiny       ConvNeXt       2022 224  28589128 81.3 convnext_tiny.h5
ConvNeXtXLarge     ConvNeXt       2022 224 350196968 86.7 convnext_xlarge.h5
DenseNet121        DenseNet       2016 224   8062504 75.0 {_PLAIN.format("densenet121")}
DenseNet169        DenseNet       2016 224  14307880 76.2 {_PLAIN.format("densenet169")}
DenseNet201        DenseNet       2016 224  20242984 77.3 {_PLAIN.format("densenet201")}
EfficientNetB0     EfficientNet   2019 224   5330571 77.1 efficientnetb0.h5
EfficientNetB1     EfficientNet   2019 240   7856239 79.1 efficientnetb1.h5
EfficientNetB2     EfficientNet   2019 260   9177569 80.1 efficientnetb2.h5
EfficientNetB3     EfficientNet   2019 300  12320535 81.6 efficientnetb3.h5
EfficientNetB4     EfficientNet   2019 380  19466823 82.9 efficientnetb4.h5
EfficientNetB5     EfficientNet   2019 456  30562527 83.6 efficientnetb5.h5
EfficientNetB6     EfficientNet   2019 528  43265143 84.0 efficientnetb6.h5
EfficientNetB7     EfficientNet   2019 600  66658687 84.3 efficientnetb7.h5
EfficientNetV2B0   EfficientNetV2 2021 224   7200312 78.7 efficientnetv2-b0.h5
EfficientNetV2B1   EfficientNetV2 2021 240   8212124 79.8 efficientnetv2-b1.h5
EfficientNetV2B2   EfficientNetV2 2021 260  10178374 80.5 efficientnetv2-b2.h5
EfficientNetV2B3   EfficientNetV2 2021 300  14467622 82.0 efficientnetv2-b3.h5
EfficientNetV2L    EfficientNetV2 2021 480 119027848 85.7 efficientnetv2-l.h5
EfficientNetV2M    EfficientNetV2 2021 480  54431388 85.3 efficientnetv2-m.h5
EfficientNetV2S    EfficientNetV2 2021 384  21612360 83.9 efficientnetv2-s.h5
InceptionResNetV2  Inception      2016 299  55873736 80.3 {_PLAIN.format("inception_resnet_v2")}
InceptionV3        Inception      2015 299  23851784 77.9 {_PLAIN.format("inception_v3")}
MobileNet          MobileNet      2017 224   4253864 70.4 mobilenet_1_0_224_tf.h5
MobileNetV2        MobileNet      2018 224   3538984 71.3 mobilenet_v2
MobileNetV3Large   MobileNetV3    2019 224   5507432 75.6 mobilenet_v3_large
MobileNetV3Small   MobileNetV3    2019 224   2554968 68.1 mobilenet_v3_small
NASNetLarge        NASNet         2017 331  88949818 82.5 nasnet_large.h5
NASNetMobile       NASNet         2017 224   5326716 74.4 nasnet_mobile.h5
ResNet101          ResNet         2015 224  44707176 76.4 {_PLAIN.format("resnet101")}
ResNet101V2        ResNetV2       2016 224  44675560 77.2 {_PLAIN.format("resnet101v2")}
ResNet152          ResNet         2015 224  60419944 76.6 {_PLAIN.format("resnet152")}
ResNet152V2        ResNetV2       2016 224  60380648 78.0 {_PLAIN.format("resnet152v2")}
ResNet50           ResNet         2015 224  25636712 74.9 {_PLAIN.format("resnet50")}
ResNet50V2         ResNetV2       2016 224  25613800 76.0 {_PLAIN.format("resnet50v2")}
VGG16              VGG            2014 224 138357544 71.3 {_PLAIN.format("vgg16")}
VGG19              VGG            2014 224 143667240 71.3 {_PLAIN.format("vgg19")}
Xception           Xception       2016 299  22910480 79.0 {_PLAIN.format("xception")}
"""


@final
@dataclass(frozen=True)
class Application:
    """What is published of a network of Keras Applications.

    `mean` is taken from values from 0 to 1, red first, which are then divided by `std`; where
    `blue_first` it reads blue, green, red. The terms are those that Keras' documentation states.
    """

    name: str
    family: str
    year: int
    size: int
    parameters: int
    accuracy: float
    file: str  # of the weights with a head
    mean: str
    std: str
    blue_first: bool
    licence: str
    trained_on: str  # data sets in the order of training


def _applications() -> Iterator[Application]:
    for line in _TABLE.strip().splitlines():
        name, family, year, size, parameters, accuracy, file = line.split()
        feed, more = _FED[family], name in _IMAGENET_21K
        yield Application(
            *(name, family, int(year), int(size), int(parameters), float(accuracy), file),
            *(_share(feed[0]), _share(feed[1]), feed is _CAFFE),
            licence=_LICENCES.get(family, "Apache-2.0"),
            trained_on="ImageNet-21k, then ImageNet-1k" if more else "ImageNet-1k",
        )


def _share(numbers: str) -> str:
    return ",".join(str(float(number) / 255) for number in numbers.split(","))


APPLICATIONS: Final = {each.name: each for each in _applications()}


def cards(pattern: str) -> Iterator[Card]:
    """Describe the networks whose name matches the shell pattern, in any case."""
    for application in APPLICATIONS.values():
        if fnmatchcase(application.name.lower(), pattern.lower()):
            yield Card(
                reference=f"keras:{application.name}",
                modality="image",
                parameters=application.parameters,
                input=f"3x{application.size}x{application.size}",
                licence=application.licence,
                trained_on=application.trained_on,
                at_hand=stored(application).is_file(),
                accuracy=application.accuracy,
                year=application.year,
                path=escape(str(stored(application))),
            )


def stored(
    application: Application, size: int = 224, alpha: float = 1.0, minimalistic: bool = False
) -> Path:
    """Where Keras keeps these weights on this machine, whether they are there or not."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home).expanduser() / "models" / _file(application, size, alpha, minimalistic)


def _file(application: Application, size: int, alpha: float, minimalistic: bool) -> str:
    if application.name == "MobileNet":
        share = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0"}.get(alpha, "2_5")
        return f"mobilenet_{share}_{size if size in (128, 160, 192, 224) else 224}_tf.h5"
    if application.name == "MobileNetV2":
        side = size if size in (96, 128, 160, 192, 224) else 224
        return f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{side}.h5"
    if application.family == "MobileNetV3":
        kind = application.file.removeprefix("mobilenet_v3_") + "_minimalistic" * minimalistic
        return f"weights_mobilenet_v3_{kind}_224_{alpha}_float.h5"
    return application.file
