"""Graph files as networks of OpenVINO, whose readers run no code of theirs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.loading import openvino_graph as graph

_FORMATS: Final = {
    "onnx": "an ONNX model",
    "tflite": "a TensorFlow Lite model",
    "tf": "a SavedModel",
    "ir": "a network of OpenVINO",
}
_MADE_UP: Final = re.compile(r"\d+|[A-Z][A-Za-z]+_\d+")  # names that reading gives, each time anew
SHOWN: Final = 8  # names of tensors in a message
_QDQ: Final = "Quantise the network with quant_format=QuantFormat.QDQ."
_SAME: Final = ("FakeQuantize", "Convert", "Reshape", "Transpose", "Squeeze", "Unsqueeze")


@final
@dataclass(frozen=True)
class Opened:
    """A graph as an `openvino.Model`, and the reader's own idea of it, which still has all names.

    Networks of OpenVINO itself have no such reader (None).
    """

    path: Path
    kind: str
    model: Any
    reader: Any

    def output(self, name: str) -> Any:
        """The tensor of this name. Raises UnknownNameError, naming those near the end."""
        for node in self.model.get_ordered_ops():
            for value in node.outputs():
                if name in _names(value):
                    return value
        if self.kind == "tflite":  # its converter forgets most names
            source = self.reader.load(str(self.path))
            longer = (n for _, names in self._decoded() for n in names if n.startswith(f"{name};"))
            place = source.get_place_by_tensor_name(name)
            place = place or source.get_place_by_tensor_name(next(longer, name))
            if place is not None:
                source.override_all_outputs([place])
                return self.reader.convert(source).get_results()[0].input_value(0)
        raise UnknownNameError(f"tensor of {self.path}", name, self.names())

    def names(self) -> list[str]:
        """Names of tensors that may be features, the last ones first."""
        if self.kind == "tflite":
            names = [names[0] for _, names in self._decoded()]
        else:
            values = [value for node in computed(self.model) for value in node.outputs()]
            ranked = [v for v in values if v.partial_shape.rank.is_static]
            maps = [_names(v) for v in ranked if len(v.partial_shape) in (2, 3, 4)]
            names = [each[0] for each in maps if each]
        return list(dict.fromkeys(reversed(names)))[:SHOWN]

    def name(self, value: Any, weights: int) -> str | None:
        """What to call the tensor that the head reads, whose matrix has so many numbers."""
        while True:
            names = _names(value)
            if names:
                return names[0]
            if value.get_node().get_type_name() not in _SAME:
                break
            value = value.get_node().input_value(0)
        if self.kind != "tflite":
            return None
        heads = [node for node, _ in self._decoded() if weights in _constants(node)]
        sources = heads[-1].input_values() if heads else []
        return next((min(v.get_names()) for v in sources if v.get_names()), None)

    def _decoded(self) -> Iterator[tuple[Any, list[str]]]:
        """The operations of the file as they are, with the names of what they answer."""
        for node in self.reader.decode(self.reader.load(str(self.path))).get_ordered_ops():
            if node.get_type_name() not in ("Constant", "Parameter", "Result"):
                names = sorted(name for value in node.outputs() for name in value.get_names())
                if names:
                    yield node, names


def read(path: Path, kind: str) -> Opened:
    """Read a graph.

    Raises WeightsError where the file is damaged or something else, and HeadstartError where
    operations are not known, naming them.
    """
    try:
        if kind == "ir":
            return Opened(path, kind, _intermediate(path), None)
        manager = graph.library("openvino.frontend").FrontEndManager()
        reader = manager.load_by_framework(kind)
        model = reader.convert(reader.load(str(path)))
    except ImportError as error:
        raise HeadstartError(f"{error}. Install openvino.") from error
    except HeadstartError:
        raise
    except Exception as error:  # readers raise nearly anything
        raise _refusal(path, kind, error) from None
    if not model.get_results() or not model.get_parameters():
        raise WeightsError(f"{path} is not {_FORMATS[kind]}: it is empty. Copy it again.")
    return Opened(path, kind, model, reader)


def computed(model: Any) -> list[Any]:
    """The operations whose answers depend on the network's inputs, in order."""
    names: set[str] = set()
    operations = []
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        sources = [value.get_node().get_name() for value in node.input_values()]
        if kind == "Parameter" or (kind != "ShapeOf" and names.intersection(sources)):
            names.add(node.get_name())
            operations += [node] if kind not in ("Parameter", "Result") else []
    return operations


def _intermediate(path: Path) -> Any:
    constants = path.with_suffix(".bin")
    text = path.read_bytes()
    if not text.lstrip().startswith(b"<"):
        raise WeightsError(f"{path} is not {_FORMATS['ir']}. Give one that OpenVINO saved.")
    if not constants.is_file():
        raise WeightsError(f"{constants} is not there, which {path} needs. Put it beside.")
    return graph.library().Core().read_model(text, constants.read_bytes())


def _refusal(path: Path, kind: str, error: Exception) -> HeadstartError:
    text = " ".join(str(error).split())
    unknown = re.search(r"No conversion rule found for operations: ([^\n]+)", str(error))
    if unknown:
        whole = "QGemm" in text or "QLinear" in text
        return HeadstartError(
            f"{path} has operations that OpenVINO can't run: {unknown.group(1).strip()}. "
            f"{_QDQ if whole else 'Export the network without them.'}"
        )
    if "outside the base directory" in text:
        outside = re.search(r"Path '([^']*)'", text)
        return WeightsError(
            f"{path} wants weights from {outside.group(1) if outside else 'a file'}, outside of "
            "its folder, so that it was not opened. Put its data beside it."
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    plain = [line for line in lines if not line.startswith(("Check ", "FrontEnd ", "Exception "))]
    why = (plain or lines or [type(error).__name__])[-1][:200].rstrip(".")
    return WeightsError(
        f"{path} can't be read as {_FORMATS[kind]} ({why}). Copy it or save it again."
    )


def _names(value: Any) -> list[str]:
    """A tensor's own names, or that of the only operation that makes it."""
    node = value.get_node()
    names = sorted(value.get_names())
    if not names and len(node.outputs()) == 1:
        names = [node.get_friendly_name()]
    return [name for name in names if not _MADE_UP.fullmatch(name)]


def _constants(node: Any) -> list[int]:
    """How many numbers each matrix has that an operation reads."""
    constants = [v for v in node.input_values() if v.get_node().get_type_name() == "Constant"]
    return [math.prod(v.get_shape()) for v in constants if len(v.get_shape()) > 1]
