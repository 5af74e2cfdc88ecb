"""ONNX files, for onnxruntime, browsers, R, Julia and whatever else reads them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np

from headstart.errors import reason
from headstart.forms import quantising
from headstart.forms.form import FACTS, FEATURES, Arrays, Form, FormError, Leaving, Run
from headstart.forms.torch import traced

_MOST: Final = 2**31 - 2**20  # bytes that one file of this kind holds


@final
class Onnx(Form):
    """`model.onnx`; weights of more than 2 GB lie in `model.onnx.data`, which it names."""

    file: ClassVar[str] = "model.onnx"
    more: ClassVar[tuple[str, ...]] = ("model.onnx.data",)
    quantises: ClassVar[bool] = True

    def write(self, leaving: Leaving) -> None:
        """Trace the network by torch's exporter. Raises FormError, saying why it can't be."""
        import torch

        whole = leaving.whole
        program, names = traced(whole), whole.answers.names
        size = sum(p.numel() * p.element_size() for p in whole.flat().state_dict().values())
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of its own parts that grow old
                written: Any = torch.onnx.export(
                    program,
                    dynamo=True,
                    input_names=whole.names,
                    output_names=names,
                    verbose=False,
                )
                written.model.metadata_props[FACTS] = leaving.facts
                written.save(leaving.folder / self.file, external_data=size > _MOST)
        except (ModuleNotFoundError, OSError):
            raise
        except Exception as error:  # writers raise nearly anything
            raise FormError(
                f"torch's exporter can't write its network as ONNX ({reason(error)})"
            ) from error

    def quantise(self, folder: Path, batches: Sequence[Arrays], facts: str) -> None:
        """The file with whole numbers. Raises FormError where NNCF can't make such of it."""
        import onnx

        network = onnx.load(folder / self.file)
        network = quantising.quantised(network, batches, _head(network.graph))
        for entry in [each for each in network.metadata_props if each.key == FACTS]:
            network.metadata_props.remove(entry)
        network.metadata_props.add(key=FACTS, value=facts)
        for name in self.more:
            (folder / name).unlink(missing_ok=True)
        onnx.save(network, folder / self.file)

    def opened(self, folder: Path) -> Run:
        """The file as onnxruntime runs it."""
        import onnxruntime

        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(folder / self.file, providers=providers)
        names = [each.name for each in session.get_outputs()]
        takes = {each.name for each in session.get_inputs()}

        def run(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            answers = session.run(names, {n: a for n, a in batch.items() if n in takes})
            return dict(zip(names, answers, strict=True))

        return run


def _head(graph: Any) -> list[str]:
    """The names of the operations that make the answers of the features."""
    maker = {name: node for node in graph.node for name in node.output}
    ends = [each.name for each in graph.output if each.name != FEATURES]

    def makers(tensor: str) -> list[str]:
        return list(maker[tensor].input) if tensor in maker else []

    between = quantising.before(ends, {FEATURES}, makers)
    return [maker[tensor].name for tensor in between if tensor in maker]
