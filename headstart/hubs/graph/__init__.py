"""Networks saved as graphs: ONNX, TensorFlow Lite, SavedModel, and OpenVINO's own format."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar, Final, final

import torch
from torch import nn

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.graph import detector, sounds, structure, trainable
from headstart.hubs.graph.cutting import cut
from headstart.hubs.graph.layers import layers
from headstart.hubs.graph.normalising import entry, normalise
from headstart.hubs.graph.planning import (
    KINDS,
    SAVED_MODEL,
    WEIGHTS,
    GraphSpec,
    Opened,
    Positions,
    assemble,
    settle,
)
from headstart.hubs.graph.reading import read
from headstart.loading import head_removal
from headstart.loading.openvino_graph import Graph as Network
from headstart.loading.weights import load_into
from headstart.loading.weights import read as read_weights
from headstart.runtime import trust

FILE: Final = "graph.xml"  # what a saved model calls the structure


@final
class Graph(Hub):
    """Networks for images and sounds in graph files, run by OpenVINO as they are: frozen.

    `graph:FILE.onnx`, `graph:FILE.tflite`, `graph:FOLDER` of a SavedModel and `graph:FILE.xml` are
    data: none of their code runs. The features are what the last matrix before a classifier's
    answer reads, or the tensor `output`; those with positions are averaged over them. `size`,
    `crop`, `mean` and the like say what the network is fed; one that takes samples, or whose
    `frontend` or `rate` is given, hears. `trainable=true` makes an ordinary network of an ONNX
    file, as a detector there always is: its features are what its last layers read. With
    `pretrained=false` the values of each constant of weights, whole
    numbers too, are shuffled by torch's global random state.
    """

    layered: ClassVar[bool] = True

    def cards(self, pattern: str) -> Iterable[Card]:
        """The graph files and SavedModels in this folder, by name."""
        for path in sorted(Path().iterdir()):
            graph = path.suffix.lower() in KINDS and path.is_file()
            whole = path.suffix.lower() != ".xml" or path.with_suffix(".bin").is_file()
            if (graph and whole) or (path / SAVED_MODEL).is_file():
                if fnmatchcase(path.name, pattern):
                    yield Card(f"graph:{path.name}", "image", None, "", None, None, True)

    def cards_depend_on(self) -> Sequence[str]:
        """The files and folders of this folder that hold graphs."""
        return "./*.onnx", "./*.tflite", "./*.xml", "./*.bin", f"./*/{SAVED_MODEL}"

    def load(self, reference: Reference) -> Backbone:
        """Read the graph, find its features, and bring it into a form that is kept.

        Raises HeadstartError where there is no such file, it isn't for pictures, or it isn't plain
        where its features are, and WeightsError for what is damaged or belongs elsewhere.
        """
        spec = settle(reference)
        last = detector.find(spec)
        if last is not None:
            return detector.load(spec, last)
        if spec.options.trainable:
            return assemble(spec, trainable.open_onnx(spec))
        return _reopened(spec) if spec.saved else _opened(spec)


def _opened(spec: GraphSpec) -> Backbone:
    """A graph from its own file."""
    opened = read(spec.path, spec.kind)
    end = cut(opened, spec.options.output, spec.options.head)
    source = entry(spec, end)
    names = layers(opened, end.features) if not spec.options.output else []
    if sounds.hears(spec, source):
        network, fed = sounds.normalise(spec, end, source)
        whole = _with(spec, network, sounds.preprocess(spec, fed), end.head, end.name, fed)
        return replace(sounds.assemble(spec, whole, fed), layers=names)
    normal = normalise(spec, end)
    preprocess = spec.preprocess(normal.sides, normal.last, normal.whole)
    whole = _with(spec, normal.graph, preprocess, end.head, end.name)
    return replace(assemble(spec, whole), layers=names)


def _reopened(spec: GraphSpec) -> Backbone:
    """A graph from the structure in a saved model, and its constants from the weights beside it.

    They are left to be filled in where the reference names others.
    """
    try:
        xml = spec.path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        xml = ""
    sides, numbers = structure.sides(xml), structure.numbers(xml) if spec.options.rate else None
    if (sides is None and numbers is None) or structure.features(xml) is None:
        raise WeightsError(f"{spec.path} is not a graph that was saved. Copy the model again.")
    if sides is not None and spec.size not in (None, sides[1]):
        raise HeadstartError(
            f"{spec.reference} says size={spec.size}, but the saved graph takes "
            f"{sides[1]}x{sides[2]}. Leave it out."
        )
    weights, size = Path(spec.reference.weights or spec.path.parent / WEIGHTS), structure.size(xml)
    if not weights.is_file() or size > weights.stat().st_size:
        raise WeightsError(
            f"{weights} does not hold the {size} bytes that {spec.path} refers to. "
            "Copy the model again."
        )
    network = Network(xml, torch.zeros(size, dtype=torch.uint8))
    if spec.reference.weights is None:
        state = read_weights(weights).state
        own = {name: state[name] for name in network.state_dict() if name in state}
        load_into(network, own, str(weights))
    if numbers is not None:
        fed = sounds.fed_again(spec, numbers)
        whole = _with(spec, network, sounds.preprocess(spec, fed), None, None, fed)
        return sounds.assemble(spec, whole, fed)
    preprocess = spec.preprocess(sides or (0, 0, 0), False, False)
    return assemble(spec, _with(spec, network, preprocess, None, None))


def _with(
    spec: GraphSpec,
    network: Network,
    preprocess: dict[str, Any],
    head: nn.Linear | None,
    output: str | None,
    fed: sounds.Fed | None = None,
) -> Opened:
    content = network.xml.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    trust.demand_same(spec.path, sha256, spec.options.sha256)
    dimension = structure.features(network.xml) or 0
    body = head_removal.Headless(
        network=network,
        stages={"graph": network, "positions": Positions()},
        feature_dim=dimension,
        head=head if head is not None and head.in_features == dimension else None,
        head_name="head",
        differentiable=False,
    )

    def shuffle() -> None:
        network.constants.copy_(structure.shuffle(network.xml, network.constants))

    own = {} if fed is None else sounds.options_of(spec, fed)
    architecture = spec.architecture(preprocess, FILE, sha256, own)
    return Opened(body, shuffle, preprocess, output, architecture, (FILE, content))
