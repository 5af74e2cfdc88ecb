"""A package of another author: target, metric, task and strategy, by entry points alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_extending import ROOT, Installed

PACKAGE = '''"""Grades from F to A, answered by a head of its own that a critic helps to train."""

import numpy as np
from torch import nn
from torch.nn import functional

from headstart.contracts import Mean, Step, Strategy, Targets, Task

GRADES = list("FEDCBA")


class Grades(Targets):
    name, words = "grades", ("grade", "grades")

    def read(self, row):
        return row.value if row.value in GRADES else None

    def names(self, path, items, columns):
        return tuple(columns)

    def encode(self, labels, names):
        return np.array([[GRADES.index(label)] for label in labels], np.float32)

    def heading(self, names):
        return "with a grade"


class GradesOff(Mean):
    name, kinds, less_is_better, bounds = "grades off", ("grades",), True, (0, 5)

    def each(self, predictions, targets):
        return np.abs(predictions - targets)[:, 0]


class Grading(Task):
    kind, own_metric, has_probe = "grades", "grades:GradesOff", False

    def for_backbone(self, backbone):
        self.width = backbone.feature_dim
        return self

    def head(self, feature_dim, labels):
        return nn.Sequential(nn.LayerNorm(self.width), nn.Linear(self.width, 1))

    def step(self, model, batch):
        features = model.features(batch.inputs, batch.start)
        outputs = model.head(features).float()
        return Step(outputs, functional.mse_loss(outputs, batch.targets), features, batch.targets)

    def naive(self, targets, labels):
        return targets.mean(axis=0)

    def losses(self, outputs, targets):
        return ((outputs - targets) ** 2)[:, 0]

    def decode(self, outputs, labels):
        return [{"grade": GRADES[int(np.clip(np.rint(row[0]), 0, 5))]} for row in outputs]


class Critic(Strategy):
    def frozen_stages(self, epoch, stages):
        return 0

    def on_train_start(self, model):
        self.critic = nn.Linear(model.head[-1].in_features, 1)

    def modules(self):
        return {"critic": self.critic}

    def loss(self, step):
        return step.loss + 0.1 * functional.mse_loss(self.critic(step.features), step.targets)
'''
ENTRY_POINTS = """[headstart.targets]
grades = grades:Grades
[headstart.metrics]
grades-off = grades:GradesOff
[headstart.tasks]
image-grading = grades:Grading
[headstart.strategies]
critic = grades:Critic
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The package as pip leaves it behind: a module, and entry points in a `.dist-info`."""
    site = tmp_path_factory.mktemp("site")
    (site / "grades.py").write_text(PACKAGE, encoding="utf-8")
    information = site / "grades-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: grades\nVersion: 1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    return Installed(site)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that are the brighter the better their grade."""
    folder = tmp_path_factory.mktemp("marked")
    rng = np.random.default_rng(0)
    lines = ["image,mark"]
    for number in range(60):
        grade = number % 6
        pixels = rng.integers(40 * grade, 40 * grade + 40, (16, 16), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'FEDCBA'[grade]}")
    (folder / "marks.csv").write_text("\n".join(lines))
    return folder / "marks.csv"


@pytest.mark.slow
def test_its_parts_go_the_whole_way(package: Installed, table: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    fit = ("fit", table, "-b", "seeded:convnet", "-s", "critic", "--targets", "grades")
    rates = ("--epochs", "12", "--learning-rate", "0.01", "--no-scratch", "--metric", "grades-off")
    fitted, scored = package.headstart([*fit, *rates, "-o", model], ["evaluate", model, table])
    assert "grades off" in fitted
    assert scored.startswith("grades off ")
    evidence = json.loads((model / "evidence.json").read_text())
    assert evidence["data"]["kind"] == "grades"
    assert "features" not in evidence["arms"] and "labels" not in evidence
    chosen, naive = (evidence["arms"][name]["value"] for name in ("chosen", "naive"))
    assert evidence["strategy"] == "critic" and chosen < naive - 0.5
    code = (
        "import sys, headstart as hs; m = hs.load(sys.argv[1]); print(m.task.width,"
        "type(m.model.head).__name__, *(p.answer['grade'] for p in m.predict(sys.argv[2:])))"
    )
    files = [str(table.parent / f"{number}.png") for number in range(12)]
    width, head, *grades = package.python(code, str(model), *files).split()
    assert int(width) > 0 and head == "Sequential"
    off = [abs("FEDCBA".index(grade) - place % 6) for place, grade in enumerate(grades)]
    assert np.mean(off) < 1


@pytest.mark.slow
def test_frozen_features_alone_are_refused_where_a_task_has_no_probe(
    package: Installed, table: Path, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(package.site), str(ROOT)])
    fit = ("fit", str(table), "-b", "seeded:convnet", "-s", "feature-extraction")
    ended = subprocess.run(
        [sys.executable, "-m", "headstart", *fit, "--targets", "grades", "-o", f"{tmp_path}/model"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0 and "Traceback" not in ended.stderr
    text = " ".join(ended.stderr.split())
    assert "feature-extraction begins with a probe on frozen features, and Grading has none" in text
    assert not (tmp_path / "model").exists()
