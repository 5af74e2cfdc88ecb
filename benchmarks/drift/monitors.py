"""NannyML and Evidently before the same streams, in an environment of their own.

Streams are handed over as files of arrays, answers come back as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import environments
from benchmarks.drift.detectors import WINDOW
from benchmarks.drift.streams import Stream
from benchmarks.registry import SCRIPTS
from headstart.evidence.calibration import shares

ENVIRONMENT: Final = "monitors"
SCRIPT: Final = SCRIPTS / "drift_monitors.py"
MONITORS: Final[Mapping[str, str]] = {  # by the name of the row, what the script calls it
    "NannyML, reconstruction error": "reconstruction",
    "NannyML, estimated accuracy": "accuracy",
    "Evidently, features": "features",
    "Evidently, answers": "answers",
}
_AT_ONCE: Final = 10  # streams for one process
_SILENT: Final = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}  # both report their use


def looked_at(streams: Sequence[Stream], name: str) -> Iterator[tuple[Stream, dict[str, Any]]]:
    """What a monitor says of each stream; one that it fails on is left out, and that is said.

    Raises subprocess.CalledProcessError where the monitor itself can't be run.
    """
    for start in range(0, len(streams), _AT_ONCE):
        part = streams[start : start + _AT_ONCE]
        with tempfile.TemporaryDirectory() as folder:
            for number, stream in enumerate(part):
                hand_over(stream, Path(folder) / f"{number}.npz")
            out = Path(folder) / "answers.json"
            python = environments.python(ENVIRONMENT)
            command = [python, SCRIPT, MONITORS[name], WINDOW, folder, out]
            subprocess.run(
                [str(word) for word in command],
                check=True,
                stdout=subprocess.DEVNULL,
                env=os.environ | _SILENT,
            )
            answers = json.loads(out.read_text(encoding="utf-8"))
        for number, stream in enumerate(part):
            answer = answers[str(number)]
            if "error" in answer:
                print(f"{name}, {dict(stream.about)}: {answer['error']}", file=sys.stderr)
            else:
                yield stream, outcome(stream, answer)


def hand_over(stream: Stream, place: Path) -> None:
    """Write features (N, D) and probabilities (N, labels) of the reference and of the stream.

    Of the reference the class numbers (N,) too: all that the saved model keeps.
    """
    model = stream.model
    np.savez(
        place,
        reference_features=model.reference.features.astype(np.float32),
        reference_chances=shares(model.reference.outputs),
        reference_targets=model.reference.targets,
        stream_features=stream.rows,
        stream_chances=model.probabilities(stream.rows),
    )


def outcome(stream: Stream, answer: Mapping[str, Any]) -> dict[str, Any]:
    """When the first alarm comes after the drift, or whether before, and its range if it has one.

    An answer has `alarms`, one a window, and may have `ranges` of the accuracy beside them.
    """
    row: dict[str, Any] = {"delay": None, "early": False, "inside": None}
    if True not in answer["alarms"]:
        return row
    first = answer["alarms"].index(True)
    after = (first + 1) * WINDOW
    if after <= stream.begins:
        return row | {"early": True}
    row["delay"] = after - stream.begins
    right = stream.accuracy(after - WINDOW, after)
    if "ranges" in answer and right is not None:
        low, high = answer["ranges"][first]
        row["inside"] = bool(low <= right <= high)
    return row
