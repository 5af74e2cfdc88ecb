"""torch.hub (Torch maintainers 2019): networks made by entry points of repositories."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import final

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.hubs.torch_hub import fetching
from headstart.hubs.torch_hub.planning import settle
from headstart.hubs.torch_hub.running import make
from headstart.loading import head_removal


@final
class TorchHub(Hub):
    """Networks for images by the entry points that a repository's hubconf.py defines.

    `torchhub:owner/repo:ref/entry` fetches a repository from GitHub, its default branch where no
    ref is given; `torchhub:./folder/entry` takes one from this machine. Its code runs only with
    `trust=true`, or where HEADSTART_TRUST holds the SHA-256 of its tree or
    HEADSTART_TRUST_REPOSITORIES its name. `size`, `channels`, `crop`, `crop_mode`, `interpolation`,
    `mean` and `std` say what the network is fed; `head=false` takes its whole output as features;
    every other option goes to the entry point, `pretrained` too, which is true where the entry
    point has it. `@file` fills the network with weights.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """The entry points of repositories that were fetched, and of folders here; runs none."""
        files = sorted(Path().glob(f"*/{fetching.ENTRIES}"))
        here = [(f"./{path.parent}", path.parent) for path in files]
        for name, folder in [*fetching.fetched(), *here]:
            for entry in _entries(folder / fetching.ENTRIES):
                if fnmatchcase(f"{name}/{entry}", pattern):
                    yield Card(f"torchhub:{name}/{entry}", "image", None, "", None, None, True)

    def cards_depend_on(self) -> Sequence[str]:
        """What was fetched, and the folders here with entry points."""
        return (
            "$HEADSTART_CACHE",
            f"{fetching.repositories_folder()}/*.json",
            f"./*/{fetching.ENTRIES}",
        )

    def load(self, reference: Reference) -> Backbone:
        """Run the entry point, fill its network, take its head off and find its stages.

        Raises HeadstartError where the repository is missing, not trusted, or makes no network for
        images, and WeightsError for what can't be fetched, and weights of another network.
        """
        spec = settle(reference)
        network, pretrained = make(spec)
        example = head_removal.example(spec.preprocess)
        body = head_removal.take_apart(network, example, spec.what, spec.options.head)
        return head_removal.backbone(
            head_removal.filled(body, reference),
            reference,
            architecture=spec.architecture,
            pretrained=pretrained or reference.weights is not None,
            preprocess=spec.preprocess,
            files={fetching.SAVED: spec.code.packed()},
        )


def _entries(path: Path) -> list[str]:
    """The functions that it defines, and what it imports from its own repository."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []  # loading one says why
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            top = path.parent / node.module.partition(".")[0]
            if top.is_dir() or top.with_suffix(".py").is_file():
                names += [alias.asname or alias.name for alias in node.names]
    return sorted({name for name in names if not name.startswith(("_", "*"))})
