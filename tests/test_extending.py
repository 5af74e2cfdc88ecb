"""The examples of docs/extending.md, installed as the page says, in processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "extending.md"
# What the program does for one command, for several: what they print, as JSON.
COMMANDS = """if True:
    import contextlib, io, json, sys
    from headstart.cli import main
    texts = []
    for arguments in json.loads(sys.argv[1]):
        sys.argv[1:] = arguments
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                main()
            except SystemExit as ended:
                if ended.code:
                    raise
        texts.append(printed.getvalue())
    print(json.dumps(texts))
"""
# A saved model, and what it answers to pictures: the name of its task, and its values.
VALUES = """if True:
    import json, sys, headstart as hs
    model = hs.load(sys.argv[1])
    values = [each.answer["value"] for each in model.predict(sys.argv[2:])]
    print(json.dumps([type(model.task).__name__, values]))
"""


@dataclass(frozen=True)
class Installed:
    """A folder of packages, and the interpreter that finds them."""

    site: Path

    def python(self, code: str, *arguments: str) -> str:
        """What a fresh process prints. Fails the test where the process fails."""
        return self._run("-c", code, *arguments)

    def headstart(self, *commands: Sequence[str | Path]) -> list[str]:
        """What each of some commands prints, one after the other in one fresh process."""
        output = self._run("-c", COMMANDS, json.dumps([list(map(str, each)) for each in commands]))
        texts: list[str] = json.loads(output)
        return texts

    def _run(self, *arguments: str) -> str:
        path = os.pathsep.join([str(self.site), str(ROOT)])
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def install(site: Path) -> Installed:
    """Write the page's examples into the modules its table of entry points names, and that table.

    A package is installed where a folder on the path has its modules and, in a `.dist-info`, its
    entry points: that is what pip leaves behind.
    """
    text = PAGE.read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (table,) = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    groups = tomllib.loads(table)["project"]["entry-points"]
    package = site / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for _, value in (point for points in groups.values() for point in points.items()):
        module, _, name = value.removeprefix("my_package.").partition(":")
        (example,) = (each for each in examples if f"\nclass {name}(" in each)
        (package / f"{module}.py").write_text(example, encoding="utf-8")
    metadata = site / "my_package-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Installed(site)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The examples, of which the hub offers a backbone that needs no network."""
    site = tmp_path_factory.mktemp("site")
    installed = install(site)
    shelf = site / "my_package" / "shelf.py"
    text = shelf.read_text(encoding="utf-8")
    here = text.replace('"timm:mobilenetv3_small_100"', '"seeded:convnet"')
    assert here != text
    shelf.write_text(here, encoding="utf-8")
    return installed


def counted(folder: Path) -> Path:
    """Pictures with 0 to 5 bright squares, and a table of how many there are."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["image,dots"]
    for number in range(72):
        count = number % 6
        pixels = rng.integers(0, 40, (24, 24), np.uint8)
        for place in rng.permutation(36)[:count]:
            pixels[4 * (place // 6) :, 4 * (place % 6) :][:4, :4] = 250
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{count}")
    (folder / "dots.csv").write_text("\n".join(lines))
    return folder / "dots.csv"


def test_every_example_has_an_entry_point() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = set(re.findall(r"^class (\w+)\(", text, re.M))
    assert shown == set(re.findall(r'= "my_package\.\w+:(\w+)"', text)) != set()


@dataclass(frozen=True)
class Ran:
    """Pictures of dots, their table, and what commands on them printed, by what they show."""

    table: Path
    texts: dict[str, str]
    root: Path


@pytest.fixture(scope="module")
def ran(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All examples at work in one fresh process, which starts but once."""
    root = tmp_path_factory.mktemp("ran")
    table = counted(root / "data")
    numbers = ("--targets", "numbers")
    fit = ("fit", table, "--no-scratch", "--judge", "holdout")
    frozen = (*fit, "-b", "seeded:convnet", "-s", "feature-extraction")
    tuned = (*fit, "-b", "shelf:small", "-s", "norm-tuning?scale=2", "--epochs", "2")
    commands: dict[str, list[str | Path]] = {
        "counts": [*frozen, "--targets", "counts", "--evidence", "none", "-o", root / "counts"],
        "counts again": ["evaluate", root / "counts", table],
        "shelf": ["backbones", "shelf:*"],
        "tuned": [*tuned, *numbers, "--evidence", "none", "-o", root / "tuned"],
        "three": ["predict", root / "tuned", root / "data" / "3.png", "--json"],
        "metric": [*frozen, *numbers, "--metric", "concordance", "-o", root / "metric"],
        "metric again": ["evaluate", root / "metric", table],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        texts = installed.headstart(*commands.values())
    return Ran(table, dict(zip(commands, texts, strict=True)), root)


def test_a_task_and_a_kind_of_target_work_by_name(installed: Installed, ran: Ran) -> None:
    assert "negative absolute error" in ran.texts["counts"]
    assert ran.texts["counts again"].startswith("negative absolute error -")
    files = (str(ran.table.parent / f"{n}.png") for n in range(12))
    kind, values = json.loads(installed.python(VALUES, str(ran.root / "counts"), *files))
    assert kind == "Counting"
    numbers = np.array(values)
    assert (numbers > 0).all()
    assert np.corrcoef(numbers, np.arange(12) % 6)[0, 1] > 0.5


def test_a_strategy_and_a_hub_work_by_name(ran: Ran) -> None:
    assert "shelf:small" in ran.texts["shelf"] and "see seeded:convnet" in ran.texts["shelf"]
    assert "norm-tuning?scale=2" in ran.texts["tuned"]
    assert "3.png" in ran.texts["three"]


def test_a_metric_works_by_name(ran: Ran) -> None:
    metric = ran.texts["metric"]
    assert "chosen and judged by concordance" in metric and "r2 " in metric
    assert ran.texts["metric again"].startswith("concordance 0.")


def test_what_is_offered_is_named_where_a_kind_is_not_known(installed: Installed) -> None:
    code = """if True:
        import headstart as hs
        try:
            hs.fit("nowhere", "seeded:convnet", "x", settings=hs.Settings(targets="count"))
        except hs.HeadstartError as error:
            print(error)
    """
    assert "counting, counts" in installed.python(code)


def test_public_names_outlive_every_import() -> None:
    """A module of a public name's name, such as headstart.strategies, takes no name's place."""
    code = """if True:
        import contextlib, headstart, importlib, pkgutil
        # others take no place but that of a part of one of these
        for module in pkgutil.iter_modules(headstart.__path__, "headstart."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ModuleNotFoundError):  # of an extra that is not here
                    importlib.import_module(module.name)
        import headstart.strategies
        wrong = [name for name in headstart.__all__ if not callable(getattr(headstart, name))]
        print(wrong, "lora" in headstart.strategies())
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] True\n"
    assert {"strategies", "fit"} <= set(headstart.__all__)
