"""Runs as TensorBoard reads them: files beside the model's folder, no server, no connection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import final

from torch.utils.tensorboard import SummaryWriter

from headstart.contracts.tracker import Run, Tracker

_FOLDER = "runs"  # where `tensorboard --logdir` is pointed at


@final
class TensorBoard(Tracker):
    """Scalars and texts in `runs/NAME-TIME`, beside the folder of the model."""

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer
        self.where = f"tensorboard --logdir {writer.log_dir}"

    @classmethod
    def begin(cls, run: Run) -> Tracker:
        """A new file of events, with a table of what was asked for."""
        now = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        folder = run.out.parent / _FOLDER / f"{run.name}-{now}"
        writer = SummaryWriter(str(folder))
        tracker = cls(writer)
        tracker._text("asked", {name: str(value) for name, value in run.arguments.items()})
        return tracker

    def row(self, training: str, step: int, numbers: Mapping[str, float]) -> None:
        """A point on each of the training's curves."""
        for name, value in numbers.items():
            self._writer.add_scalar(f"{training}/{name}", value, step)
        self._writer.flush()

    def result(self, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        """A single point for each number, and a table of the words."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, 0)
        self._text("result", words)

    def end(self, failed: bool) -> None:
        """Close the file; of a run that failed it says so."""
        if failed:
            self._text("result", {"status": "failed"})
        self._writer.close()

    def _text(self, title: str, words: Mapping[str, str]) -> None:
        lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in words.items())]
        self._writer.add_text(title, "\n".join(lines), 0)
