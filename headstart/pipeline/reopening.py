"""What a saved model answers to files, in a process of its own.

`python -m headstart.pipeline.reopening FOLDER FILE...` prints the answers as `headstart predict
--json` does. Flags, help and terminal of the command line would be two fifths of its time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError
from headstart.pipeline.several import opening


def answers(folder: Path, files: Sequence[Path]) -> list[dict[str, Any]]:
    """One for each file, in their order.

    Raises HeadstartError where the model can't be opened or a file can't be answered.
    """
    predictions = opening.load(folder).predict(files)
    if predictions.failed:
        raise predictions.failed[0].unusable()
    content: list[dict[str, Any]] = predictions.to_json()["predictions"]
    return content


def main(folder: str, *files: str) -> None:
    """Print the answers as JSON; end with exit code 1 and a sentence where there are none."""
    try:
        with redirect_stdout(sys.stderr):  # what a library prints must not mix with the answers
            text = json.dumps(answers(Path(folder), [Path(file) for file in files]))
    except HeadstartError as error:
        sys.exit(str(error))
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
