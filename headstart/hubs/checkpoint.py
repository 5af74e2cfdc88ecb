"""Our own artifacts as a place where pretrained weights come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, final

from headstart.contracts import Card
from headstart.contracts.hub import PointingHub
from headstart.contracts.references import Reference
from headstart.errors import WeightsError
from headstart.loading import architectures, record

_WEIGHTS: Final = "model.safetensors"
_ROWS: Final = "table"  # whose models hold columns of one table, and nothing for another


@final
class Checkpoint(PointingHub):
    """A model that Headstart saved, by its folder: `checkpoint:source/` transfers from it."""

    def cards(self, pattern: str) -> Iterable[Card]:
        """The artifacts in the current folder whose names match the shell pattern."""
        for file in sorted(Path().glob(f"*/{record.FILE}")):
            name = file.parent.name
            if not fnmatchcase(name, pattern):
                continue
            try:
                content = record.read(file.parent)
            except WeightsError:
                continue  # not ours, or of another time; loading it says why
            if content.get("modality") == _ROWS:
                continue
            origin = content.get("origin")
            origin = origin if isinstance(origin, dict) else {}
            here = (file.parent / _WEIGHTS).is_file()
            licence, trained_on = origin.get("licence"), origin.get("trained_on")
            modality = str(content.get("modality", "image"))
            yield Card(f"checkpoint:{name}", modality, None, "", licence, trained_on, here)

    def cards_depend_on(self) -> Sequence[str]:
        """The artifacts in the current folder."""
        return f"./*/{record.FILE}", f"./*/{_WEIGHTS}"

    def resolve(self, reference: Reference) -> Reference:
        """The recorded architecture, with the folder's weights and the user's options.

        Where that architecture is named ".", its files lie in the folder too. Nothing else on this
        machine or on a network is looked for, whatever the record says.

        Raises WeightsError where the folder is missing or holds no artifact.
        """
        folder = Path(reference.name)
        if not folder.is_dir():
            raise WeightsError(f"{folder} is not a folder. Give one that Headstart saved.")
        weights = folder / _WEIGHTS
        architecture = architectures.architecture(
            record.read(folder).get("architecture"), folder / record.FILE
        )
        if not weights.is_file():
            raise WeightsError(f"{folder} has no {_WEIGHTS}. Give a folder that was saved whole.")
        name = str(folder) if architecture.name == architectures.OWN_FILES else architecture.name
        whole = replace(architecture, name=name, weights=str(weights))
        return whole.with_options(**reference.options)
