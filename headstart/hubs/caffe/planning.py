"""A reference to a network of Caffe: all settled before its tensors are made, and its backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from torch import Tensor

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.caffe import reading, recipe
from headstart.hubs.caffe.graph import Selection, select
from headstart.hubs.caffe.network import Built, build, draw, load, state_of
from headstart.hubs.caffe.recipe import InputSpec
from headstart.loading import head_removal, refusals
from headstart.loading.preprocess import PictureInput
from headstart.loading.spec import LoadSpec, resolve
from headstart.loading.weights import SUFFIXES, read

FILE: Final = "network.prototxt"  # what a saved model calls the description
_FORM: Final = "caffe:FILE.prototxt@FILE.caffemodel"
_NATIVE: Final = ".caffemodel"
_HEAD: Final = "head"  # of a network that has none of its own
_OTHERS: Final = tuple(sorted(SUFFIXES))


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
    """What a file of weights holds, and what it says of how the network was fed in training."""

    state: Mapping[str, Tensor]
    feed: InputSpec


def settle(reference: Reference) -> CaffeSpec:
    """Read the files and the options, find head and recipe, and lay the network out.

    Raises HeadstartError for bad options and a description that can't be used, WeightsError for a
    file of weights that is missing, damaged or not one.
    """
    options = resolve(CaffeOptions, reference)
    path = _place(reference.name)
    content = reading.read_text(path)
    net, layers = reading.parse(content, path)
    selection = select(net, layers, options.head, str(path))
    weights = _weights(reference, selection)
    recipe_options = _recipe(reference, options, path, selection, weights)
    options = resolve(CaffeOptions, reference, recipe_options)
    feed = recipe.feed_of(selection, str(path))
    preprocess = options.preprocess(reference)
    if "size" not in recipe_options and feed.height and feed.width:
        preprocess |= {"height": feed.height, "width": feed.width}
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
            raise refusals.folder(name, f"Write {_FORM}")
    if path.suffix.lower() == _NATIVE:
        raise WeightsError(f"{path} holds weights without their network. Write {_FORM}.")
    return path


def _weights(reference: Reference, selection: Selection) -> _Weights | None:
    if reference.weights is None:
        return None
    path = Path(reference.weights)
    if path.suffix.lower() in _OTHERS:
        return _Weights(read(path).state, InputSpec())
    if path.suffix.lower() != _NATIVE:
        suffixes = ", ".join([_NATIVE, *_OTHERS])
        raise WeightsError(f"{path} is not a file of weights. Give one of {suffixes}.")
    net = reading.read_weights(path)
    nodes = [*selection.nodes, *([selection.head] if selection.head else [])]
    state = state_of(reading.blobs_by_layer(net), nodes, path)
    return _Weights(state, recipe.feed_in_training(reading.layers(net, path)))


def _recipe(
    reference: Reference,
    usual: CaffeOptions,
    path: Path,
    selection: Selection,
    weights: _Weights | None,
) -> dict[str, str]:
    """The user's options, with those that the description alone doesn't settle."""
    options = dict(reference.options)
    own = recipe.feed_of(selection, str(path))
    training = weights.feed if weights else InputSpec()
    state = weights.state if weights else {}
    if "channels" not in options:
        channels = own.channels or training.channels or recipe.channels_of(selection, state)
        options["channels"] = str(channels or usual.channels)
    current = resolve(CaffeOptions, reference, options)
    if "size" not in options and not (own.height and own.width):
        size = _size(own, training) or recipe.size_of(
            selection,
            state,
            lambda size: build(selection, (current.channels, size, size), False, str(path)),
        )
        if size is None:
            raise HeadstartError(
                f"{path} doesn't say how large its pictures are. Add for example "
                "?size=28&channels=1."
            )
        options["size"] = str(size)
    if current.channels in (1, 3) and not {"mean", "std"} <= options.keys():
        # what trained the weights says how, where the description is one for deploying
        feed = training if own.scale is None else own
        mean, std = recipe.normalisation(feed, current.channels, _reverse(current), path.parent)
        options = {"mean": mean, "std": std, **options}
    return options


def _size(*feeds: InputSpec) -> int | None:
    return next((feed.height for feed in feeds if feed.height and feed.height == feed.width), None)


def backbone(spec: CaffeSpec) -> Backbone:
    """Make the network's tensors, fill them, and cut the network into stages.

    Raises WeightsError for weights that belong to another network.
    """
    own, names = spec.selection.head, {node.name for node in spec.selection.nodes}
    head_name = own.name if own else _HEAD if _HEAD not in names else f"caffe_{_HEAD}"
    head, source = None, str(spec.reference.weights)
    network, example = spec.built.network, head_removal.example(spec.preprocess)
    if spec.state is None:
        draw(spec.built)
    else:
        head = load(spec.built, spec.state, head_name, source)
    features = head_removal.run(network.eval(), example, spec.what)
    if spec.state is not None:
        head_removal.demand_finite(features, source)
    return head_removal.backbone(
        head_removal.headless(network, example, features, head, head_name),
        spec.reference,
        architecture=spec.architecture,
        pretrained=spec.state is not None,
        preprocess=spec.preprocess,
        files={FILE: spec.content},
    )
