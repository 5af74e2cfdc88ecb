"""A small detector in an ONNX file, built like YOLOX, and pictures of squares for it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import headstart as hs
from headstart.results import Result

SIDE, WIDTH, CLASSES = 64, 8, 3


class _Graph:
    """Nodes and weights in the order in which they are added."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.rng = np.random.default_rng(seed)

    def convolution(
        self, source: str, name: str, inputs: int, outputs: int, size: int, stride: int = 1
    ) -> str:
        """A convolution with weights of its own; answers its tensor."""
        from onnx import helper, numpy_helper

        spread = 1 / np.sqrt(inputs * size * size)
        weight = self.rng.normal(0, spread, (outputs, inputs, size, size)).astype(np.float32)
        bias = np.zeros(outputs, np.float32)
        names = f"{name}.weight", f"{name}.bias"
        self.weights += [
            numpy_helper.from_array(each, own)
            for each, own in zip((weight, bias), names, strict=True)
        ]
        pad = [size // 2] * 4
        self.nodes.append(
            helper.make_node("Conv", [source, *names], [name], name, strides=[stride] * 2, pads=pad)
        )
        return name

    def one(self, operation: str, sources: list[str], name: str, **settings: Any) -> str:
        """Any other operation; answers its tensor."""
        from onnx import helper

        self.nodes.append(helper.make_node(operation, sources, [name], name, **settings))
        return name

    def block(self, source: str, name: str, inputs: int, stride: int = 1) -> str:
        """A convolution and what cuts off below 0."""
        maps = self.convolution(source, f"{name}.conv", inputs, WIDTH, 3, stride)
        return self.one("Relu", [maps], name)


def detector(path: Path, seed: int = 0, levels: int = 2) -> Path:
    """Write a detector of some scales, steps of 8 and 16 pixels, for three classes."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(seed)
    maps = graph.block("images", "stem", 3, 4)
    answers = []
    for level in range(levels):
        maps = graph.block(maps, f"trunk.{level}", WIDTH, 2)
        start = graph.block(maps, f"head.stems.{level}", WIDTH)
        cls_map = graph.block(start, f"head.cls_convs.{level}", WIDTH)
        reg_map = graph.block(start, f"head.reg_convs.{level}", WIDTH)
        parts = []
        for role, source, outputs in (
            *(("reg", reg_map, 4), ("obj", reg_map, 1)),
            ("cls", cls_map, CLASSES),
        ):
            name = f"head.{role}_preds.{level}"
            result = graph.convolution(source, name, WIDTH, outputs, 1)
            parts.append(
                result if role == "reg" else graph.one("Sigmoid", [result], f"{name}.said")
            )
        whole = graph.one("Concat", parts, f"level.{level}", axis=1)
        answers.append(graph.one("Flatten", [whole], f"flat.{level}", axis=2))
    graph.one("Concat", answers, "output", axis=1)
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, None)
    result = helper.make_graph(graph.nodes, "detector", [picture], [output], graph.weights)
    model = helper.make_model(result, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def squares(folder: Path, count: int = 24, seed: int = 0) -> Path:
    """Pictures of noise with a red or a blue square each, every fourth without, as COCO."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    images, annotations = [], []
    for number in range(count):
        pixels = rng.integers(90, 140, (48, 64, 3)).astype(np.uint8)
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
        if number % 4:
            side, kind = int(rng.integers(12, 24)), number % 2
            left, top = int(rng.integers(0, 64 - side)), int(rng.integers(0, 48 - side))
            pixels[top : top + side, left : left + side] = [(255, 0, 0), (0, 0, 255)][kind]
            annotations.append(
                {"id": number, "image_id": number, "category_id": kind}
                | {"bbox": [left, top, side, side]}
            )
        Image.fromarray(pixels).save(folder / f"{number}.png")
    names = [{"id": 0, "name": "red"}, {"id": 1, "name": "blue"}]
    document = {"images": images, "annotations": annotations, "categories": names}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


@cache
def fitted_to_squares(place: Path) -> tuple[Result, Path, Path]:
    """A small detector fitted to squares, made once for a place: the run, its model, the data."""
    place.mkdir()
    data = squares(place / "data", 40)
    settings: dict[str, Any] = {"scratch": False, "epochs": 4}
    settings["strategy"] = "feature-extraction?head=trained"
    reference = f"graph:{detector(place / 'small.onnx')}"
    return hs.fit(data, reference, place / "model", **settings), place / "model", data
