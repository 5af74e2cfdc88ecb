"""The evidence of a saved model, as it was kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.report import as_text
from headstart.report.notebook import Printed
from headstart.report.terminal import terminal_curves


@dataclass(frozen=True, repr=False)
class Reported(Printed):
    """What was measured when a model was made, and the page that shows it."""

    evidence: Mapping[str, Any]
    page: Path

    def to_json(self) -> dict[str, Any]:
        """The evidence, with the page's path as `report`."""
        return {**self.evidence, "report": str(self.page)}

    def __str__(self) -> str:
        parts = (as_text(dict(self.evidence)), terminal_curves(self.evidence))
        return "\n\n".join([*filter(None, parts), f"More in {self.page}"])
