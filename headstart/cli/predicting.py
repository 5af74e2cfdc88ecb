"""What `predict` answers with: answers in a terminal, in a file, or with what spoke for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from headstart import pipeline
from headstart.cli.answers import Answer
from headstart.cli.inputs import arguments
from headstart.errors import HeadstartError
from headstart.runtime.progress import Progress
from headstart.serve import Predictor
from headstart.serve.written import SUFFIXES, destination, is_table, write

_WORTH_A_LINE = 50  # answers


class Columns(TypedDict):
    """The columns of a table that hold the content."""

    text: Sequence[str]
    image: str | None


@dataclass(frozen=True)
class Asked:
    """How inputs are read and answered: their columns, whether to say why, whether to abstain."""

    text: tuple[str, ...] = ()
    image: str | None = None
    explain: bool = False
    abstain: bool = False


def predicted(
    model: str,
    given: Sequence[str],
    files: Sequence[str],
    how: Asked,
    out: str | None,
    progress: Progress,
) -> tuple[Answer, int]:
    """The answer to a command, and how many inputs have none.

    Raises HeadstartError where there is no input, or none that can be read, and for a place that
    can't be written to.
    """
    if not given and not files:
        raise HeadstartError("No input was given to predict on. Name files, folders or texts.")
    if how.explain and how.abstain:
        raise HeadstartError(
            "--explain says why an answer was given, and --abstain may give none. "
            "Leave one of them out."
        )
    if out is not None and is_table(out) == how.explain:
        raise HeadstartError(_wrong(out, how.explain))
    place = None if out is None or how.explain else destination(Path(out))
    predictor = pipeline.load(model)
    inputs = arguments(given, files, predictor.reader.modality)
    columns: Columns = {"text": how.text, "image": how.image}
    if how.explain:
        from headstart.cli.explaining import explained

        found = explained(predictor, predictor.inputs(inputs, **columns), out)
        return found, len(found.predictions.failed)
    if place is not None:
        written = write(place, predictor.stream(inputs, **columns, abstain=how.abstain))
        _notice(predictor, progress)
        return written, written.failures
    predictions = predictor.predict(inputs, **columns, abstain=how.abstain)
    _notice(predictor, progress)
    return predictions, len(predictions.failed)


def _notice(predictor: Predictor, progress: Progress) -> None:
    if len(predictor.recent) < _WORTH_A_LINE:  # before what it takes is imported
        return
    from headstart.serve.noticing import noticed

    line = noticed(predictor)
    if line:
        progress.warn(f"{line} More: headstart shift MODEL DATA.")


def _wrong(out: str, explain: bool) -> str:
    if explain:
        return f"{out} would be a table, and --explain draws heat maps. Name a folder for --out."
    return (
        f"{out} is of no kind that answers are written in. Name a file that ends in "
        f"{', '.join(SUFFIXES)}; a folder is for the heat maps of --explain."
    )
