"""What refitting a saved model with new items came to, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.report import refit
from headstart.report.notebook import Printed


@dataclass(frozen=True, repr=False)
class Refitted(Printed):
    """A model after it was shown new items: where it is, where it was, and what changed.

    `record` is what the evidence of the new model says under `refit`.
    """

    folder: Path
    model: Path
    record: Mapping[str, Any]

    @property
    def handed_over(self) -> bool:
        """Whether there is a new model; otherwise the old one is as it was."""
        return bool(self.record["handed_over"])

    @property
    def verdict(self) -> str:
        """`helps`, `no evidence` or `hurts`: of the new items, for both old and new ones."""
        return str(self.record["verdict"])

    def to_json(self) -> dict[str, Any]:
        """{"out", "handed_over", "verdict", "said", "new": {"before", "after", …}, "old", …}."""
        out = str(self.folder if self.handed_over else self.model)
        sentences = [refit.headline(self.record), *refit.sentences(self.record)]
        return {"out": out, **self.record, "said": sentences}

    def __str__(self) -> str:
        lines = [refit.headline(self.record), *refit.sentences(self.record)]
        if self.handed_over:
            return "\n".join([*lines, f"Saved in {self.folder}"])
        return "\n".join([*lines, f"{self.model} stays as it was. With --anyway it would not."])
