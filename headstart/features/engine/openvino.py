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
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from headstart.errors import reason
from headstart.features.engine import facts
from headstart.features.engine.interface import (
    Engine,
    EngineError,
    layout,
    tensors,
)
from headstart.features.store import cache_folder
from headstart.runtime import known

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

HINTS: Final = {"fp32": "f32", "bf16": "bf16"}
STREAMS: Final = 2  # while one waits for its slowest thread, or for a decoder's, the other computes
KEPT: Final = 4 << 30  # bytes of converted networks on disk; beyond it the longest unused go


def available() -> tuple[str, ...]:
    """The precisions it computes in on this CPU. Raises EngineError where it isn't installed."""
    from headstart.features.engine.converting import core

    capabilities = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bf16", "fp32") if "BF16" in capabilities else ("fp32",)


def version() -> str | None:
    """The installed version, None where there is none."""
    from headstart.features.engine.converting import library

    try:
        return str(library().get_version())
    except EngineError:
        return None


@final
class OpenVinoEngine(Engine):
    """Stages converted and compiled for this CPU, for any batch size.

    `sample` is a batch of inputs like those to come; `key` says which stages these are, with which
    weights, so that the converted ones are kept; None keeps nothing. Raises EngineError, saying
    why, for stages that can't be converted.
    """

    def __init__(
        self, stages: nn.Module, sample: Any, precision: str, key: Mapping[str, object] | None
    ) -> None:
        from torch import Tensor

        self.name = f"openvino {precision}"
        self.precision = precision
        try:
            model, self._types = _model(stages, sample, key)
            images = isinstance(sample, Tensor) and sample.dim() == 4
            self._compiled = _compile(model, precision, images)
            self._request = self._compiled.create_infer_request()
        except EngineError:
            raise
        except Exception as error:  # converters and compilers raise nearly anything
            raise EngineError(reason(error)) from error

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
    from torch import Tensor

    if isinstance(inputs, Tensor) and inputs.dim() == 4:
        inputs = inputs.permute(0, 2, 3, 1)
    return [tensor.detach().cpu().contiguous().numpy() for tensor in tensors(inputs)]


def _compile(model: Any, precision: str, images: bool) -> Any:
    from headstart.features.engine.converting import core, library

    if images:  # turning a batch around would cost a tenth of MobileNetV2's time
        openvino = library()
        steps = openvino.preprocess.PrePostProcessor(model)
        steps.input().tensor().set_layout(openvino.Layout("NHWC"))
        steps.input().model().set_layout(openvino.Layout("NCHW"))
        model = steps.build()
    settings = {"INFERENCE_PRECISION_HINT": HINTS[precision], "NUM_STREAMS": STREAMS}
    return core().compile_model(model, "CPU", settings)


def _model(
    stages: nn.Module, sample: Any, key: Mapping[str, object] | None
) -> tuple[Any, dict[str, np.dtype]]:
    """The converted stages, and their types: from disk, or made now and, with a key, kept there."""
    from headstart.features.engine.converting import (
        convert,
        core,
        holds_graphs,
        read_again,
        types_of,
    )

    if key is None or holds_graphs(stages):  # a graph is converted already
        return read_again(convert(stages, sample)), types_of(stages, sample)
    folder = _folder(sample, key)
    path = folder / "model.xml"
    if path.exists():
        try:
            types = facts.types(folder)
            model = core().read_model(path)
            os.utime(folder)
            return model, types
        except Exception:  # damaged: convert anew
            shutil.rmtree(folder, ignore_errors=True)
    model, types = convert(stages, sample), types_of(stages, sample)
    return core().read_model(path) if _keep(model, types, folder) else read_again(model), types


def kept(stages: nn.Module, sample: Any, key: Mapping[str, object] | None) -> str | None:
    """A hash of the converted network as it was kept on disk; None where it wasn't.

    One that has been damaged since is converted anew when it is read.
    """
    from headstart.features.engine.converting import holds_graphs

    return None if key is None or holds_graphs(stages) else facts.digest(_folder(sample, key))


def _folder(sample: Any, key: Mapping[str, object]) -> Path:
    """Where these stages are kept, by all that the converted network depends on.

    The precision is none of that: it is settled when the network is compiled.
    """
    import torch

    made_by = {"openvino": version(), "torch": torch.__version__, **known.versions()}
    stages = {name: value for name, value in key.items() if name != "precision"}
    text = json.dumps([stages, layout(sample), made_by], sort_keys=True, default=str)
    return _kept_in() / blake2b(text.encode(), digest_size=16).hexdigest()


def _kept_in() -> Path:
    return cache_folder() / "engines"


def _keep(model: Any, types: Mapping[str, np.dtype], folder: Path) -> bool:
    """Write the network so that it appears whole or not at all; False where it can't be."""
    from headstart.features.engine.converting import library

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    except OSError:
        return False
    try:
        library().save_model(model, beside / "model.xml", compress_to_fp16=False)
        facts.write(beside, types)
        os.replace(beside, folder)
    except Exception:  # a full disk comes as any kind of error; or another process was first
        shutil.rmtree(beside, ignore_errors=True)
    _make_room(folder)
    return (folder / "model.xml").exists()


def _make_room(newest: Path) -> None:
    sizes: dict[Path, int] = {}
    total = 0
    for folder in newest.parent.iterdir():
        if folder.is_dir():
            sizes[folder] = sum(file.stat().st_size for file in folder.iterdir())
    total = sum(sizes.values())
    for folder in sorted(sizes, key=lambda folder: folder.stat().st_mtime):
        if total <= KEPT or folder == newest:
            break
        shutil.rmtree(folder, ignore_errors=True)
        total -= sizes[folder]
