"""What `predict` answers with: answers in a terminal, in a file, or with what spoke for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart import pipeline
from headstart.cli.answers import Answer
from headstart.cli.inputs import arguments
from headstart.errors import HeadstartError
from headstart.serve.written import SUFFIXES, destination, is_table, write


def predicted(
    model: str,
    given: Sequence[str],
    files: Sequence[str],
    text: Sequence[str],
    image: str | None,
    explain: bool,
    out: str | None,
) -> tuple[Answer, int]:
    """The answer to a command, and how many inputs have none.

    Raises HeadstartError where there is no input, or none that can be read, and for a place that
    can't be written to.
    """
    if not given and not files:
        raise HeadstartError("No input was given to predict on. Name files, folders or texts.")
    if out is not None and is_table(out) == explain:
        raise HeadstartError(_wrong(out, explain))
    place = None if out is None or explain else destination(Path(out))
    predictor = pipeline.load(model)
    inputs = arguments(given, files, predictor.reader.modality)
    if explain:
        from headstart.cli.explaining import explained

        found = explained(predictor, predictor.inputs(inputs, text=text, image=image), out)
        return found, len(found.predictions.failed)
    if place is not None:
        written = write(place, predictor.stream(inputs, text=text, image=image))
        return written, written.failures
    predictions = predictor.predict(inputs, text=text, image=image)
    return predictions, len(predictions.failed)


def _wrong(out: str, explain: bool) -> str:
    if explain:
        return f"{out} would be a table, and --explain draws heat maps. Name a folder for --out."
    return (
        f"{out} is of no kind that answers are written in. Name a file that ends in "
        f"{', '.join(SUFFIXES)}; a folder is for the heat maps of --explain."
    )
