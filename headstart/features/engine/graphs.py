"""Graphs of saved models as text: written, and their constants placed in files of weights."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.frozen import LinearHead
from headstart.features.engine.interface import library
from headstart.loading import arrays, engine_form, openvino_runtime

Written = tuple[str, Any]  # a graph, and the bytes that its constants lie in
_PLACE = re.compile(r'offset="(\d+)" size="(\d+)"')  # of a constant among the bytes


def linear(head: LinearHead) -> Written:
    """The graph of a linear layer: features (N, D) to outputs (N, labels)."""
    operations = openvino_runtime.library("openvino.opset13")
    features = operations.parameter([-1, head.weight.shape[1]], np.float32)
    weight, bias = (operations.constant(own) for own in (head.weight, head.bias[None]))
    outputs = operations.add(operations.matmul(features, weight, False, True), bias)
    return written(library().Model([operations.result(outputs)], [features]))


def written(model: Any, pictures: bool = False) -> Written:
    """A network as text and the bytes of its constants; pictures come to it channels-last."""
    openvino = library()
    if pictures:
        steps = openvino.preprocess.PrePostProcessor(model)
        steps.input().tensor().set_layout(openvino.Layout("NHWC"))
        steps.input().model().set_layout(openvino.Layout("NCHW"))
        model = steps.build()
    with tempfile.TemporaryDirectory() as scratch:
        text, constants = Path(scratch) / "model.xml", Path(scratch) / "model.bin"
        openvino.serialize(model, str(text), str(constants))
        return text.read_text(encoding="utf-8"), constants.read_bytes()


def placed(graphs: Mapping[str, Written], files: Sequence[arrays.Tensors]) -> dict[str, bytes]:
    """The files of a form by name: its graphs, and those constants that lie in no file of weights.

    A constant is where a tensor of `files`, in a row, has the same bytes.
    """
    places, rest = dict(_places(files)), bytearray()
    total = sum(len(each.content) for each in files)

    def place_of(content: Any) -> int:
        digest = sha256(content).digest()
        if digest not in places:
            rest.extend(bytes(-len(rest) % 64))
            places[digest] = total + len(rest)
            rest.extend(content)
        return places[digest]

    form = {}
    for name, (text, constants) in graphs.items():

        def moved(match: re.Match[str], constants: Any = constants) -> str:
            start, size = int(match[1]), int(match[2])
            return f'offset="{place_of(constants[start : start + size])}" size="{size}"'

        form[name] = _PLACE.sub(moved, text).encode()
    return {**form, engine_form.CONSTANTS: bytes(rest)}


def _places(files: Sequence[arrays.Tensors]) -> Iterator[tuple[bytes, int]]:
    """The digest of each tensor's bytes, and where they begin in all files in a row."""
    before = 0
    for each in files:
        for name, stored in each.stored.items():
            yield sha256(each.bytes_of(name).data).digest(), before + stored.start
        before += len(each.content)
