"""A reference to a network of Caffe, with everything settled before its tensors are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from torch import Tensor

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.caffe import reading, recipe
from headstart.hubs.caffe.filling import state_of
from headstart.hubs.caffe.graph import Selection, select
from headstart.hubs.caffe.network import Built, build
from headstart.hubs.caffe.recipe import Fed
from headstart.loading.preprocess import PictureInput
from headstart.loading.spec import LoadSpec, resolve
from headstart.loading.weights import TORCH_SUFFIXES, read

FILE: Final = "network.prototxt"  # what a saved model calls the description
_FORM: Final = "caffe:FILE.prototxt@FILE.caffemodel"
_NATIVE: Final = ".caffemodel"
_OTHERS: Final = (".safetensors", *sorted(TORCH_SUFFIXES))


@final
@dataclass(frozen=True)
class CaffeOptions(PictureInput):
    """The options of a network of Caffe; `mean` and `std` are red first.

    `bgr` says that the network expects blue first; `head=false` takes its answers as features.
    """

    bgr: bool = True
    head: bool = True
    pretrained: bool = True


@final
@dataclass(frozen=True)
class CaffeSpec(LoadSpec[CaffeOptions]):
    """What to make, filled with what, and how to feed it. No tensor but the weights' is there."""

    content: bytes
    built: Built
    selection: Selection
    state: Mapping[str, Tensor] | None  # None: random numbers
    preprocess: dict[str, Any]
    recipe: Mapping[str, str]  # the options by which the files themselves are no more needed

    @property
    def architecture(self) -> Reference:
        """What rebuilds the same network with random weights, here or in a saved model."""
        return self.rebuilt(self.recipe)


@final
@dataclass(frozen=True)
class _Weights:
    """What a file of weights holds, and what it says of how the network was fed."""

    state: Mapping[str, Tensor]
    fed: Fed


def settle(reference: Reference) -> CaffeSpec:
    """Read the files and the options, find head and recipe, and lay the network out.

    Raises HeadstartError for bad options and a description that can't be used, WeightsError for a
    file of weights that is missing, damaged or not one.
    """
    given = resolve(CaffeOptions, reference)
    path = _place(reference.name)
    content = reading.read_text(path)
    net, layers = reading.parse(content, path)
    selection = select(net, layers, given.head, str(path))
    weights = _weights(reference, selection)
    recipe_options = _recipe(reference, given, path, selection, weights)
    options = resolve(CaffeOptions, reference, recipe_options)
    fed = recipe.fed_by(selection, str(path))
    preprocess = options.preprocess(reference)
    if "size" not in recipe_options and fed.height and fed.width:
        preprocess |= {"height": fed.height, "width": fed.width}
    shape = preprocess["channels"], preprocess["height"], preprocess["width"]
    native = str(reference.weights).lower().endswith(_NATIVE)
    filled = weights is not None and (options.pretrained or not native)
    return CaffeSpec(
        reference,
        options,
        content,
        build(selection, shape, _reverse(options), str(path)),
        selection,
        weights.state if weights and filled else None,
        preprocess,
        recipe_options,
    )


def _reverse(options: CaffeOptions) -> bool:
    return options.bgr and options.channels == 3


def _place(name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        path = path / FILE
        if not path.is_file():
            raise HeadstartError(
                f"{name} is a folder. Write {_FORM}; a model that Headstart saved is "
                f"checkpoint:{name}."
            )
    if path.suffix.lower() == _NATIVE:
        raise WeightsError(f"{path} holds weights without their network. Write {_FORM}.")
    return path


def _weights(reference: Reference, selection: Selection) -> _Weights | None:
    if reference.weights is None:
        return None
    path = Path(reference.weights)
    if path.suffix.lower() in _OTHERS:
        return _Weights(read(path).state, Fed())
    if path.suffix.lower() != _NATIVE:
        known = ", ".join([_NATIVE, *_OTHERS])
        raise WeightsError(f"{path} is not a file of weights. Give one of {known}.")
    net = reading.read_weights(path)
    nodes = [*selection.nodes, *([selection.head] if selection.head else [])]
    state = state_of(reading.blobs_by_layer(net), nodes, path)
    return _Weights(state, recipe.stored_with(reading.layers(net, path)))


def _recipe(
    reference: Reference,
    given: CaffeOptions,
    path: Path,
    selection: Selection,
    weights: _Weights | None,
) -> dict[str, str]:
    """The user's options, with those that the description alone doesn't settle."""
    options = dict(reference.options)
    own = recipe.fed_by(selection, str(path))
    other = weights.fed if weights else Fed()
    state = weights.state if weights else {}
    # what trained the weights says how, where the description is one for deploying
    how = other if own.scale is None else own
    if "channels" not in options:
        found = own.channels or other.channels or recipe.channels_of(selection, state)
        options["channels"] = str(found or given.channels)
    given = resolve(CaffeOptions, reference, options)
    if "size" not in options and not (own.height and own.width):
        size = _size(own, other) or recipe.size_of(
            selection,
            state,
            lambda size: build(selection, (given.channels, size, size), False, str(path)),
        )
        if size is None:
            raise HeadstartError(
                f"{path} doesn't say how large its pictures are. Add for example "
                "?size=28&channels=1."
            )
        options["size"] = str(size)
    if given.channels in (1, 3) and not {"mean", "std"} <= options.keys():
        said = recipe.normalisation(how, given.channels, _reverse(given), path.parent)
        options = {"mean": said[0], "std": said[1], **options}
    return options


def _size(*told: Fed) -> int | None:
    return next((fed.height for fed in told if fed.height and fed.height == fed.width), None)
