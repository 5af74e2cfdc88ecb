"""A network as the graphs that its saved model answers with, without torch.

Converted as it is: nothing is folded before OpenVINO compiles it, so that all constants are the
network's own tensors, and are taken from the file of weights that lies beside the graphs.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import reason
from headstart.features.engine.interface import EngineError
from headstart.loading import arrays, engine_form

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor

    from headstart.contracts.model import Model

_PLACE = re.compile(r'offset="(\d+)" size="(\d+)"')  # of a constant among the bytes


def frozen(
    model: Model, width: int, sample: Any, files: Sequence[arrays.Tensors]
) -> dict[str, bytes]:
    """The files of the form, by name, of a model on the CPU whose weights lie in `files`.

    `sample` is a batch of model inputs, `width` how many features it makes of them. Raises
    EngineError, saying why, for a network that can't be converted.
    """
    import torch

    from headstart.features.engine.converting import converted

    places = {digest: start for digest, start in _places(files)}
    rest = bytearray()
    known = sum(len(each.content) for each in files)

    def placed(content: bytes) -> int:
        digest = sha256(content).digest()
        if digest not in places:
            rest.extend(bytes(-len(rest) % 64))
            places[digest] = known + len(rest)
            rest.extend(content)
        return places[digest]

    body, head = model.body().eval(), torch.nn.Sequential(model.head).eval()
    features = torch.zeros(2, width)
    form = {}
    try:
        for name, part, inputs in (
            (engine_form.BODY, body, sample),
            (engine_form.HEAD, head, features),
        ):
            text, constants = _written(converted(part, inputs, _plain), inputs)

            def moved(match: re.Match[str], constants: bytes = constants) -> str:
                start, size = int(match[1]), int(match[2])
                return f'offset="{placed(constants[start : start + size])}" size="{size}"'

            form[name] = _PLACE.sub(moved, text).encode()
    except EngineError:
        raise
    except Exception as error:  # converters raise nearly anything
        raise EngineError(reason(error)) from error
    return {**form, engine_form.CONSTANTS: bytes(rest)}


def _places(files: Sequence[arrays.Tensors]) -> Iterator[tuple[bytes, int]]:
    """The digest of each tensor's bytes, and where they begin in all files in a row."""
    before = 0
    for each in files:
        for name, stored in each.stored.items():
            yield sha256(each.bytes_of(name).tobytes()).digest(), before + stored.start
        before += len(each.content)


def _plain(traced: Any, examples: tuple[Tensor, ...]) -> Any:
    """A traced network converted operation by operation."""
    from headstart.loading import openvino_graph as graph

    decoder = graph.library("openvino.frontend.pytorch.ts_decoder").TorchScriptPythonDecoder
    frontend = graph.library("openvino.frontend").FrontEndManager().load_by_framework("pytorch")
    network = decoder(traced, example_input=examples, shared_memory=True)  # alive until converted
    return frontend.convert(frontend.load(network))


def _written(model: Any, inputs: Any) -> tuple[str, bytes]:
    """A network as text and the bytes of its constants; pictures come to it channels-last."""
    from torch import Tensor

    from headstart.loading import openvino_graph as graph

    library = graph.library()
    if isinstance(inputs, Tensor) and inputs.dim() == 4:
        steps = library.preprocess.PrePostProcessor(model)
        steps.input().tensor().set_layout(library.Layout("NHWC"))
        steps.input().model().set_layout(library.Layout("NCHW"))
        model = steps.build()
    with tempfile.TemporaryDirectory() as scratch:
        text, constants = Path(scratch) / "model.xml", Path(scratch) / "model.bin"
        library.serialize(model, str(text), str(constants))
        return text.read_text(encoding="utf-8"), constants.read_bytes()
