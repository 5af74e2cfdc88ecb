"""What was uploaded of a saved model, and its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.report.notebook import Printed


@dataclass(frozen=True, repr=False)
class Pushed(Printed):
    """A repository on the Hub, the files that it has now, and those of the folder that stayed."""

    repository: str
    address: str
    files: tuple[str, ...]
    stayed: tuple[str, ...]
    public: bool

    def to_json(self) -> dict[str, Any]:
        """The facts as plain values."""
        return {**vars(self), "files": list(self.files), "stayed": list(self.stayed)}

    def __str__(self) -> str:
        visibility = "public" if self.public else "private where it is new"
        lines = [
            f"{len(self.files)} files are at {self.address}, {visibility}: {', '.join(self.files)}."
        ]
        if self.stayed:
            lines.append(f"These stayed here: {', '.join(self.stayed)}.")
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class CardText(Printed):
    """A model's card in Markdown, and the file that it was written to, if any."""

    text: str
    file: Path | None

    def to_json(self) -> dict[str, Any]:
        """{"card", "file"}."""
        return {"card": self.text, "file": str(self.file) if self.file else None}

    def __str__(self) -> str:
        return f"Written to {self.file}" if self.file else self.text
