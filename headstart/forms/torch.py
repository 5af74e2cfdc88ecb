"""Exported programs of torch, `.pt2`: opened by `torch.export.load`, without Headstart."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from headstart.errors import reason
from headstart.forms.form import FACTS, Form, FormError, Leaving, Run

if TYPE_CHECKING:
    from headstart.forms.network import Whole

NAMES = f"{FACTS}.json"  # of what lies in the file beside the network


def dynamic(whole: Whole) -> tuple[tuple[dict[int, Any], ...]]:
    """Which dimensions of each input are of any size: items, and the length of what has a mask."""
    from torch.export import Dim

    free = (0, 1) if "mask" in whole.sample else (0,)
    return (tuple(dict.fromkeys(free, Dim.DYNAMIC) for _ in whole.names),)


def tensors(whole: Whole) -> tuple[Any, ...]:
    """The example, one tensor for each input in order."""
    import torch

    return tuple(torch.from_numpy(whole.sample[name]) for name in whole.names)


def demand_torch(whole: Whole) -> None:
    """Raise FormError where a part of the network is none of torch's."""
    if whole.holds_graphs:
        raise FormError("its backbone is a graph that OpenVINO runs, so it leaves as openvino only")


@final
class ExportedProgram(Form):
    """`model.pt2`, which takes tensors in the order of the inputs' names."""

    file: ClassVar[str] = "model.pt2"

    def write(self, leaving: Leaving) -> None:
        """Trace the network for any number of items. Raises FormError, saying why it can't be."""
        import torch

        whole = leaving.whole
        demand_torch(whole)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of weights that are stored once for two names
                program = torch.export.export(
                    whole.flat(), tensors(whole), dynamic_shapes=dynamic(whole)
                )
                place = leaving.folder / self.file
                torch.export.save(program, place, extra_files={NAMES: leaving.facts})
        except Exception as error:  # tracers raise nearly anything
            raise FormError(f"torch can't export its network ({reason(error)})") from error

    def opened(self, folder: Path) -> Run:
        """The program as torch runs it."""
        import json

        import torch

        extra = {NAMES: ""}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = torch.export.load(folder / self.file, extra_files=extra).module()
        facts = json.loads(extra[NAMES])
        takes, answers = list(facts["inputs"]), list(facts["outputs"])

        def run(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            with torch.inference_mode():
                found = network(*(torch.from_numpy(batch[name]) for name in takes))
            return {name: each.numpy() for name, each in zip(answers, found, strict=True)}

        return run
