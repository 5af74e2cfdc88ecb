"""Boxes from few pictures: `headstart fit` on raccoons, judged on fifty held-out photos.

Photos are put in the order of their content's hash; the last fifty are held out. Each size is a
folder in COCO's format with splits, so that all fits are judged on the same photos. CPU-seconds are
of the whole process: start, extraction, training, evidence, and the check of the saved model.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from benchmarks.measuring import measure
from benchmarks.registry import ROOT

HELD_OUT: Final = 50
PACED: Final = 3  # epochs that are timed
CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Raccoons:
    """The photos with their XML, a backbone, and a folder to work in."""

    photos: Path
    backbone: str
    work: Path
    scratch: bool = False

    def row(self, size: int) -> dict[str, Any]:
        """What a fit on so many photos reached, and took. Raises RuntimeError where it fails."""
        shutil.rmtree(self.work / str(size), ignore_errors=True)
        data, model = self.data(size), self.work / str(size) / "model"
        fit = ["fit", str(data), "-b", self.backbone, "-o", str(model), "--evidence", "quick"]
        command = [sys.executable, "-m", "headstart", *fit, "--offline"]
        own = {"PYTHONPATH": str(ROOT), "HEADSTART_CACHE": str(self.work / str(size) / "cache")}
        before, log = _children(), self.work / str(size) / "log.txt"
        command += [] if self.scratch else ["--no-scratch"]
        if measure(command, log, ROOT, {**os.environ, **own}).code:
            raise RuntimeError(f"{' '.join(command)} failed; see {log}")
        evidence = json.loads((model / "evidence.json").read_text())
        return {"size": size, "cpu": _children() - before, "evidence": evidence}

    def data(self, size: int) -> Path:
        """A folder of splits: all others for training, cut for validation by the product."""
        files = sorted((self.photos / "images").iterdir(), key=_content)
        folder = self.work / str(size) / "data"
        parts = {"train": files[:-HELD_OUT][:size], "test": files[-HELD_OUT:]}
        for split, own in parts.items():
            (folder / split).mkdir(parents=True)
            images, annotations = [], []
            for number, file in enumerate(own):
                shutil.copy(file, folder / split)
                images.append({"id": number, "file_name": file.name})
                xml = ElementTree.parse(self.photos / "annotations" / f"{file.stem}.xml")
                for box in xml.iter("bndbox"):
                    left, top, right, bottom = (float(box.findtext(n) or 0) for n in CORNERS)
                    annotations.append(
                        {"image_id": number, "category_id": 1}
                        | {"bbox": [left, top, right - left, bottom - top]}
                    )
            document = {"images": images, "annotations": annotations}
            document["categories"] = [{"id": 1, "name": "raccoon"}]
            (folder / split / "_annotations.coco.json").write_text(json.dumps(document))
        return folder


@dataclass(frozen=True)
class Pace:
    """CPU-seconds of an epoch of the same last layers, and what comes out of it.

    `ap` is on validation; `equal` says whether the frozen part is bit for bit as it was.
    """

    read: str
    epoch: float
    ap: float
    equal: bool


def paces(raccoons: Raccoons, size: int, epochs: int) -> list[Pace]:
    """The last layers trained alike on stored maps, and through the whole network each epoch.

    The maps are there before; no views are stored, so that both see the same.
    """
    from headstart.contracts.frozen import FrozenModel
    from headstart.defaults import Settings
    from headstart.evidence.arms import new_head, unchanged
    from headstart.pipeline.prepare import RunContext
    from headstart.pipeline.selection.choosing import prepare
    from headstart.runtime.progress import as_progress
    from headstart.training import Splits, seed_everything, train

    shutil.rmtree(raccoons.work / str(size), ignore_errors=True)
    settings = Settings(epochs=epochs, augment="no", precision="fp32", offline=True, scratch=False)
    context = RunContext.of(settings, as_progress(None))
    data = raccoons.data(size)
    transfer = prepare(data, raccoons.backbone, "feature-extraction?head=trained", context)
    experiment, backbone = transfer.experiment, transfer.backbone
    strategy, rows = transfer.strategy.build(), []
    stored = experiment.splits(backbone, strategy, epochs)
    whole = Splits(experiment.raw("train"), experiment.raw("validation"))
    for inputs, splits in (("stored maps", stored), ("whole network", whole)):
        seed_everything(0)
        model = copy.deepcopy(FrozenModel(backbone, new_head(experiment, backbone)).network)
        recipe = experiment.recipe(strategy, inputs, backbone)
        session = experiment.session(inputs, experiment.budget.until(1.0))
        before = time.process_time()
        training = train(model, experiment.task, strategy, splits, recipe, session)
        seconds = (time.process_time() - before) / max(1, training.epochs)
        frozen = unchanged(model, backbone, len(backbone.stages))
        rows.append(Pace(inputs, seconds, training.history[-1]["score"], frozen))
    return rows


def compare_paces(raccoons: Raccoons, size: int, epochs: int = PACED) -> None:
    """Print how long an epoch takes either way."""
    rows = paces(raccoons, size, epochs)
    print(f"\n| {size} photos, {epochs} epochs | CPU-seconds an epoch | AP | frozen part equal |")
    print("|---|--:|--:|---|")
    for row in rows:
        print(f"| {row.read} | {row.epoch:.2f} | {row.ap:.3f} | {'yes' if row.equal else 'no'} |")
    print(f"\n{rows[1].epoch / rows[0].epoch:.1f} times as fast on stored maps.")


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """An arm a line, with its interval, AP50 of the model, and CPU-seconds."""
    lines = [
        "| photos | arm | AP | 95 % interval | AP50 | CPU-seconds |",
        "|--:|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        others = {each["metric"]: each["value"] for each in row["evidence"].get("metrics") or []}
        for name, arm in row["evidence"]["arms"].items():
            mine = name == "chosen"
            half = f"{others.get('AP50', float('nan')):.3f}" if mine else ""
            shown = row["evidence"]["strategy"] if mine else name
            cpu = f"{row['cpu']:.0f}"
            lines.append(
                f"| {row['size']} | {shown} | {arm['value']:.3f} | {arm['low']:.3f} to "
                f"{arm['high']:.3f} | {half} | {cpu if mine else ''} |"
            )
    return "\n".join(lines)


def compare(raccoons: Raccoons, sizes: Sequence[int]) -> None:
    """Fit on each size, print the table, and write it as JSON with the machine."""
    from benchmarks.machine import facts

    rows = [raccoons.row(size) for size in sizes]
    out = raccoons.work / "detection.json"
    out.write_text(json.dumps({"machine": facts(), "rows": rows}, indent=1) + "\n")
    print(as_markdown(rows))
