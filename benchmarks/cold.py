"""One answer from a cold process: `headstart predict` beside a plain script, in turn.

All open the folder that `fit` wrote, and answer about the same picture or text: a plain script,
`predict` by torch, `predict` as it is, and the same from an environment that holds no more than
headstart-predict needs. What counts is the CPU time of the whole process, imports included, and the
most memory that it held; wall clocks say little on a busy machine.
"""

from __future__ import annotations

import csv
import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import spent
from benchmarks.registry import ROOT

EACH: Final = 12  # photos or texts of a class, to fit a head on
PAIRS: Final = 3
PLAIN: Final = ROOT / "benchmarks" / "plain_predict.py"
SCRIPT: Final = "plain script"


@dataclass(frozen=True)
class Cold:
    """A folder of photos by class, a CSV of texts, weights for both, and a folder to work in.

    `answering` is the interpreter of the environment that holds what headstart-predict needs.
    """

    photos: Path
    texts: Path
    weights: Path
    encoder: str
    work: Path
    answering: Path

    def rows(self, pairs: int = PAIRS) -> list[dict[str, Any]]:
        """A row for pictures and one for texts: medians."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        picture = sorted(next(iter(sorted(self.photos.iterdir()))).iterdir())[-1]
        reference = f"timm:mobilenetv2_100@{self.weights}"
        return [
            self._row("picture", self._few_photos(), reference, str(picture), pairs),
            self._row("text", self._few_texts(), self.encoder, "a fine film about birds", pairs),
        ]

    def _row(self, kind: str, data: Path, reference: str, what: str, pairs: int) -> dict[str, Any]:
        model = self.work / f"{kind}-model"
        fit = ["fit", str(data), "-b", reference, "-o", str(model), "-s", "feature-extraction"]
        self._spent(["-m", "headstart", *fit, "--no-scratch", "--evidence", "none", "--offline"])
        by_torch = self.work / f"{kind}-by-torch"
        shutil.copytree(model, by_torch, ignore=shutil.ignore_patterns("engine"))
        own = ("-m", "headstart", "predict")
        commands: dict[str, tuple[Sequence[str], Path, str]] = {
            SCRIPT: ((str(PLAIN),), model, sys.executable),
            "headstart, by torch": (own, by_torch, sys.executable),
            "headstart": (own, model, sys.executable),
            "headstart-predict": (own, model, str(self.answering)),
        }
        measurements: dict[str, list[dict[str, float]]] = {who: [] for who in commands}
        for _ in range(pairs):
            for who, (command, folder, interpreter) in commands.items():
                ours = [] if who == SCRIPT else ["--json", "--offline"]
                arguments = [*command, str(folder), what, *ours]
                measurements[who].append(self._spent(arguments, interpreter))
        return {"input": kind} | {who: _median(several) for who, several in measurements.items()}

    def _few_photos(self) -> Path:
        for folder in sorted(self.photos.iterdir()):
            (self.work / "photos" / folder.name).mkdir(parents=True)
            for photo in sorted(folder.iterdir())[:EACH]:
                shutil.copy(photo, self.work / "photos" / folder.name)
        return self.work / "photos"

    def _few_texts(self) -> Path:
        with self.texts.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[: 4 * EACH]
        with (self.work / "texts.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        return self.work / "texts.csv"

    def _spent(
        self, arguments: Sequence[str], interpreter: str = sys.executable
    ) -> dict[str, float]:
        """What a process takes. Raises RuntimeError where it fails."""
        cache = self.work / "cache"
        return spent(arguments, self.work / "log.txt", interpreter, HEADSTART_CACHE=cache)


def _median(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(row[name] for row in rows), 2) for name in rows[0]}


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table; shares are those of the plain script."""
    lines = [
        "| one | who | CPU-seconds | × plain | seconds | × plain | peak MiB | × plain |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        for who in (name for name in row if name != "input"):
            cells = [
                f"{row[who][name]:.{places}f} | {row[who][name] / row[SCRIPT][name]:.2f}"
                for name, places in (("cpu", 2), ("wall", 2), ("MiB", 0))
            ]
            lines.append(f"| {row['input']} | {who} | {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(cold: Cold, pairs: int, out: Path) -> list[dict[str, Any]]:
    """Measure, print the table, and write it as JSON with the machine."""
    from benchmarks.machine import facts

    rows = cold.rows(pairs)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": facts(), "rows": rows}, indent=1) + "\n")
    print(as_markdown(rows))
    return rows
