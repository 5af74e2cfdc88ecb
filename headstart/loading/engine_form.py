"""A saved model's network in a form that OpenVINO runs at once, without torch.

Two graphs in OpenVINO's intermediate representation: the network up to the head's input, and the
head. Their constants are the tensors of the saved model themselves, by their place in one row of
bytes: `model.safetensors`, `head.safetensors` where there is one, and what is in neither. So the
weights are there once, and both forms have the same ones.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Final, final

import numpy as np

from headstart.errors import WeightsError, reason
from headstart.loading import operations, record
from headstart.loading.openvino_runtime import EXACT, library

FOLDER: Final = "engine"
BODY, HEAD, CONSTANTS = "body.xml", "head.xml", "constants.bin"
NAMES: Final = frozenset({BODY, HEAD, CONSTANTS})
BELONGS: Final = "belongs"  # what a hash of all that the form was made for stands under
_LINEAR: Final = frozenset({"Parameter", "Constant", "MatMul", "Add", "Result"})
_SHAPING: Final = ("Reshape", "Squeeze")
_LARGEST: Final = 64 * 2**20  # bytes of a graph's text
# one item at a time mostly: streams and their threads cost more to start than they save
_SETTINGS: Final = EXACT | {"NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
_MOST_STREAMS: Final = 4
_PIECE: Final = 4  # items that a stream computes at once: more don't stay in a core's own cache
_STREAMS: ContextVar[int] = ContextVar("streams", default=1)


class UnusableError(Exception):
    """This form can't be run here; the message is a clause that says why."""


@contextmanager
def in_streams() -> Iterator[None]:
    """Compile what is opened while the block lasts for batches, of which each core takes a piece.

    Threads that share one item wait for one another: by themselves they take about a quarter less
    of the processor. A single item is computed by fewer of them.
    """
    before = _STREAMS.set(min(_MOST_STREAMS, os.cpu_count() or 1))
    try:
        yield
    finally:
        _STREAMS.reset(before)


class ForeignError(UnusableError):
    """This form was not written by Headstart: it holds an operation that is never run."""


def hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each file of the form, as the record keeps them."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def belonging(weights: Sequence[np.ndarray], facts: object) -> str:
    """The hash of where each tensor lies in the files of weights, (B,) uint8, and of JSON facts."""
    total = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for content in weights:
        total.update(content[: 8 + int.from_bytes(content[:8].tobytes(), "little")].data)
    return total.hexdigest()


def read(folder: Path, stated: Mapping[str, str]) -> dict[str, bytes] | None:
    """The form's files in a saved model; None where one is missing.

    Raises WeightsError where one has changed, or is none that belongs there.
    """
    files = {}
    for name, digest in stated.items():
        if name == BELONGS:
            continue
        path = folder / FOLDER / name
        if name not in NAMES:
            raise WeightsError(f"{path} is no file of a saved model. Make the model again.")
        if not path.exists():
            return None
        if not path.is_file() or (name != CONSTANTS and path.stat().st_size > _LARGEST):
            raise WeightsError(f"{path} is no graph. Copy it again, or make the model again.")
        files[name] = path.read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise record.changed(path)
    return files if files.keys() == NAMES else None


@final
@dataclass(frozen=True)
class EngineForm:
    """The compiled body and head; safe to use from several threads."""

    body: Any
    head: Any
    constants: np.ndarray  # which the networks go on reading
    graphs: tuple[Any, Any]  # the body and the head as they were read
    streams: int = 1  # pieces of a batch that the body computes at once
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @classmethod
    def of(cls, files: Mapping[str, bytes], weights: list[np.ndarray]) -> EngineForm:
        """Compile the graphs, whose constants lie in `weights` (B,) uint8, then in the files.

        The list is emptied, so that they are in memory once. Raises UnusableError where OpenVINO is
        not here, or can't run them, and ForeignError for operations that no saved model has.
        """
        try:
            openvino = library()
            weights.append(np.frombuffer(files[CONSTANTS], np.uint8))
            constants = np.concatenate(weights)
            weights.clear()
            content = openvino.Tensor(constants, shared_memory=True)
            core = openvino.Core()
            compiled, graphs, streams = [], [], _STREAMS.get()
            for name, count in ((BODY, streams), (HEAD, 1)):
                graph = files[name].decode()
                if operation := operations.foreign(graph):
                    raise ForeignError(f"{name} holds the operation {operation!r}")
                model = core.read_model(graph, content)
                settings = _SETTINGS | {"NUM_STREAMS": count}
                compiled.append(core.compile_model(model, "CPU", settings))
                graphs.append(model)
        except UnusableError:
            raise
        except Exception as error:  # absent, or its readers and compilers raise nearly anything
            raise UnusableError(reason(error)) from error
        body, head = compiled
        return cls(body, head, constants, (graphs[0], graphs[1]), streams)

    @property
    def width(self) -> int:
        """How many features there are."""
        return int(self.head.inputs[0].partial_shape[1].get_length())

    def features(self, inputs: Any) -> np.ndarray:
        """One batch of arrays, several in the order of their names -> features (N, D) float32."""
        is_named = isinstance(inputs, Mapping)
        arrays = [inputs[name] for name in sorted(inputs)] if is_named else [inputs]
        arrays = [np.ascontiguousarray(array) for array in arrays]
        with self._lock:
            alone = self.streams == 1 or len(arrays[0]) == 1
            return _run(self.body, arrays) if alone else self._in_pieces(arrays)

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """Features (N, D) float32 -> outputs (N, labels) float32."""
        with self._lock:
            return _run(self.head, [np.ascontiguousarray(features)])

    def slopes(self) -> np.ndarray | None:
        """How each output changes with each feature, (labels, D); None where it isn't linear."""
        kinds = {operation.get_type_name() for operation in self.graphs[1].get_ops()}
        if not kinds <= _LINEAR:
            return None
        answers = self.outputs(np.eye(self.width, dtype=np.float32))
        return np.asarray((answers - self.outputs(np.zeros((1, self.width), np.float32))).T)

    def pooled(self) -> Callable[[Any], np.ndarray] | None:
        """What makes of a batch the maps (N, C, h, w) whose means over all places are the features.

        None where features are made in another way. It is compiled when it is asked for.
        """
        openvino = library()
        source = _pooled(self.graphs[0].outputs[0])
        if source is None or len(self.graphs[0].inputs) != 1:
            return None
        part = openvino.Model([source], [each.get_node() for each in self.graphs[0].inputs])
        network = openvino.Core().compile_model(part, "CPU", _SETTINGS)

        def maps(inputs: Any) -> np.ndarray:
            with self._lock:
                return _run(network, [np.ascontiguousarray(inputs)])

        return maps

    def _in_pieces(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The body on a batch whose pieces run at once."""
        count = len(arrays[0])
        size = min(_PIECE, -(-count // self.streams))
        rows: dict[int, np.ndarray] = {}

        def keep(request: Any, start: int) -> None:
            rows[start] = np.array(request.get_output_tensor(0).data, dtype=np.float32)

        self._queue.set_callback(keep)
        try:
            for start in range(0, count, size):
                piece = [array[start : start + size] for array in arrays]
                self._queue.start_async(dict(enumerate(piece)), start, share_inputs=True)
        finally:  # till then they read the arrays
            self._queue.wait_all()
        return np.concatenate([rows[start] for start in sorted(rows)])

    @cached_property
    def _queue(self) -> Any:
        return library().AsyncInferQueue(self.body, self.streams)


def _run(network: Any, arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.array(network(list(arrays))[0], dtype=np.float32)


def _pooled(answer: Any) -> Any | None:
    """The output of a graph that its answer is the mean of, over height and width; None if none."""
    place = answer.get_node().input_value(0)
    while place.get_node().get_type_name() in _SHAPING:
        place = place.get_node().input_value(0)
    mean = place.get_node()
    if not mean.get_input_size() or mean.input(0).get_partial_shape().rank != 4:
        return None
    if mean.get_type_name() == "AdaptiveAvgPool":
        cells = mean.output(0).get_partial_shape()
        return mean.input_value(0) if cells[2] == 1 and cells[3] == 1 else None
    if mean.get_type_name() != "ReduceMean":
        return None
    axes = mean.input_value(1).get_node()
    is_constant = axes.get_type_name() == "Constant"
    over_places = is_constant and sorted(axis % 4 for axis in axes.data.ravel().tolist()) == [2, 3]
    return mean.input_value(0) if over_places else None
