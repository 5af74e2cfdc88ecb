"""Weights out of Keras' files, layer by layer, into a network of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.errors import WeightsError
from headstart.hubs.keras.building import Built
from headstart.hubs.keras.graph import NETWORKS, Graph, KerasLayer, snake
from headstart.hubs.keras.modules import Standardise
from headstart.hubs.keras.reading import File, listed, member, numbers
from headstart.hubs.keras.variables import Variable
from headstart.hubs.keras.weighted import WEIGHTED
from headstart.loading.preprocess import IMAGENET
from headstart.loading.refusals import misfit
from headstart.loading.weights import State, linear, load_into

Arrays = dict[str, list[np.ndarray]]
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


def from_keras(built: Built, graph: Graph, file: File) -> nn.Linear | None:
    """Fill a network from a file of Keras; the head that it holds, if any.

    Raises WeightsError where the file's layers or shapes are not the network's.
    """
    arrays = _arrays(graph, file)
    kinds = {layer.name: layer for layer in graph.whole.walk()}
    state: State = dict(built.network.state_dict())
    for layer, (name, variables) in built.layers.items():
        own = _scaled(kinds[layer], arrays.get(layer, []), file)
        if len(own) < len(variables):
            raise misfit(file.path, f"{layer} has {len(own)} of {len(variables)} variables there")
        for variable, values in zip(variables, own, strict=False):
            state[f"{name}.{variable.target}"] = _placed(layer, variable, values, file)
    load_into(built.network, state, str(file.path))
    if built.head is None or built.head.name not in arrays:
        return None
    kernel, *bias = map(torch.from_numpy, _scaled(built.head, arrays[built.head.name], file))
    # a dense layer's kernel (in, out), or that of a convolution of one position
    parts = {"weight": kernel.reshape(-1, kernel.shape[-1]).T}
    parts |= dict(zip(["bias"], bias, strict=False))
    return linear(parts, built.feature_dim, str(file.path))


def square_deviations(built: Built) -> None:
    """Mend the statistics in the published files of EfficientNet.

    They hold deviations as variances; Keras' own builder makes up for it by one layer more, which
    it leaves out of the same network with other weights.
    """
    deviations = torch.tensor(IMAGENET["std"])
    for module in built.network.modules():
        if isinstance(module, Standardise) and module.variance.shape == deviations.shape:
            if torch.allclose(module.variance, deviations, atol=1e-4):
                module.variance.square_()


def _scaled(layer: KerasLayer, arrays: list[np.ndarray], file: File) -> list[np.ndarray]:
    """The numbers that a layer's whole numbers stand for: kernel / scale, as Keras counts them.

    Raises WeightsError for what is packed otherwise.
    """
    policy = layer.config.get("dtype")
    inner = policy.get("config") if isinstance(policy, Mapping) else policy
    mode = inner.get("mode") if isinstance(inner, Mapping) else None
    if mode is None and all(values.dtype.itemsize > 1 for values in arrays):
        return arrays
    biased = bool(layer.config.get("use_bias", True))
    if mode != "int8" or len(arrays) != 2 + biased:
        raise WeightsError(
            f"{file.path} holds {layer.name} quantised as {mode or 'its design does not say'}, "
            "which can't be read. Save the whole network before quantize(), or as int8."
        )
    kernel, *rest = arrays
    return [kernel / rest[-1], *rest[:-1]]


def _placed(layer: str, variable: Variable, values: np.ndarray, file: File) -> Tensor:
    if values.shape != variable.shape:
        sides = ["×".join(map(str, shape)) for shape in (values.shape, variable.shape)]
        raise misfit(
            file.path,
            f"{layer}/{variable.name} is {sides[0]} in the file and {sides[1]} in the network",
        )
    return variable.to_torch(torch.from_numpy(values))


def _arrays(graph: Graph, file: File) -> Arrays:
    """All variables by the name of their layer, in Keras' order."""
    tree = file.tree
    if tree is None:
        raise WeightsError(f"{file.path} holds no weights. Give a .keras or .h5 file.")
    try:
        if "model_weights" in tree:
            tree = member(tree, "model_weights", file)
        if listed(tree, "layer_names"):
            return _by_layer(graph.whole.inside, tree, file)
        arrays = _by_class(graph.whole, tree, file)
    except WeightsError:
        raise
    except Exception as error:  # a damaged tree raises nearly anything
        raise WeightsError(
            f"{file.path} can't be read ({type(error).__name__}). Copy or save it again."
        ) from error
    if not arrays:
        raise WeightsError(f"{file.path} holds no weights. Give a .keras or .h5 file.")
    return arrays


def _by_class(network: KerasLayer, group: Any, file: File) -> Arrays:
    """Keras 3: a layer's place is its class and its number among those of the class."""
    name = next((name for name in _CONTAINERS if name in group), None)
    arrays: Arrays = {}
    if name is None:
        return arrays
    container, counts = member(group, name, file), dict[str, int]()
    for layer in network.inside:
        kind = snake(layer.kind)
        number = counts[kind] = counts.get(kind, -1) + 1
        place = f"{kind}_{number}" if number else kind
        if place not in container:
            continue
        inside = member(container, place, file)
        if layer.kind in NETWORKS:
            arrays |= _by_class(layer, inside, file)
        elif "vars" in inside and len(inside["vars"]):
            own = member(inside, "vars", file)
            arrays[layer.name] = [numbers(member(own, str(n), file), file) for n in range(len(own))]
    return arrays


def _by_layer(layers: Sequence[KerasLayer], tree: Any, file: File) -> Arrays:
    """Keras 1 and 2: a group a layer of the whole, in their order, as Keras itself reads them."""
    groups: dict[str, list[tuple[str, np.ndarray]]] = {}
    for name in listed(tree, "layer_names"):
        group = member(tree, name, file)
        own = [(n, numbers(member(group, n, file), file)) for n in listed(group, "weight_names")]
        if own:
            groups[name] = own
    weighing = [layer for layer in layers if _weighs(layer)]
    if len(groups) not in (len(weighing), len(weighing) - 1):  # all, or all but a head
        raise misfit(file.path, f"it has {len(groups)} layers with weights, not {len(weighing)}")
    arrays: Arrays = {}
    for layer, own in zip(weighing, groups.values(), strict=False):
        if layer.kind in NETWORKS:
            arrays |= _nested(layer, own, file)
        else:
            arrays[layer.name] = [values for _, values in own]
    return arrays


def _nested(network: KerasLayer, own: Sequence[tuple[str, np.ndarray]], file: File) -> Arrays:
    """The variables of a network inside another, by the layer's name before their own."""
    inside = {layer.name.rpartition("/")[2]: layer.name for layer in network.walk()}
    arrays: Arrays = {}
    for name, values in own:
        layer = inside.get(name.split("/")[-2] if "/" in name else "")
        if layer is None:
            raise misfit(file.path, f"{network.name} has no layer for {name}")
        arrays.setdefault(layer, []).append(values)
    return arrays


def _weighs(layer: KerasLayer) -> bool:
    fixed = layer.kind == "Normalization" and layer.config.get("mean") is not None
    return any(inner.kind in WEIGHTED for inner in layer.walk()) and not fixed
