"""One answer from a cold process: `headstart predict` beside a plain script, in pairs.

Both open the folder that `fit` wrote, and answer about the same picture or text. What counts is the
CPU time of the whole process, imports included, and the most memory that it held; wall clocks say
little on a busy machine.
"""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import spent
from benchmarks.registry import ROOT

EACH: Final = 12  # photos or texts of a class, to fit a head on
PAIRS: Final = 3
PLAIN: Final = ROOT / "benchmarks" / "plain_predict.py"


@dataclass(frozen=True)
class Cold:
    """A folder of photos by class, a CSV of texts, weights for both, and a folder to work in."""

    photos: Path
    texts: Path
    weights: Path
    encoder: str
    work: Path

    def rows(self, pairs: int = PAIRS) -> list[dict[str, Any]]:
        """A row for pictures and one for texts: medians, and our share of the plain script's."""
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
        ours, plain = [], []
        for _ in range(pairs):
            arguments = [str(model), what]
            plain.append(self._spent([str(PLAIN), *arguments]))
            ours.append(
                self._spent(["-m", "headstart", "predict", *arguments, "--json", "--offline"])
            )
        own, theirs = (_median(several) for several in (ours, plain))
        ratio = round(own["cpu"] / theirs["cpu"], 2)
        return {"input": kind, "headstart": own, "plain script": theirs, "ratio": ratio}

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

    def _spent(self, arguments: Sequence[str]) -> dict[str, float]:
        """What a process takes. Raises RuntimeError where it fails."""
        return spent(arguments, self.work / "log.txt", HEADSTART_CACHE=self.work / "cache")


def _median(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(row[name] for row in rows), 2) for name in rows[0]}


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    lines = ["| one | who | CPU-seconds | × plain | peak MiB |", "|---|---|--:|--:|--:|"]
    for row in rows:
        for who, ratio in (("plain script", 1.0), ("headstart", row["ratio"])):
            spent = row[who]
            lines.append(
                f"| {row['input']} | {who} | {spent['cpu']} | {ratio} | {spent['MiB']:.0f} |"
            )
    return "\n".join(lines)


def compare(cold: Cold, pairs: int, out: Path) -> list[dict[str, Any]]:
    """Measure, print the table, and write it as JSON with the machine."""
    from benchmarks.machine import facts

    rows = cold.rows(pairs)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": facts(), "rows": rows}, indent=1) + "\n")
    print(as_markdown(rows))
    return rows
