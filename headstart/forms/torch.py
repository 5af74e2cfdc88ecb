"""Exported programs of torch, `.pt2`: opened by `torch.export.load`, without Headstart."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from headstart.errors import reason
from headstart.forms.description import FILE
from headstart.forms.form import BOXES, FACTS, Form, FormError, Leaving, Run

if TYPE_CHECKING:
    from headstart.forms.network import Whole

NAMES = f"{FACTS}.json"  # of what lies in the file beside the network


def traced(whole: Whole) -> Any:
    """The network as an exported program, for any number of items of any length.

    Where in this machine's files each operation comes from is left out. Raises FormError, saying
    why it can't be made.
    """
    import torch
    from torch.export import Dim

    if whole.holds_graphs:
        raise FormError("its backbone is a graph that OpenVINO alone runs")
    example = tuple(torch.from_numpy(whole.sample[name]) for name in whole.names)
    free = () if whole.single else (0, 1) if "mask" in whole.sample else (0,)
    shapes = (tuple(dict.fromkeys(free, Dim.DYNAMIC) for _ in example),)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts of its own that grow old
            program = torch.export.export(whole.flat(), example, dynamic_shapes=shapes)
    except Exception as error:  # tracers raise nearly anything
        raise FormError(f"torch can't export its network ({reason(error)})") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


@final
class ExportedProgram(Form):
    """`model.pt2`, which takes tensors in the order of the inputs' names."""

    file: ClassVar[str] = "model.pt2"

    def write(self, leaving: Leaving) -> None:
        """Trace the network. Raises FormError, saying why it can't be."""
        import torch

        program = traced(leaving.whole)
        content = io.BytesIO()  # as torch's own writer ends the process where a disk is full
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of weights that are stored once for two names
            torch.export.save(program, content, extra_files={NAMES: leaving.facts})
        (leaving.folder / self.file).write_bytes(content.getbuffer())

    def opened(self, folder: Path) -> Run:
        """The program as torch runs it."""
        import torch

        if BOXES in json.loads((folder / FILE).read_text(encoding="utf-8"))["outputs"]:
            import_module("headstart.contracts.suppression")  # whose operation the file names
        extra = {NAMES: ""}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = torch.export.load(folder / self.file, extra_files=extra).module()
        facts = json.loads(extra[NAMES])
        takes, answers = list(facts["inputs"]), list(facts["outputs"])

        def run(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            with torch.inference_mode():
                tensors = network(*(torch.from_numpy(batch[name]) for name in takes))
            return {name: each.numpy() for name, each in zip(answers, tensors, strict=True)}

        return run
