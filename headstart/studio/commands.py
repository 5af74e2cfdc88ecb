"""What the page runs of Headstart, a command at a time, and the models that came of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, Final, final

from headstart import artifact, report
from headstart.errors import HeadstartError
from headstart.studio.jobs import Job

_MODELS: Final = "models"
_RECORD: Final = "headstart.json"
FORMS: Final = ("onnx", "openvino", "torch", "sklearn")
_CLASSES: Final = ("--targets", "classes")


@final
class Commands:
    """One at a time over the table of a session; `can_export` where there is such a command."""

    def __init__(self, table: Path, can_export: bool, changed: Callable[[], None]) -> None:
        self.table = Path(os.path.abspath(table))
        self.folder = self.table.parent / _MODELS
        self.can_export = can_export
        self.job: Job | None = None
        self._changed = changed
        self._models: list[dict[str, Any]] | None = None

    def fit_words(self, source: str, budget: str) -> list[str]:
        """The words behind `headstart` that make the next model."""
        words = ["fit", str(self.table), "-b", source, "-o", str(self.folder / self._next())]
        return [*words, *_CLASSES, *([f"--budget={budget}"] if budget else [])]

    def shell(self, source: str) -> str:
        """The line of a shell that makes the next model as the page does."""
        return shlex.join(["headstart", *self.fit_words(source, "")])

    def rank_words(self, references: Sequence[str]) -> list[str]:
        """Those that rank the sources, all at hand where none is named."""
        return [
            "rank",
            str(self.table),
            *_CLASSES,
            *(w for name in references for w in ("-b", name)),
        ]

    def export_words(self, number: str, form: str) -> list[str]:
        """Those that export a model. Raises HeadstartError for what can't be."""
        if not self.can_export or form not in FORMS:
            raise HeadstartError(f"A model can't be exported to {form[:20]!r} here.")
        name, exported = f"{number}-{form}", self.folder.with_name("exported")
        names = chain([name], (f"{name}-{n}" for n in count(2)))
        place = next(exported / each for each in names if not (exported / each).exists())
        return ["export", str(self.model(number)), "--to", form, "-o", str(place)]

    def run(
        self,
        words: Sequence[str],
        done: Callable[[Job], None] = lambda job: None,
        budget: float | None = None,
    ) -> None:
        """Start a command; `done` is called when it is over. Raises HeadstartError beside another.

        A model that it makes lies below the session's folder.
        """
        if self.job is not None and self.job.running:
            raise HeadstartError(
                f"`headstart {self.job.name}` still runs. Wait for it, or stop it."
            )
        self.folder.mkdir(exist_ok=True)

        def changed() -> None:
            self._models = None  # the first model is there before the end
            if not job.running:
                done(job)
            self._changed()

        job = Job(words[0], words, changed, budget)
        self.job = job.start()
        self._changed()

    def close(self) -> None:
        """End what runs."""
        if self.job is not None:
            self.job.close()

    def model(self, number: str) -> Path:
        """The folder of a model that was made here. Raises HeadstartError for none."""
        folder = self.folder / number
        if not number.isdecimal() or not (folder / _RECORD).is_file():
            raise HeadstartError("That model is not here. Fit one.")
        return folder

    def models(self) -> list[dict[str, Any]]:
        """Those there are, the latest first, each with what its evidence says in a line."""
        if self._models is None:
            numbers = sorted(filter(str.isdecimal, self._names()), key=int, reverse=True)
            there = [each for each in numbers if (self.folder / each / _RECORD).is_file()]
            self._models = [self._shown(each) for each in there]
        return self._models

    def _shown(self, number: str) -> dict[str, Any]:
        folder = self.folder / number
        try:
            headline = report.headline(dict(artifact.read_evidence(folder)))
        except (HeadstartError, LookupError, TypeError, ValueError):
            headline = ""
        return {
            "number": number,
            "path": str(folder),
            "headline": headline,
            "report": (folder / "report.html").is_file(),
            "command": shlex.join(["headstart", "predict", str(folder)]),
        }

    def _next(self) -> str:
        """A number that no model has, nor one that was left unfinished."""
        numbers = [int(name) for each in self._names() if (name := each.split(".")[0]).isdecimal()]
        return str(max(numbers, default=0) + 1)

    def _names(self) -> list[str]:
        return os.listdir(self.folder) if self.folder.is_dir() else []
