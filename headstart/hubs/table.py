"""Rows as they are: no network, only columns written as numbers, on which heads are fitted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, final

from torch import nn

from headstart.contracts import Backbone, Card, Hub, Origin
from headstart.contracts.references import Reference
from headstart.errors import UnknownNameError, WeightsError
from headstart.loading.weights import digest, load_with_head, read

_NAME: Final = "columns"
_FILE: Final = "columns.json"
_HEAD: Final = "head"
_LARGEST: Final = 64 * 2**20  # bytes
_UNKNOWN: Final[Mapping[str, Any]] = {"columns": [], "width": 0}  # until rows are there


@final
class Table(Hub):
    """`table:columns`: a row's own columns as its features, fitted to the rows at hand."""

    def cards(self, pattern: str) -> Iterable[Card]:
        """The only one, if its name matches the shell pattern."""
        if fnmatchcase(_NAME, pattern):
            yield Card(f"table:{_NAME}", "table", 0, "rows", None, None, at_hand=True)

    def cards_depend_on(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def load(self, reference: Reference) -> Backbone:
        """The columns without a network; those of a saved model where a folder is named.

        Raises UnknownNameError for another name, and WeightsError for columns that can't be read.
        """
        folder = Path(reference.name)
        if reference.name != _NAME and not (folder / _FILE).is_file():
            raise UnknownNameError("table backbone", reference.name, [_NAME])
        content = None if reference.name == _NAME else _read(folder / _FILE)
        preprocess = _UNKNOWN if content is None else _parsed(folder, content)
        network, head = nn.Identity(), None
        if reference.weights is not None:
            state = read(reference.weights).state
            head = load_with_head(network, state, _HEAD, str(reference.weights))
        return Backbone(
            stages={"columns": network},
            feature_dim=int(preprocess["width"]),
            modality="table",
            preprocess=preprocess,
            origin=Origin(f"table:{_NAME}", None, None, digest({}), pretrained=False),
            architecture=Reference("table", _NAME),
            head=head,
            head_name=_HEAD,
            differentiable=False,
            heads=("gradient-boosting",),
            files={} if content is None else {_FILE: content},
        )


def _read(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise WeightsError(f"{path} is too large for columns. Copy the saved model again.")
    return path.read_bytes()


def _parsed(folder: Path, content: bytes) -> Mapping[str, Any]:
    try:
        preprocess = json.loads(content)
    except (ValueError, RecursionError):
        preprocess = None
    parts = preprocess if isinstance(preprocess, dict) else {}
    if not isinstance(parts.get("columns"), list) or not isinstance(parts.get("width"), int):
        raise WeightsError(f"{folder / _FILE} holds no columns. Copy the saved model again.")
    return parts
