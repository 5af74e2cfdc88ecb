"""OpenVINO as an engine: the fastest on most CPUs.

Converting a network from torch takes seconds, reading a converted one and compiling it for this
CPU a few hundredths; so converted networks are kept on disk, and compiled ones are not.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from headstart.errors import reason
from headstart.features.engine import facts
from headstart.features.engine.graphs import Written, written
from headstart.features.engine.interface import (
    Engine,
    EngineError,
    as_tensors,
    core,
    is_pictures,
    layout,
    library,
    tensors,
)
from headstart.features.store import cache_folder
from headstart.loading import openvino_runtime
from headstart.runtime import known

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

Types = Mapping[str, np.dtype]
HINTS: Final = {"fp32": "f32", "bf16": "bf16"}
_FEATURES: Final[Types] = {"": np.dtype(np.float32)}
STREAMS: Final = 2  # while one waits for its slowest thread, or for a decoder's, the other computes
KEPT: Final = 4 << 30  # bytes of converted networks on disk; beyond it the longest unused go


def available() -> tuple[str, ...]:
    """The precisions it computes in on this CPU. Raises EngineError where it isn't installed."""
    capabilities = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bf16", "fp32") if "BF16" in capabilities else ("fp32",)


def version() -> str | None:
    """The installed version, None where there is none."""
    try:
        return str(library().get_version())
    except EngineError:
        return None


@final
class OpenVinoEngine(Engine):
    """Stages converted and compiled for this CPU, for any batch size.

    `sample` is a batch of inputs like those to come; `key` says which stages these are, with which
    weights, so that the converted ones are kept; None keeps nothing. Raises EngineError, saying
    why, for stages that can't be converted, or where there are none and nothing was kept.
    """

    _constants: np.ndarray | None = None  # what a form's network goes on reading
    _model: Any = None

    def __init__(
        self,
        stages: nn.Module | None,
        sample: Any,
        precision: str,
        key: Mapping[str, object] | None,
    ) -> None:
        self.name = f"openvino {precision}"
        self.precision = precision
        try:
            model, self._types = _model(stages, sample, key)
            self._model = _taking(model, is_pictures(sample))
            self._compiled = compiled(self._model, precision)
            self._request = self._compiled.create_infer_request()
        except EngineError:
            raise
        except Exception as error:  # converters and compilers raise nearly anything
            raise EngineError(reason(error)) from error

    @classmethod
    def of_form(
        cls,
        graph: str,
        constants: np.ndarray,
        precision: str = "fp32",
        types: Types = _FEATURES,
        threads: int = 0,
    ) -> OpenVinoEngine:
        """The same of a saved model's body, whose constants lie in (B,) uint8.

        Raises EngineError where it can't be read or compiled.
        """
        engine = cls.__new__(cls)
        engine.name, engine.precision, engine._types = f"openvino {precision}", precision, types
        engine._constants = constants
        try:
            content = library().Tensor(constants, shared_memory=True)
            engine._model = core().read_model(graph, content)
            engine._compiled = compiled(engine._model, precision, threads)
            engine._request = engine._compiled.create_infer_request()
        except EngineError:
            raise
        except Exception as error:  # readers and compilers raise nearly anything
            raise EngineError(reason(error)) from error
        return engine

    def maker(self) -> Callable[[int], Engine]:
        """The network as a form, so that where it is made neither torch nor the cache is needed."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.xml"
            openvino_runtime.save(self._model, path)
            constants = np.fromfile(path.with_suffix(".bin"), np.uint8)
            graph = path.read_text(encoding="utf-8")
        return partial(_of_form, graph, constants, self.precision, dict(self._types))

    def run(self, inputs: Any) -> Any:
        """One batch of model inputs -> activations (N, …) in float32, or several by name."""
        self._request.infer(_arrays(inputs), share_inputs=True)
        return self._outputs(self._request)

    def stream(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The activations of each batch, in order; as many batches in flight as it has streams."""
        idle = [self._compiled.create_infer_request() for _ in range(STREAMS)]
        busy: deque[tuple[Any, list[np.ndarray]]] = (
            deque()
        )  # inputs are shared: held while in flight
        try:
            for inputs in batches:
                if not idle:
                    idle.append(busy[0][0])
                    yield self._finished(busy)
                request, arrays = idle.pop(), _arrays(inputs)
                request.start_async(arrays, share_inputs=True)
                busy.append((request, arrays))
            while busy:
                yield self._finished(busy)
        finally:
            for request, _ in busy:
                request.wait()

    def _finished(self, busy: deque[tuple[Any, list[np.ndarray]]]) -> Any:
        request, _ = busy[0]
        request.wait()
        busy.popleft()
        return self._outputs(request)

    def _outputs(self, request: Any) -> Any:
        arrays = [
            np.array(request.get_output_tensor(place).data, dtype=kind, order="C")
            for place, kind in enumerate(self._types.values())
        ]
        return dict(zip(self._types, arrays, strict=True)) if "" not in self._types else arrays[0]


def _arrays(inputs: Any) -> list[np.ndarray]:
    """A batch as the compiled network reads it: images channels-last, as they are read."""
    if is_pictures(inputs) and not isinstance(inputs, np.ndarray):
        inputs = inputs.permute(0, 2, 3, 1)
    return [
        np.ascontiguousarray(each if isinstance(each, np.ndarray) else each.detach().cpu().numpy())
        for each in tensors(inputs)
    ]


def _of_form(
    graph: str, constants: np.ndarray, precision: str, types: Types, threads: int
) -> OpenVinoEngine:
    constants = constants if constants.flags.writeable else constants.copy()  # as it wants them
    return OpenVinoEngine.of_form(graph, constants, precision, types, threads)


def _taking(model: Any, images: bool) -> Any:
    """The same network; images come to it channels-last."""
    if not images:
        return model
    openvino = library()  # turning a batch around would cost a tenth of MobileNetV2's time
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    return steps.build()


def compiled(model: Any, precision: str, threads: int = 0) -> Any:
    """A network made ready for this CPU: all its cores, or so many threads."""
    settings = {"INFERENCE_PRECISION_HINT": HINTS[precision], "NUM_STREAMS": STREAMS}
    if threads:
        settings |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": min(STREAMS, threads)}
    return core().compile_model(model, "CPU", settings)


def _model(
    stages: nn.Module | None, sample: Any, key: Mapping[str, object] | None
) -> tuple[Any, Types]:
    """The converted stages, and their types: from disk, or made now and, with a key, kept there."""
    if stages is not None and (key is None or _holds_graphs(stages)):
        return _converted(stages, sample)
    folder = _folder(sample, key or {})
    path = folder / "model.xml"
    if path.exists():
        try:
            types = facts.types(folder)
            model = core().read_model(path)
            os.utime(folder)
            return model, types
        except Exception:  # damaged: convert anew
            shutil.rmtree(folder, ignore_errors=True)
    if stages is None:
        raise EngineError("the network is not kept")
    return _converted(stages, sample, folder)


def _converted(stages: nn.Module, sample: Any, folder: Path | None = None) -> tuple[Any, Types]:
    """The stages converted, and kept in a folder where one is given."""
    from headstart.features.engine import converting

    sample = as_tensors(sample)
    model, types = converting.converted(stages, sample), converting.types_of(stages, sample)
    if folder is not None and _keep(model, types, folder):
        return core().read_model(folder / "model.xml"), types
    return converting.read_again(model), types


def _holds_graphs(stages: nn.Module | None) -> bool:
    """Whether a stage is a graph already, which needs no converting."""
    if stages is None:
        return False
    from headstart.features.engine import converting

    return converting.holds_graphs(stages)


def cached_network(
    stages: nn.Module | None, sample: Any, key: Mapping[str, object] | None
) -> str | None:
    """A hash of the converted network as it was kept on disk; None where it wasn't.

    One that has been damaged since is converted anew when it is read.
    """
    nothing = key is None or _holds_graphs(stages)
    return None if nothing else facts.digest(_folder(sample, key or {}))


def body(sample: Any, key: Mapping[str, object]) -> Written | None:
    """The graph of the converted network, as it was kept on disk; None where it wasn't.

    `sample` and `key` are as for the engine.
    """
    folder = _folder(sample, key)
    try:
        facts.types(folder)
        return written(core().read_model(folder / "model.xml"), is_pictures(sample))
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):  # absent or damaged
        return None


def _folder(sample: Any, key: Mapping[str, object]) -> Path:
    """Where these stages are kept, by all that the converted network depends on.

    The precision is none of that: it is settled when the network is compiled.
    """
    made_by = known.versions()
    stages = {name: value for name, value in key.items() if name != "precision"}
    text = json.dumps([stages, layout(sample), made_by], sort_keys=True, default=str)
    return cache_folder() / "engines" / blake2b(text.encode(), digest_size=16).hexdigest()


def _keep(model: Any, types: Mapping[str, np.dtype], folder: Path) -> bool:
    """Write the network so that it appears whole or not at all; False where it can't be."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    except OSError:
        return False
    try:
        openvino_runtime.save(model, beside / "model.xml")
        facts.write(beside, types)
        os.replace(beside, folder)
    except Exception:  # a full disk comes as any kind of error; or another process was first
        shutil.rmtree(beside, ignore_errors=True)
    known.make_room(folder, KEPT)
    return (folder / "model.xml").exists()
