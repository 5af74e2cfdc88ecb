"""What fetching pretrained models answers with: where each lies, its terms, and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstart.report import as_columns
from headstart.report.notebook import Printed


@dataclass(frozen=True)
class Model:
    """One pretrained model on this machine.

    `place` is its file or folder and `bytes` its size on disk, both None where its hub doesn't say;
    `weights_hash` is of its tensors, and `seconds` what finding and loading it took.
    """

    reference: str
    place: str | None
    bytes: int | None
    licence: str | None
    trained_on: str | None
    weights_hash: str
    seconds: float
    bundled: str | None = None  # its folder in the bundle


@dataclass(frozen=True, repr=False)
class Fetched(Printed):
    """The models that are here now, and by reference why others are not."""

    models: Sequence[Model]
    failed: Mapping[str, str]
    bundle: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """{"models": [{"reference", "place", …}], "failed": {reference: reason}, "bundle"}."""
        return {
            "models": [asdict(model) for model in self.models],
            "failed": dict(self.failed),
            "bundle": None if self.bundle is None else str(self.bundle),
        }

    def __str__(self) -> str:
        rows = [
            (
                model.reference,
                "?" if model.bytes is None else f"{max(model.bytes / 1e6, 0.1):.1f} MB",
                model.licence or "?",
                model.weights_hash[:19],
                f"{model.seconds:.1f}",
                model.place or "?",
            )
            for model in self.models
        ]
        titles = ("reference", "on disk", "licence", "hash of its tensors", "seconds", "where")
        lines = [as_columns(titles, rows)] if rows else []
        lines += [f"{reference} failed: {reason}" for reference, reason in self.failed.items()]
        if self.bundle is not None:
            lines.append(f"The bundle is {self.bundle}; its README.md says how to use it.")
        return "\n".join(lines)
