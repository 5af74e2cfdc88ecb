"""A saved model's network in a form that OpenVINO runs at once, without torch.

Two graphs in OpenVINO's intermediate representation: the network up to the head's input, and the
head. Their constants are the tensors of the saved model themselves, by their place in one row of
bytes: `model.safetensors`, `head.safetensors` where there is one, and what is in neither. So the
weights are there once, and both forms have the same ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, final

import numpy as np

from headstart.errors import WeightsError, reason
from headstart.loading import operations
from headstart.loading.openvino_runtime import EXACT, library

FOLDER: Final = "engine"
BODY, HEAD, CONSTANTS = "body.xml", "head.xml", "constants.bin"
NAMES: Final = frozenset({BODY, HEAD, CONSTANTS})
BELONGS: Final = "belongs"  # what a hash of all that the form was made for stands under
_LARGEST: Final = 64 * 2**20  # bytes of a graph's text
# one item at a time mostly: streams and their threads cost more to start than they save
_SETTINGS: Final = EXACT | {"NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}


class UnusableError(Exception):
    """This form can't be run here; the message is a clause that says why."""


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
            raise WeightsError(
                f"{path} has changed since it was saved. Copy it again, or make the model again."
            )
    return files if files.keys() == NAMES else None


@final
@dataclass(frozen=True)
class EngineForm:
    """The compiled body and head; safe to use from several threads."""

    body: Any
    head: Any
    constants: np.ndarray  # which the networks go on reading
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
            compiled = []
            for name in (BODY, HEAD):
                graph = files[name].decode()
                if operation := operations.foreign(graph):
                    raise ForeignError(f"{name} holds the operation {operation!r}")
                model = core.read_model(graph, content)
                compiled.append(core.compile_model(model, "CPU", _SETTINGS))
        except UnusableError:
            raise
        except Exception as error:  # absent, or its readers and compilers raise nearly anything
            raise UnusableError(reason(error)) from error
        body, head = compiled
        return cls(body, head, constants)

    @property
    def width(self) -> int:
        """How many features there are."""
        return int(self.head.inputs[0].partial_shape[1].get_length())

    def features(self, inputs: Any) -> np.ndarray:
        """One batch of arrays, several in the order of their names -> features (N, D) float32."""
        is_named = isinstance(inputs, Mapping)
        arrays = [inputs[name] for name in sorted(inputs)] if is_named else [inputs]
        return self._run(self.body, arrays)

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """Features (N, D) float32 -> outputs (N, labels) float32."""
        return self._run(self.head, [features])

    def _run(self, network: Any, arrays: list[np.ndarray]) -> np.ndarray:
        with self._lock:
            outputs = network([np.ascontiguousarray(array) for array in arrays])
            return np.array(outputs[0], dtype=np.float32)
