"""What `watch` is given: one table with columns, or all that `predict` takes."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.cli.answers import Answer
from headstart.cli.inputs import arguments
from headstart.errors import HeadstartError
from headstart.pipeline.opening import load
from headstart.pipeline.watching import watch
from headstart.runtime.progress import Progress


def watched(
    model: str,
    given: Sequence[str],
    files: Sequence[str],
    columns: tuple[str | None, str | None],
    progress: Progress,
) -> Answer:
    """The answer to a command. Raises HeadstartError for anything the user can mend."""
    time, label = columns
    if not given and not files:
        raise HeadstartError("No stream was given to watch. Name a folder or a table, or give -.")
    if time is None and label is None:
        inputs = arguments(given, files, load(model).reader.modality)
        return watch(model, inputs, progress=progress)
    if len(given) + len(files) != 1:
        raise HeadstartError(
            "--time and --label name columns of one table, and several inputs were given. "
            "Give one table."
        )
    (table,) = (*given, *files)
    return watch(model, table, time=time, label=label, progress=progress)
