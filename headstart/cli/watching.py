"""What `watch` is given: one table with columns, or all that `predict` takes."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.cli.answers import Answer
from headstart.cli.inputs import arguments
from headstart.errors import HeadstartError
from headstart.pipeline.opening import load
from headstart.pipeline.watching import Columns
from headstart.pipeline.watching import watched as watched_by
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
    named = time is not None or label is not None
    if named and len(given) + len(files) != 1:
        raise HeadstartError(
            "--time and --label name columns of one table, and several inputs were given. "
            "Give one table."
        )
    predictor = load(model)
    table, *_ = (*given, *files)
    inputs = table if named else arguments(given, files, predictor.reader.modality)
    return watched_by(predictor, inputs, Columns(time, label), progress)
