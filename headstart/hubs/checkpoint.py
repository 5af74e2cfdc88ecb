"""Our own artifacts as a place where pretrained weights come from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts import Backbone, Card, Hub
from headstart.errors import HeadstartError, WeightsError
from headstart.references import Reference, parse

_RECORD: Final = "headstart.json"
_WEIGHTS: Final = "model.safetensors"
_FORMAT: Final = 1
OWN_FILES: Final = "."  # an architecture that is made from files in the artifact itself


@final
class Checkpoint(Hub):
    """A model that Headstart saved, by its folder: `checkpoint:source/` transfers from it."""

    def cards(self, pattern: str) -> Iterable[Card]:
        """The artifacts in the current folder whose names match the shell pattern."""
        for record in sorted(Path().glob(f"*/{_RECORD}")):
            name = record.parent.name
            if not fnmatchcase(name, pattern):
                continue
            try:
                content = _read(record.parent)
            except WeightsError:
                continue  # not ours, or of another time; loading it says why
            origin = content.get("origin")
            said = origin if isinstance(origin, dict) else {}
            here = (record.parent / _WEIGHTS).is_file()
            licence, trained_on = said.get("licence"), said.get("trained_on")
            modality = str(content.get("modality", "image"))
            yield Card(f"checkpoint:{name}", modality, None, "", licence, trained_on, here)

    def cards_depend_on(self) -> Sequence[str]:
        """The artifacts in the current folder."""
        return f"./*/{_RECORD}", f"./*/{_WEIGHTS}"

    def resolve(self, reference: Reference) -> Reference:
        """The recorded architecture, with the folder's weights and the user's options.

        Where that architecture is named ".", its files lie in the folder too.

        Raises WeightsError where the folder is missing or holds no artifact.
        """
        folder = Path(reference.name)
        if not folder.is_dir():
            raise WeightsError(f"{folder} is not a folder. Give one that Headstart saved.")
        weights = folder / _WEIGHTS
        architecture = _architecture(_read(folder), folder)
        if not weights.is_file():
            raise WeightsError(f"{folder} has no {_WEIGHTS}. Give a folder that was saved whole.")
        found = replace(architecture, weights=str(weights))
        if found.name == OWN_FILES:
            found = replace(found, name=str(folder))
        return found.with_options(**reference.options)

    def load(self, reference: Reference) -> Backbone:
        """Refused: what the folder stands for is loaded by the hub it came from."""
        raise HeadstartError(
            f"{reference} stands for another backbone. Resolve it first, as load_backbone does."
        )


def _read(folder: Path) -> dict[str, Any]:
    record = folder / _RECORD
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{folder} holds no {_RECORD}. Give a folder that Headstart saved."
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{record} can't be read ({error}). Give a folder that Headstart saved."
        ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise WeightsError(
            f"{record} is not a record of format {_FORMAT}. Save the model again with this version."
        )
    return content


def _architecture(content: dict[str, Any], folder: Path) -> Reference:
    text = content.get("architecture")
    if not isinstance(text, str):
        raise WeightsError(
            f"{folder / _RECORD} names no architecture. Give a folder that Headstart saved."
        )
    return parse(text)
