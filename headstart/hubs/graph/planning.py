"""A reference to a graph file, settled as far as it can be unread, and its backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, reason
from headstart.loading import head_removal
from headstart.loading.preprocess import PictureInput
from headstart.loading.spec import LoadSpec, resolve

KINDS: Final = {".onnx": "onnx", ".tflite": "tflite", ".xml": "ir"}  # by OpenVINO's names
FOLDER: Final = "tf"
SAVED_MODEL: Final = "saved_model.pb"
WEIGHTS: Final = "model.safetensors"  # beside a structure that Headstart saved
CHANNELS_LAST: Final = "0.5"  # the mean and standard deviation of most networks of TensorFlow
_WRITTEN: Final = (  # anew in every architecture
    *("size", "channels", "mean", "std"),
    *("graph", "sha256", "pretrained", "layer"),
)
_FORMS: Final = "FILE.onnx, FILE.tflite, FILE.xml, or the FOLDER of a SavedModel"


@final
@dataclass(frozen=True)
class GraphOptions(PictureInput):
    """The options of a graph file.

    `output`, or `layer`, names the tensor that is the features; with `head=false` they are the one
    thing that the graph answers with, as in a network without a classifier. `graph` and `sha256`
    say what a saved model was made of.

    A graph that hears is fed at `rate` (Hz), in windows `hop` seconds apart, of samples times
    `scale`, shorter sounds filled up to `fill` seconds; `window` (seconds) is for one that takes
    any number of samples. Features are means over windows, with `peaks` the maxima too. `frontend`
    names the graph beside it that makes its input of samples, or a spectrogram, which `mel`
    changes.
    """

    output: str = ""
    layer: str = ""
    rate: int = 0
    window: float = 0.0
    hop: float = 0.0
    fill: float = 0.0
    peaks: bool = False
    scale: float = 1.0
    frontend: str = ""
    mel: str = ""
    head: bool = True
    trainable: bool = False
    graph: str = ""
    sha256: str = ""
    pretrained: bool = True


@final
@dataclass(frozen=True)
class GraphSpec(LoadSpec[GraphOptions]):
    """What to open, and what was said of it. `saved`: it is the structure in a saved model."""

    path: Path
    kind: str
    saved: bool

    def with_output(self, output: str | None) -> Reference:
        """The reference, with the tensor that is the features, unless it is a layer's."""
        layer = self.options.layer and self.options.layer == self.options.output
        return self.reference.with_options(
            output=None if layer else output or self.options.output or None
        )

    @property
    def size(self) -> int | None:
        """The side of the pictures in pixels, where one was given."""
        return self.options.size if "size" in self.reference.options else None

    def preprocess(self, sides: tuple[int, int, int], last: bool, whole: bool) -> dict[str, Any]:
        """How pictures are fed to a graph of these channels, height and width.

        `last` says that its channels come last, `whole` that it takes whole numbers. Raises
        HeadstartError for options that can't be.
        """
        options, what = self.options, self.reference
        if "channels" in what.options and options.channels != sides[0]:
            raise HeadstartError(
                f"{what} says channels={options.channels}, but the graph takes {sides[0]}. "
                "Leave it out."
            )
        options = replace(options, size=max(sides[1], 1), channels=sides[0])
        if whole or last:
            mean, std = ("0", "1") if whole else (CHANNELS_LAST, CHANNELS_LAST)
            options = replace(options, mean=options.mean or mean, std=options.std or std)
        recipe = options.preprocess(what)
        if whole and (set(recipe["mean"]), set(recipe["std"])) != ({0.0}, {1.0}):
            raise HeadstartError(
                f"{what} takes pictures in whole numbers, which mean= and std= don't change. "
                "Leave them out."
            )
        return recipe | {"height": sides[1], "width": sides[2]}

    def architecture(
        self,
        preprocess: Mapping[str, Any],
        graph: str,
        sha256: str = "",
        fed: Mapping[str, str] | None = None,
    ) -> Reference:
        """What rebuilds the same network from its structure, with its constants shuffled.

        `fed` are the options of one that hears.
        """
        options = self.options.changed(_WRITTEN) | dict(fed or {})
        options = {name: value for name, value in options.items() if value or fed is None}
        if self.size is not None:
            options["size"] = str(self.size)
        for name in ("mean", "std") if fed is None else ():
            options[name] = ",".join(map(str, preprocess[name]))
        return self.rebuilt(options | {"graph": graph} | ({"sha256": sha256} if sha256 else {}))


def settle(reference: Reference) -> GraphSpec:
    """Find the file and read the options.

    Raises HeadstartError for bad options, and a missing or unknown kind of file.
    """
    options = resolve(GraphOptions, reference)
    options = replace(options, output=options.output or options.layer)
    path = Path(reference.name)
    model = path / options.graph
    if path.is_dir() and options.graph and model.is_file():
        if Path(options.graph).name != options.graph:
            raise HeadstartError(f"{reference} leads out of its folder. Give another model.")
        return GraphSpec(reference, options, model, _kind(model), True)
    return GraphSpec(reference, options, path, _kind(path), False)


def _kind(path: Path) -> str:
    if path.is_dir():
        if (path / SAVED_MODEL).is_file():
            return FOLDER
        raise HeadstartError(
            f"{path} is a folder without {SAVED_MODEL}. Give {_FORMS}; a model that Headstart "
            f"saved is checkpoint:{path}."
        )
    if not path.is_file():
        raise HeadstartError(f"{path} is not there. Give {_FORMS}.")
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise HeadstartError(f"{path} is not a graph that can be read. Give {_FORMS}.")
    return kind


@final
class Positions(nn.Module):
    """The mean over positions."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, D, …) -> (N, D)."""
        return features.flatten(2).mean(2) if features.dim() > 2 else features


@final
@dataclass(frozen=True)
class Opened:
    """A network without its head, and how it is rebuilt.

    `shuffle` takes away what it learned. `output` names the features. `file` is what a saved model
    keeps of it.
    """

    body: head_removal.Headless
    shuffle: Callable[[], None]
    preprocess: dict[str, Any]
    output: str | None
    architecture: Reference
    file: tuple[str, bytes]


def assemble(spec: GraphSpec, opened: Opened) -> Backbone:
    """The backbone, with the weights that were given, its own, or shuffled ones.

    Raises WeightsError for weights of another network, and HeadstartError where the network can't
    read its pictures, or answers other than one row each.
    """
    if not spec.options.pretrained and spec.reference.weights is None:
        opened.shuffle()
    backbone = head_removal.backbone(
        head_removal.filled(opened.body, spec.reference),
        reference=spec.with_output(opened.output),
        architecture=opened.architecture,
        pretrained=spec.options.pretrained or spec.reference.weights is not None,
        preprocess=opened.preprocess,
        files=dict([opened.file]),
    )
    _try(spec, backbone)
    return backbone


def _try(spec: GraphSpec, backbone: Backbone) -> None:
    """Raise HeadstartError where two pictures don't give two rows of features."""
    rows: Any = head_removal.example(backbone.preprocess, torch.rand)
    sides = "x".join(map(str, rows.shape[1:]))
    try:
        with torch.no_grad():
            rows = nn.Sequential(*backbone.stages.values()).eval()(rows)
    except Exception as error:  # a network of any author fails in any way
        raise HeadstartError(
            f"{spec.path} can't run on pictures of {sides} ({reason(error)}). "
            "Give the size= that it wants, or save it again."
        ) from error
    if rows.shape != (2, backbone.feature_dim):
        raise HeadstartError(
            f"{spec.path} answers two pictures with {list(rows.shape)}, not one row each. "
            "Name another tensor with output=NAME."
        )
