"""Networks as Keras itself makes, saves and runs them, to hold the translated ones against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.contracts import Backbone
from headstart.hubs.keras import applications


def application(name: str, size: int, **settings: Any) -> Any:
    """Keras' own network with random weights, without its softmax."""
    with applications.library() as keras:
        build, shape = applications.builder(keras, name), (size, size, 3)
        return build(weights=None, input_shape=shape, classifier_activation=None, **settings)


def awaken(network: Any, pictures: Tensor) -> None:
    """Give all norms the statistics of these pictures (N, H, W, C), so that nothing fades."""
    with applications.library() as keras:
        for layer in network._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
        network(pictures, training=True)


def write(network: Any, file: Path) -> None:
    """Save a whole network as .keras or .h5, its weights as .weights.h5, its design as .json."""
    with applications.library():
        if file.name.endswith(".json"):
            file.write_text(network.to_json())
        elif file.name.endswith(".weights.h5"):
            network.save_weights(file)
        else:
            network.save(file)


def own(make: Callable[[Any], Any], shape: Sequence[int] = (12, 12, 3)) -> Any:
    """What `make` builds of the module `keras`, awake."""
    with applications.library() as keras:
        model = make(keras)
    awaken(model, torch.rand(8, *shape, generator=torch.Generator().manual_seed(1)) * 255)
    return model


def answers(backbone: Backbone, pictures: np.ndarray) -> np.ndarray:
    """Logits of a backbone with its head for values (N, H, W, C) from 0 to 255."""
    recipe = backbone.preprocess
    fed = (pictures / 255 - np.array(recipe["mean"])) / np.array(recipe["std"])
    values: Tensor = torch.from_numpy(fed.transpose(0, 3, 1, 2).astype(np.float32))
    assert backbone.head is not None
    with torch.no_grad():
        for stage in backbone.prefix():
            values = stage.eval()(values)
        rows: np.ndarray = backbone.head(values).numpy()
    return rows
