"""Keras 3 on torch after its transfer-learning guide: a frozen application under a new Dense head.

Photos come from a torch DataLoader, which `fit` takes. MobileNetV2 gets the weights of the timm
file, layer by layer; ResNet-50 gets random ones and serves for speed only (Keras's version strides
in the first 1x1 convolution and so does about 7 % less work than timm's).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from contract import RATES, Clock, arguments, write

LAST_STAGE = {"mobilenetv2_100": "block_16_", "resnet50": "conv5_"}


def main() -> None:
    """Train, test, and write what it took."""
    args = arguments(__doc__, ("frozen", "last-stage", "full"))
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from timm_model import loader, photos

    clock = Clock()
    keras.utils.set_random_seed(0)
    keras.config.set_image_data_format("channels_first")  # torch's own
    base = application(args.backbone, args.weights)
    train = photos(args.data / "train", args.backbone, args.work)
    free(base, args.backbone, args.work)
    inputs = keras.Input((3, 224, 224))
    features = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    outputs = keras.layers.Dense(len(train.classes))(features)
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(RATES[args.work]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    batches = loader(train, shuffle=True)
    clock.train(lambda: model.fit(batches, epochs=args.epochs, verbose=2))
    test = loader(photos(args.data / "test", args.backbone, args.work), shuffle=False)
    accuracy = float(model.evaluate(test, verbose=0)[1])
    write(args, "keras", clock, accuracy, len(train) * args.epochs)


def application(backbone: str, weights: Path) -> Any:
    """The application without its top; `channels_first` must be in force."""
    import keras

    shape = (3, 224, 224)
    if backbone == "resnet50":
        return keras.applications.ResNet50(include_top=False, weights=None, input_shape=shape)
    base = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=shape)
    convert(base, weights)
    return base


def free(base: Any, backbone: str, work: str) -> None:
    """Freeze the layers that this work doesn't train."""
    base.trainable = work != "frozen"
    if work == "last-stage":
        names = [layer.name for layer in base.layers]
        first = next(i for i, name in enumerate(names) if name.startswith(LAST_STAGE[backbone]))
        for layer in base.layers[:first]:
            layer.trainable = False


def convert(base: Any, weights: Path) -> None:
    """Put timm's MobileNetV2 weights into Keras's. Raises KeyError where a tensor misses.

    timm runs these weights with BatchNorm's epsilon at 1e-5, so Keras's 1e-3 is changed to that.
    """
    from timm_model import state

    tensors = state(weights)
    for layer in base.layers:
        if not layer.weights:
            continue
        source = _source(layer.name)
        if layer.name.lower().endswith("bn") or layer.name == "bn_Conv1":
            layer.epsilon = 1e-5
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensors[f"{source}.{part}"].numpy() for part in parts])
        else:
            kernel = tensors[f"{source}.weight"]
            order = (2, 3, 0, 1) if "depthwise" in layer.name else (2, 3, 1, 0)
            layer.set_weights([kernel.permute(*order).numpy()])


def _source(name: str) -> str:
    """timm's name of a Keras layer's tensors."""
    ends = {"Conv1": "conv_stem", "bn_Conv1": "bn1", "Conv_1": "conv_head", "Conv_1_bn": "bn2"}
    if name in ends:
        return ends[name]
    if name.startswith("expanded_conv_"):
        part = name.removeprefix("expanded_conv_")
        block = "blocks.0.0"
        own = {"depthwise": "conv_dw", "depthwise_BN": "bn1", "project": "conv_pw"}
        return f"{block}.{own.get(part, 'bn2')}"
    _, number, part = name.split("_", 2)
    layers = (("expand", "pw", 1), ("depthwise", "dw", 2), ("project", "pwl", 3))
    own = {keras: f"conv_{timm}" for keras, timm, _ in layers}
    own |= {f"{keras}_BN": f"bn{number}" for keras, _, number in layers}
    return f"{_block(int(number))}.{own[part]}"


def _block(number: int) -> str:
    """timm counts blocks within their stage, Keras through the whole network (from 1)."""
    place = number - 1
    for stage, length in enumerate((2, 3, 4, 3, 3, 1), start=1):
        if place < length:
            return f"blocks.{stage}.{place}"
        place -= length
    raise KeyError(f"MobileNetV2 has no block {number}")


if __name__ == "__main__":
    main()
