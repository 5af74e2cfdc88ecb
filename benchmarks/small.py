"""A small data set on frozen features, in CPU-seconds of whole processes beside a plain script.

The plain script is timm, torch and scikit-learn; ours also checks the data, judges a baseline with
intervals, and saves a model that a fresh process opens again. Wall clocks say little on a busy
machine, so what counts is what each process and its children computed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import spent
from benchmarks.registry import PEERS

SETTINGS: Final = {
    "unseen": "backbone never seen",
    "seen": "backbone seen before, data new",
    "more": "the same once more, with one photo more",
    "full": "backbone seen before, data new, --evidence full",
}
_OF_DATA: Final = ("features", "checks", "history.jsonl")  # in the cache, what belongs to data
_STARTS: Final = "import numpy, openvino; openvino.Core()"


@dataclass(frozen=True)
class Small:
    """Photos in train/ and val/, the weights to start from, and a folder to work in.

    `more` is a photo that is none of them.
    """

    photos: Path
    more: Path
    weights: Path
    work: Path

    def measured(self) -> Iterator[dict[str, Any]]:
        """A row for each setting and, first of all, for the plain script."""
        shutil.rmtree(self.work, ignore_errors=True)
        data, cache = _laid_out(self.photos, self.work / "photos"), self.work / "cache"
        plain = self._plain(data)
        yield {"setting": "plain script", "who": "timm, torch, scikit-learn", **plain}
        start = self._spent(["-c", _STARTS])
        yield {"setting": "start", "who": "Python, NumPy and OpenVINO", **start}
        for name, about in SETTINGS.items():
            if name == "more":
                first = sorted((data / "train").iterdir())[0]
                shutil.copy(self.more, first / f"one-more{self.more.suffix}")
            elif name != "unseen":
                forget(cache)
            evidence = "full" if name == "full" else "none"
            row = self._ours(data, cache, evidence)
            ratio = round(row["cpu"] / plain["cpu"], 2)
            yield {"setting": about, "who": "headstart", **row, "of plain": ratio}

    def _plain(self, data: Path) -> dict[str, float]:
        script = str(PEERS["sklearn"].path)
        options = ["--data", str(data), "--weights", str(self.weights), "--work", "frozen"]
        row = self._spent([script, *options, "--out", str(self.work / "plain.json")])
        answer = json.loads((self.work / "plain.json").read_text(encoding="utf-8"))
        return {**row, "accuracy": round(answer["accuracy"], 3)}

    def _ours(self, data: Path, cache: Path, evidence: str) -> dict[str, float]:
        out = self.work / "model"
        shutil.rmtree(out, ignore_errors=True)
        command = ["-m", "headstart", "fit", str(data)]
        command += ["-b", f"timm:mobilenetv2_100@{self.weights}", "-o", str(out)]
        command += ["-s", "feature-extraction", "--no-scratch", "--evidence", evidence, "--offline"]
        row = self._spent(command, HEADSTART_CACHE=cache)
        answer = json.loads((out / "evidence.json").read_text(encoding="utf-8"))
        return {**row, "accuracy": round(answer["arms"]["chosen"]["value"], 3)}

    def _spent(self, arguments: Sequence[str], **environment: Path) -> dict[str, float]:
        return spent(arguments, self.work / "log.txt", **environment)


def compare(small: Small, out: Path) -> list[dict[str, Any]]:
    """Measure, print each row as it is there, and write them as JSON with the machine."""
    from benchmarks.machine import written

    return written(small.measured(), as_markdown, out)


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    names = ("setting", "who", "cpu", "of plain", "wall", "MiB", "accuracy")
    lines = [
        "| work | who | CPU-seconds | × plain | wall, s | peak MiB | accuracy |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(f"| {' | '.join(str(row.get(name, '')) for name in names)} |")
    return "\n".join(lines)


def _laid_out(photos: Path, folder: Path) -> Path:
    """The photos as train/ and test/, as both sides read them."""
    for own, other in (("train", "train"), ("val", "test")):
        shutil.copytree(photos / own, folder / other)
    return folder


def forget(cache: Path) -> None:
    """Leave in a cache what belongs to a backbone alone."""
    for name in _OF_DATA:
        path = cache / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
