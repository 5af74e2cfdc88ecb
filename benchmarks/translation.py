"""Translators developed on one language pair and carried to another, on strings of an interface.

Each number is of a command of `headstart` as a user gives it. Parents are trained once in the work
folder and found there later; all are judged on the same held-out strings, which no parent has seen.
"""

from __future__ import annotations

import csv
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import measure
from benchmarks.registry import ROOT

LANGUAGES: Final = ("en", "ru", "uk", "ko", "de")
HELD_OUT, CHECKED = 300, 100  # strings for test, and for a parent's validation
PARTS: Final = ("child", "unrelated", "pivot", "states")
DEEP: Final = "seeded:translator?layers=12&decoder=1"  # many layers read, one writes


@dataclass(frozen=True)
class Interface:
    """The strings in several languages, a folder to work in, and minutes for each training."""

    strings: Path
    work: Path
    minutes: float = 20.0
    epochs: int = 12

    def parent(self, source: str, target: str, size: int | None = None) -> Path:
        """A model developed from random weights, on all training pairs unless on so many."""
        place = self.work / (f"{source}-{target}" if size is None else f"{source}-{target}-{size}")
        if not (place / "headstart.json").is_file():
            checked = CHECKED if size is None else size // 10
            data = self._data("parent" if size is None else str(size), size, checked)
            self._run(
                *("pretrain", data, "--source", source, "--target", target),
                *("-b", "seeded:translator", "-o", place, "--learning-rate", "0.002"),
                *("--epochs", self.epochs if size is None else 2 * self.epochs),
                *("--evidence", "none", "--anyway"),
            )
        return place

    def child(self, parent: str | Path, pair: tuple[str, str], size: int) -> dict[str, Any]:
        """What a fit on so many pairs from a parent reached, beside the same from scratch."""
        source, target = pair
        place = self.work / f"{source}-{target}-{size}-from-{Path(str(parent)).name}"
        if not (place / "headstart.json").is_file():
            self._run(
                *("fit", self._data(str(size), size, size // 10)),
                *("--source", source, "--target", target, "-b", parent, "-o", place),
                *("-s", "full-fine-tuning", "--epochs", 3 * self.epochs, "--evidence", "quick"),
            )
        evidence = json.loads((place / "evidence.json").read_text(encoding="utf-8"))
        return {"pair": f"{source}→{target}", "size": size, "parent": Path(str(parent)).name} | {
            "evidence": evidence,
            "place": str(place),
        }

    def pivot(self, first: Path, second: Path, direct: Path) -> dict[str, Any]:
        """ru→ko through English, and direct."""
        log = self.work / "pivot.json"
        options = ["--source", "ru", "--target", "ko", "--direct", direct, "--json"]
        self._run("pivot", first, second, self._data("parent", None, CHECKED), *options, log=log)
        lines = log.read_text(encoding="utf-8").splitlines()
        return dict(json.loads(next(line for line in lines if line.startswith("{"))))

    def states(self, backbone: str, size: int = 300) -> dict[str, float]:
        """CPU-seconds of an epoch of the decoder on stored states, and where the encoder runs.

        Both learn alike, without dropout; `loss` is the last one of either.
        """
        import torch

        from headstart import catalog
        from headstart.contracts import Batch
        from headstart.contracts.model import Model
        from headstart.contracts.sequences import encoded

        rows = sorted(self._rows("train")[:size], key=lambda row: len(row["en"]))
        texts, answers = [row["en"].encode() for row in rows], [row["uk"] for row in rows]
        task = catalog.task("text-translation")
        own = task.backbone(task.prepared(catalog.load_backbone(backbone), texts, answers))
        task, modality = task.for_backbone(own), catalog.modality("text").fitted(own)
        items, answer = [modality.decode(text, own.preprocess) for text in texts], {}
        for name, stored in (("encoder in each epoch", False), ("stored states", True)):
            torch.manual_seed(0)
            model = Model.of(own, task.head(0, ("uk",))).eval().requires_grad_(False)
            model.head.requires_grad_(True)
            batches = []
            for start in range(0, size, 32):
                part = slice(start, start + 32)
                inputs = modality.collate(items[part], own.preprocess)
                batch = Batch(inputs, torch.from_numpy(encoded(answers[part])))
                if stored:
                    batch.inputs, batch.start = model.features(inputs), len(model.stages)
                batches.append(batch)
            seconds, loss = _trained(task, model, batches)
            answer |= {name: round(seconds, 2), f"{name}: loss": round(loss, 5)}
        return answer

    def _data(self, name: str, size: int | None, checked: int) -> Path:
        """A table of the first strings in one order for all, with the same held-out ones."""
        path = self.work / f"{name}.csv"
        rows, held_out = (self._rows(split) for split in ("train", "test"))
        random.Random(0).shuffle(rows)
        rows, held_out = rows[:size], held_out[:HELD_OUT]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow((*LANGUAGES, "split"))
            for number, row in enumerate(rows):
                split = "validation" if number < checked else "train"
                writer.writerow((*(row[name] for name in LANGUAGES), split))
            for row in held_out:
                writer.writerow((*(row[name] for name in LANGUAGES), "test"))
        return path

    def _rows(self, split: str) -> list[dict[str, str]]:
        with (self.strings / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def _run(self, *arguments: object, log: Path | None = None) -> None:
        """A command of ours. Raises RuntimeError where it fails."""
        own = {"PYTHONPATH": str(ROOT), "HEADSTART_CACHE": str(self.work / "cache")}
        command = [sys.executable, "-m", "headstart", *map(str, arguments), "--offline"]
        if "pivot" not in arguments:
            command += ["--budget", f"{60 * self.minutes:.0f}s", "--device", "cpu"]
        log = log or self.work / "log.txt"
        if measure(command, log, ROOT, {**os.environ, **own}).code:
            raise RuntimeError(f"{' '.join(command)} failed; see {log}")


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """An arm a line, with its interval."""
    lines = ["| pair | pairs | parent | arm | chrF | 95 % interval |", "|---|--:|---|---|--:|--:|"]
    for row in rows:
        beside = row["evidence"].get("memory")
        more = {"chosen, with a memory": beside} if beside else {}
        for name, arm in (row["evidence"]["arms"] | more).items():
            shown = row["evidence"]["strategy"] if name == "chosen" else name
            lines.append(
                f"| {row['pair']} | {row['size']} | {row['parent']} | {shown} | "
                f"{100 * arm['value']:.1f} | {100 * arm['low']:.1f} to {100 * arm['high']:.1f} |"
            )
    return "\n".join(lines)


def compare(interface: Interface, sizes: Sequence[int], parts: Sequence[str]) -> None:
    """Do the parts that are asked for, print what came out, and write it as JSON."""
    from benchmarks.machine import facts

    report: dict[str, Any] = {"machine": facts()}
    if "child" in parts:
        parent = interface.parent("en", "ru")
        report["rows"] = [interface.child(parent, ("en", "uk"), size) for size in sizes]
        print(as_markdown(report["rows"]))
    if "unrelated" in parts:
        parent = interface.parent("en", "ko")
        report["unrelated"] = [interface.child(parent, ("en", "uk"), max(sizes))]
        print(as_markdown(report["unrelated"]))
    if "pivot" in parts:
        first, second = interface.parent("ru", "en"), interface.parent("en", "ko")
        direct = interface.parent("ru", "ko", max(sizes))
        report["pivot"] = interface.pivot(first, second, direct)
        print(json.dumps(report["pivot"], indent=1))
    if "states" in parts:
        networks = {"2 + 2 layers": "seeded:translator", "12 + 1 layers": DEEP}
        report["states"] = {name: interface.states(own) for name, own in networks.items()}
        print(json.dumps(report["states"], indent=1))
    out = interface.work / "translation.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _trained(task: Any, model: Any, batches: Sequence[Any]) -> tuple[float, float]:
    """CPU-seconds of the quickest of three epochs, and the last loss."""
    import torch

    optimizer, loss = torch.optim.AdamW(model.head.parameters(), lr=1e-3), 0.0
    seconds = []
    for _ in range(3):
        began = time.process_time()
        for batch in batches:
            optimizer.zero_grad()
            step = task.step(model, batch)
            torch.autograd.backward(step.loss)
            optimizer.step()
            loss = step.loss.item()
        seconds.append(time.process_time() - began)
    return min(seconds), loss
