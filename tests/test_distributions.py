"""The distribution that only answers holds the same package, and what it names is all it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from conftest import write_pictures

import headstart as hs

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "distributions" / "predict"
MOST = 400 * 10**6  # bytes that all of it may take


def described(path: Path) -> dict[str, object]:
    content: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return content


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    (built,) = out.iterdir()
    return built


def needed(names: list[str]) -> dict[str, Distribution]:
    """Distributions by name, and all that they need on this machine."""
    distributions: dict[str, Distribution] = {}
    while names:
        name = re.split(r"[ ;<>=!~\[]", names.pop())[0].lower()
        if name not in distributions:
            distributions[name] = distribution(name)
            names += [
                each
                for each in distributions[name].requires or ()
                if ";" not in each  # an extra's, or another system's
            ]
    return distributions


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """A folder with the wheel and links to what it names, and nothing else."""
    place = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(place)
    for each in needed(list(described(PROJECT / "pyproject.toml")["dependencies"])).values():  # type: ignore[call-overload]
        for top in {file.parts[0] for file in each.files or () if file.parts[0] != ".."}:
            source = Path(str(each.locate_file(top)))
            if source.exists() and not (place / top).exists():
                (place / top).symlink_to(source)
    return place


def run(place: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.path[:] = [{str(place)!r}, *(p for p in sys.path if 'site-packages' not "
        "in p and p)]; from headstart.cli import main; main()"
    )
    command = [sys.executable, "-S", "-P", "-c", code, *map(str, words)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place)}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=place, env=environment
    )


def test_it_is_the_same_package_in_the_same_version(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if name.startswith("headstart/")}
    own = {str(path.relative_to(ROOT)) for path in (ROOT / "headstart").rglob("*.py")}
    assert own <= names
    assert not [name for name in names if name.endswith(".pyc")]
    whole, part = (described(folder / "pyproject.toml") for folder in (ROOT, PROJECT))
    assert whole["version"] == part["version"]
    assert whole["scripts"] == part["scripts"]
    assert whole["requires-python"] == part["requires-python"]


def test_what_it_names_is_small_and_trains_nothing() -> None:
    names = list(described(PROJECT / "pyproject.toml")["dependencies"])  # type: ignore[call-overload]
    every = needed(names)
    assert not {"torch", "timm", "transformers", "scikit-learn", "scipy"} & set(every)
    files = {Path(str(each.locate_file(f))) for each in every.values() for f in each.files or ()}
    assert sum(file.stat().st_size for file in files if file.is_file()) < MOST


def test_it_answers_as_all_of_it_does_and_says_what_it_lacks(
    installed: Path, tmp_path: Path
) -> None:
    write_pictures(tmp_path / "data", {"ants": 14, "bees": 14})
    settings = hs.Settings(scratch=False, evidence="none")
    hs.fit(
        tmp_path / "data",
        "seeded:convnet",
        tmp_path / "model",
        strategy="feature-extraction",
        settings=settings,
    )
    photo = sorted((tmp_path / "data" / "ants").iterdir())[0]
    done = run(installed, "predict", tmp_path / "model", photo, "--json")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)["predictions"]
    (own,) = hs.load(tmp_path / "model").predict([photo])
    assert answer["label"] == own.label
    assert answer["probability"] == pytest.approx(own.probability, abs=1e-3)
    for words in (("fit", tmp_path / "data"), ("evaluate", tmp_path / "model", tmp_path / "data")):
        done = run(installed, *words)
        assert done.returncode == 2
        assert re.search(
            r"needs \w+, which headstart-predict leaves out, as it only answers\. Run: pip "
            r"uninstall headstart-predict, and then pip install headstart",
            done.stderr,
        ), done.stderr
    assert (
        run(installed, "--version").stdout
        == f"headstart {described(PROJECT / 'pyproject.toml')['version']}\n"
    )
