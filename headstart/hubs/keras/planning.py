"""A reference to a network of Keras: everything settled before it is built, and its backbone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from huggingface_hub import constants
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.hubs.keras import applications, filling, listing
from headstart.hubs.keras.building import Built, build, randomise
from headstart.hubs.keras.graph import CODE, Graph, plain, read_graph
from headstart.hubs.keras.listing import APPLICATIONS, Application
from headstart.hubs.keras.reading import File, open_file
from headstart.loading import head_removal, refusals
from headstart.loading.head_removal import Headless
from headstart.loading.layer_graph import BlueFirst
from headstart.loading.preprocess import PictureInput
from headstart.loading.refusals import demand_package, without_download
from headstart.loading.spec import LoadSpec, resolve
from headstart.runtime import trust

NETWORK: Final = "keras_network.json"  # in a saved model
_SUFFIXES: Final = (".keras", ".h5", ".hdf5", ".json")
_TORCH: Final = (".safetensors", ".pth", ".pt", ".th", ".bin")
_FORM: Final = "keras:FILE.keras or keras:FILE.h5"
_WRITTEN: Final = ("trust", "network", "pretrained")  # anew in every architecture
_SIDE: Final = 224  # where a network takes pictures of any size
_WIDEST: Final = 1 << 14  # pixels of a picture's side
_CROP: Final = 0.875
_BROADEST: Final = 4  # times the usual widths: alpha


@final
@dataclass(frozen=True)
class KerasOptions(PictureInput):
    """The options of a reference; `network` is the description's file in a saved model."""

    alpha: float = 1.0
    minimalistic: bool = False
    head: bool = True
    trust: bool = False
    network: str = ""
    pretrained: bool = True


@final
@dataclass(frozen=True)
class KerasSpec(LoadSpec[KerasOptions]):
    """What to build, from which weights, fed with what."""

    preprocess: Mapping[str, Any]
    graph: Graph
    application: Application | None
    content: bytes  # the description of an own network
    file: File | None  # of weights, as Keras writes them

    @property
    def what(self) -> str:
        """How messages call the network."""
        return f"keras:{self.name}" if self.application else self.reference.name

    @property
    def name(self) -> str:
        """The network's name, as Keras spells it, or that of its file."""
        return self.application.name if self.application else self.reference.name

    @property
    def tensors(self) -> str | None:
        """A file of weights by torch's names."""
        weights = self.reference.weights
        return weights if weights is not None and weights.lower().endswith(_TORCH) else None

    @property
    def architecture(self) -> Reference:
        """What rebuilds the same network with random weights, here or in a saved model."""
        options = {n: v for n, v in self.reference.options.items() if n not in _WRITTEN}
        if self.application is None:
            options["network"] = NETWORK
        return self.rebuilt(options, self.name)


def settle(reference: Reference) -> KerasSpec:
    """Look the name up, or read the file, and sort the options.

    Raises UnknownNameError for a name, HeadstartError for bad options, layers that are not known
    and code that is not trusted, WeightsError for files that are missing, unsafe or damaged.
    """
    applications_by_name = {name.lower(): each for name, each in APPLICATIONS.items()}
    application = applications_by_name.get(reference.name.lower())
    if application is not None:
        return _application(reference, application)
    path = Path(reference.name)
    if not path.is_dir() and path.suffix.lower() not in _SUFFIXES:
        raise UnknownNameError("network of Keras", reference.name, APPLICATIONS)
    return _own(reference, path)


def _application(reference: Reference, application: Application) -> KerasSpec:
    what = f"keras:{application.name}"
    usual = {"size": str(application.size), "crop": str(_CROP)}
    usual |= {"mean": application.mean, "std": application.std}
    if reference.options.get("channels") == "1":
        usual |= {name: _average(usual[name]) for name in ("mean", "std")}
    options = resolve(KerasOptions, reference, usual, what)
    variant = _variant(application, options)
    preprocess = options.preprocess(reference)
    if options.network or not options.head:
        raise HeadstartError(f"{what} takes no network= or head=. Leave them out.")
    demand_package("keras", reference, "keras")
    file = _weights(reference, application, options, variant)
    described = applications.description(application.name, options.size, options.channels, variant)
    graph = read_graph(described, what)
    return KerasSpec(reference, options, preprocess, graph, application, b"", file)


def _variant(application: Application, options: KerasOptions) -> tuple[tuple[str, Any], ...]:
    """What changes the network's shape, of what it has. Raises HeadstartError for the rest."""
    has = {"MobileNet": ("alpha",), "MobileNetV3": ("alpha", "minimalistic")}
    changed = {"alpha": options.alpha} if options.alpha != 1.0 else {}
    changed |= {"minimalistic": True} if options.minimalistic else {}
    wrong = [name for name in changed if name not in has.get(application.family, ())]
    if wrong:
        raise HeadstartError(f"keras:{application.name} takes no {wrong[0]}=. Leave it out.")
    if not 0 < options.alpha <= _BROADEST:
        raise HeadstartError(
            f"keras:{application.name}?alpha={options.alpha} can't be. Give a number above 0, at "
            f"most {_BROADEST}."
        )
    return tuple(changed.items())


def _keras_file(weights: str) -> File | None:
    """The file after @, opened; None for one by torch's names, which is read later."""
    return None if weights.lower().endswith(_TORCH) else open_file(Path(weights))


def _weights(
    reference: Reference,
    application: Application,
    options: KerasOptions,
    variant: tuple[tuple[str, Any], ...],
) -> File | None:
    """The file of weights as Keras writes them: the one given, or Keras' own, fetched if needed."""
    if reference.weights is not None:
        return _keras_file(reference.weights)
    if not options.pretrained:
        return None
    path = listing.stored(application, options.size, options.alpha, options.minimalistic)
    if path.is_file():
        return open_file(path)
    what = f"keras:{application.name}"
    if constants.HF_HUB_OFFLINE:
        raise WeightsError(
            f"The weights of {what} are not at {path}, and HF_HUB_OFFLINE keeps them from being "
            f"fetched. {without_download(what)}"
        )
    if f"_{options.size}" in path.name:  # of several, one for each size
        variant = (*variant, ("input_shape", (options.size, options.size, options.channels)))
    applications.fetch(application.name, path, variant)
    return open_file(path)


def _own(reference: Reference, path: Path) -> KerasSpec:
    options = resolve(KerasOptions, reference)
    if path.is_dir():
        if not options.network or Path(options.network).name != options.network:
            raise refusals.folder(path, f"Write {_FORM}")
        path = path / options.network
    described = open_file(path)
    if described.config is None:
        raise WeightsError(
            f"{path} holds weights without their network. Save the whole network with Keras, or "
            f"its design by to_json() as in keras:network.json@{path}, or name one of Keras' own, "
            f"as in keras:ResNet50@{path}."
        )
    if described.version < 3 and b'"hard_sigmoid"' in described.config:
        raise HeadstartError(
            f"{path} uses hard_sigmoid, which is another function in the Keras {described.version} "
            "that saved it. Use another activation, or save it again with Keras 3."
        )
    graph = read_graph(json.loads(described.config), str(path))
    if any(layer.kind == CODE for layer in graph.whole.walk()):
        trust.demand(reference, path, hashlib.sha256(described.config).hexdigest())
    file = None if described.tree is None or not options.pretrained else described
    if reference.weights is not None:
        file = _keras_file(reference.weights)
    preprocess = _own_preprocess(reference, graph)
    return KerasSpec(reference, options, preprocess, graph, None, described.config, file)


def _own_preprocess(reference: Reference, graph: Graph) -> dict[str, Any]:
    """As the options say; else values from 0 to 255 in the size that the network wants."""
    shape = (*graph.shape, 1) if len(graph.shape) == 2 else graph.shape
    if len(shape) != 3 or max(side or 1 for side in shape) > _WIDEST:
        raise HeadstartError(
            f"{reference} takes {'x'.join(map(str, shape)) or 'nothing'} an item, which are no "
            "pictures. Give a network of pictures."
        )
    height, width = (int(side or _SIDE) for side in shape[:2])
    usual = {"mean": "0", "std": str(1 / 255), "size": str(height), "channels": str(shape[2] or 3)}
    options = resolve(KerasOptions, reference, usual, str(reference))
    sides = {} if "size" in reference.options else {"width": width}
    return {**options.preprocess(reference), **sides}


def _average(numbers: str) -> str:
    parts = [float(number) for number in numbers.split(",")]
    return str(sum(parts) / len(parts))


def backbone(spec: KerasSpec) -> Backbone:
    """Translate the network, fill it, take its head off and find its stages.

    Raises HeadstartError for what can't be translated, WeightsError for weights that don't fit.
    """
    example = head_removal.example(spec.preprocess)
    built = build(spec.graph, example, spec.what, behead=spec.options.head, front=_front(spec))
    head_name = plain(built.head.name) if built.head else head_removal.free_name(built.network)
    head = _fill(spec, built, head_name)
    head = head if built.classifies else None
    features = head_removal.run(built.network.eval(), example, spec.what)
    source = spec.tensors or (spec.file and spec.file.path)
    if source is not None:
        head_removal.demand_finite(features, source)
    published = spec.application if source is not None and spec.reference.weights is None else None
    return head_removal.backbone(
        head_removal.headless(built.network, example, features, head, head_name),
        spec.reference,
        architecture=spec.architecture,
        pretrained=source is not None,
        preprocess=spec.preprocess,
        files={NETWORK: spec.content} if spec.content else {},
        terms=(published.licence, published.trained_on) if published else (None, None),
    )


def _front(spec: KerasSpec) -> nn.Module:
    """What turns pictures into what the network reads."""
    if spec.application is not None and spec.application.blue_first and spec.options.channels == 3:
        return BlueFirst()
    return nn.Flatten(1, 2) if len(spec.graph.shape) == 2 else nn.Identity()


def _fill(spec: KerasSpec, built: Built, head_name: str) -> nn.Linear | None:
    """Set all weights, from a file or by chance; the head that comes with them, if any."""
    if spec.tensors is not None:
        body = Headless(built.network, {}, built.feature_dim, None, head_name)
        return head_removal.fill(body, spec.tensors)[0]
    if spec.file is None:
        randomise(built)
        return None
    head = filling.from_keras(built, spec.graph, spec.file)
    if spec.application is not None and spec.application.family == "EfficientNet":
        filling.square_deviations(built)
    return head
