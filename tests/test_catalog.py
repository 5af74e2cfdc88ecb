"""Names to parts: near names for wrong ones, parts from other packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from headstart import catalog
from headstart.errors import HeadstartError, UnknownNameError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("kind", "wrong", "near"),
    [
        ("hubs", "timn", "'timm'"),
        ("modalities", "images", "'image'"),
        ("tasks", "image-clasification", "'image-classification'"),
        ("strategies", "lpft", "'lp-ft'"),
        ("strategies", "qqqq", "full-fine-tuning"),
    ],
)
def test_an_unknown_name_gets_the_near_ones(kind: str, wrong: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=near):
        catalog.part(kind, wrong)


def test_a_strategy_takes_options() -> None:
    assert vars(catalog.strategy("last-stages?count=3"))["count"] == 3
    with pytest.raises(HeadstartError, match="has no option 'cuont'"):
        catalog.strategy("last-stages?cuont=3")


def test_an_unknown_hub_in_a_reference() -> None:
    with pytest.raises(UnknownNameError, match="'timm'"):
        catalog.load_backbone("timn:resnet50")


FILES = {
    "pyproject.toml": """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        [project]
        name = "headstart-mine"
        version = "1"
        [project.entry-points."headstart.strategies"]
        mine = "mine:Mine"
        [project.entry-points."headstart.hubs"]
        elsewhere = "mine:Elsewhere"
        [tool.hatch.build.targets.wheel]
        only-include = ["mine.py"]
    """,
    "mine.py": """
        from headstart.contracts import Hub, Strategy
        from headstart.contracts.references import parse

        class Mine(Strategy):
            def __init__(self, count=1):
                self.count = count
            def frozen_stages(self, epoch, stages):
                return stages - self.count

        class Elsewhere(Hub):
            def cards(self, pattern):
                return ()
            def load(self, reference):
                raise NotImplementedError
            def resolve(self, reference):
                return parse("seeded:" + reference.name)
    """,
}
USE = """
    from headstart import catalog
    print(catalog.strategy("mine?count=2").frozen_stages(0, 5))
    print(catalog.load_backbone("elsewhere:convnet").origin.reference)
    try:
        catalog.strategy("min")
    except Exception as error:
        print(error)
"""


def test_another_package_adds_parts(tmp_path: Path) -> None:
    package, target = tmp_path / "package", tmp_path / "installed"
    package.mkdir()
    for name, text in FILES.items():
        (package / name).write_text(dedent(text), encoding="utf-8")
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(target)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, *flags, str(package)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", dedent(USE)],
        env={**os.environ, "PYTHONPATH": f"{target}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[:2] == ["3", "elsewhere:convnet"]
    assert "Did you mean 'mine'?" in lines[2]
