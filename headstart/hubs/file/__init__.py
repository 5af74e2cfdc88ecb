"""The user's own network: a function in a Python file, a TorchScript or an exported program."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import final

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.hubs.file import programs, python
from headstart.hubs.file.planning import settle
from headstart.loading import head_removal


@final
class File(Hub):
    """Networks for images in the user's own files.

    `file:networks.py:resnet20@weights.pth?trust=true` calls the function `resnet20` of a Python
    file, and fills the network with weights, without which they stay as the function drew them.
    `file:network.pt` is TorchScript, `file:network.pt2` a program of `torch.export`. All of these
    are code: they are opened only with `trust=true`, or where the environment variable
    HEADSTART_TRUST holds the file's SHA-256, or 1. In what Headstart saved, the variable alone
    counts, since anyone may have written the record. `size`, `channels`, `crop`, `crop_mode`,
    `interpolation`, `mean` and `std` say what the network is fed; `head=false` takes its whole
    output as features, `ema=false` the raw weights of a file that holds averaged ones
    too. With `pretrained=false` weights follow torch's global random state.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """The functions annotated to answer an `nn.Module`, in Python files of this folder."""
        for path in sorted(Path().glob("*.py")):
            for function in _functions(path):
                name = f"{path.name}:{function}"
                if fnmatchcase(name, pattern):
                    yield Card(f"file:{name}", "image", None, "", None, None, True)

    def cards_depend_on(self) -> Sequence[str]:
        """The Python files of this folder."""
        return ("./*.py",)

    def load(self, reference: Reference) -> Backbone:
        """Open the network, fill it, take its head off and find its stages.

        Raises HeadstartError where the file is missing, not trusted, or no network for images, and
        WeightsError for weights that are missing, unsafe, or belong to another network.
        """
        spec = settle(reference)
        opening = python.open_function if spec.function else programs.OPENING[spec.kind]
        return head_removal.backbone(
            head_removal.filled(opening(spec, head_removal.example(spec.preprocess)), reference),
            reference,
            architecture=spec.architecture,
            pretrained=(spec.options.pretrained and not spec.function)
            or reference.weights is not None,
            preprocess=spec.preprocess,
            files={spec.file: spec.content},
        )


def _functions(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []  # loading it says why
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.returns is not None
        and ast.unparse(node.returns).strip("'\"").rpartition(".")[2] == "Module"
        and not node.name.startswith("_")
    ]
