"""A kind of input that another package brings: no stage of the flow knows of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
CURVES = '''
"""Curves: a text file with a number on each line."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from headstart.contracts import Backbone, Card, Check, Hub, Modality, Origin
from headstart.contracts.references import Reference
from headstart.errors import DataError, UnknownNameError
from headstart.loading.weights import digest, load_with_head, read
from headstart.tasks.classification import Classification

POINTS = 32


def numbers(raw):
    try:
        values = np.array([float(line) for line in raw.decode("ascii").split()], np.float32)
    except ValueError as error:
        raise DataError("it holds a line that is no number") from error
    if not len(values):
        raise DataError("it holds no numbers")
    return values


class Curve(Modality):
    suffixes = frozenset({".curve"})
    columns = ("curve",)

    def check(self, raw):
        try:
            numbers(raw)
        except DataError as error:
            return Check(problem=str(error))
        return Check()

    def decode(self, raw, preprocess, rng=None):
        values = numbers(raw)
        places = np.linspace(0, len(values) - 1, preprocess["points"])
        return np.interp(places, np.arange(len(values)), values).astype(np.float32)

    def collate(self, items, preprocess):
        return torch.from_numpy(np.stack(items))

    def statistics(self, raw):
        values = numbers(raw)
        return {"moments": np.array([values.mean(), values.std()], np.float32)}


class Curves(Hub):
    def cards(self, pattern):
        return [Card("curves:plain", "curve", None, "32 points", None, None, True)]

    def load(self, reference):
        if reference.name != "plain":
            raise UnknownNameError("network of curves", reference.name, ["plain"])
        pretrained = reference.option("pretrained", True)
        with torch.random.fork_rng(devices=(), enabled=pretrained):
            if pretrained:
                torch.manual_seed(7)
            stages = {
                "first": nn.Sequential(nn.Linear(POINTS, 24), nn.ReLU()),
                "second": nn.Sequential(nn.Linear(24, 16), nn.ReLU()),
            }
        whole = nn.ModuleDict(stages)
        head = None
        if reference.weights:
            state = read(reference.weights).state
            head = load_with_head(Named(stages), state, "head", reference.weights)
        return Backbone(
            stages={name: Prefixed(name, stage) for name, stage in stages.items()},
            feature_dim=16,
            modality="curve",
            preprocess={"points": POINTS},
            origin=Origin(str(reference), "MIT", None, digest(whole.state_dict()), pretrained),
            architecture=Reference("curves", "plain", options={"pretrained": "false"}),
            head=head,
        )


class Prefixed(nn.Module):
    def __init__(self, name, stage):
        super().__init__()
        self.add_module(name, stage)
        self.own = name

    def forward(self, values):
        return self.get_submodule(self.own)(values)


class Named(nn.Module):
    def __init__(self, stages):
        super().__init__()
        for name, stage in stages.items():
            self.add_module(name, stage)
'''
ENTRY_POINTS = """
[headstart.modalities]
curve = curves:Curve
[headstart.hubs]
curves = curves:Curves
[headstart.tasks]
curve-classification = curves:Classification
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip leaves behind of such a package, and data beside it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "curves.py").write_text(CURVES)
    info = folder / "curves-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: curves\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    rng = np.random.default_rng(0)
    for label, slope in (("falling", -1.0), ("rising", 1.0)):
        (folder / "data" / label).mkdir(parents=True)
        for number in range(20):
            count = int(rng.integers(20, 60))
            values = slope * np.linspace(-1, 1, count) + rng.normal(0, 0.3, count)
            text = "\n".join(f"{value:.4f}" for value in values)
            (folder / "data" / label / f"{number:02}.curve").write_text(text)
    return folder


def headstart(site: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "headstart", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_it_is_fitted_ranked_reported_and_predicted_on(site: Path) -> None:
    model, data = site / "model", site / "data"
    fitted = headstart(
        *(site, "fit", data, "-b", "curves:plain", "-s", "feature-extraction", "-o", model),
        *("--seed", "1"),
    )
    assert fitted.returncode == 0, fitted.stderr
    assert "moments" in fitted.stdout + fitted.stderr  # its own cheap baseline
    assert (model / "report.html").is_file()
    (data / "rising" / "broken.curve").write_text("one\ntwo\n")
    answered = headstart(site, "predict", model, data / "rising", "--json")
    rows = json.loads(answered.stdout)["predictions"]
    assert len(rows) == 21
    assert sum(row.get("label") == "rising" for row in rows) >= 17
    assert sum("no number" in str(row.get("error")) for row in rows) == 1
    (data / "rising" / "broken.curve").unlink()
    ranked = headstart(site, "rank", data, "-b", "curves:plain", "-b", "seeded:convnet")
    assert ranked.returncode == 0, ranked.stderr
    assert "is made for images, and the data are curves" in ranked.stdout
    reported = headstart(site, "report", model)
    assert reported.returncode == 0, reported.stderr
