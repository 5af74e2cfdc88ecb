"""What strangers meet first: one version everywhere, forms that parse, commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def text(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def parsed(path: Path) -> Any:
    """A YAML file's content."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def targets() -> set[str]:
    """What make can do."""
    return set(re.findall(r"^([a-z0-9-]+):.* ## ", text("Makefile"), re.M))


def test_one_version_everywhere() -> None:
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    releases = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", text("CHANGELOG.md"), re.M)
    assert releases[0] == version
    assert releases == sorted(releases, key=lambda v: tuple(map(int, v.split("."))), reverse=True)
    assert parsed(ROOT / "CITATION.cff")["version"] == version


def test_every_release_is_grouped() -> None:
    for release in re.split(r"^## ", text("CHANGELOG.md"), flags=re.M)[1:]:
        groups = re.findall(r"^### (\w+)", release, re.M)
        assert groups and set(groups) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed"}
        assert len(groups) == len(set(groups))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_form_can_be_filled_in(form: Path) -> None:
    content = parsed(form)
    if form.stem == "config":
        assert content == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= content.keys()
    ids = [field.get("id") for field in content["body"] if field["type"] != "markdown"]
    assert ids and None not in ids and len(ids) == len(set(ids))
    assert all("label" in f["attributes"] or f["type"] == "markdown" for f in content["body"])


def test_commands_that_are_named_exist() -> None:
    for name in ("CONTRIBUTING.md", ".github/pull_request_template.md", ".ci/run", "README.md"):
        names = set(re.findall(r"^\s*make ([a-z0-9-]+)", text(name), re.M))
        names |= set(re.findall(r"`make ([a-z0-9-]+)`", text(name)))
        assert names <= targets(), name
    assert "coverage" in targets()
    assert set(re.findall(r"run: make ([a-z-]+)", text(".github/workflows/tests.yml"))) <= targets()
    assert set(re.findall(r"\.PHONY: (.*)", text("Makefile"))[0].split()) == targets()


def test_hooks_call_what_the_checks_call() -> None:
    (repository,) = parsed(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    entries = [hook["entry"] for hook in repository["hooks"]]
    assert all(entry.startswith(".venv/bin/") for entry in entries)
    recipe = text("Makefile").partition("\ncheck:")[2].partition("\n\n")[0]
    for tool in ("ruff format", "ruff check", "mypy", "tests/test_architecture.py"):
        assert tool in recipe
        assert any(tool in entry for entry in entries)


def test_pythons_of_the_workflow_are_those_of_the_package() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    jobs = parsed(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]
    pythons = [c.rpartition(" ")[2] for c in project["classifiers"] if "Python :: 3." in c]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == pythons


def test_what_the_extra_dev_names_is_pinned() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in text("constraints.txt").splitlines()
    }
    names = {each for each in project["optional-dependencies"]["dev"] if "[" not in each}
    assert {each.replace("_", "-") for each in names} <= pinned


@pytest.mark.slow
def test_the_wheel_holds_types_and_templates(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"headstart/py.typed", "headstart/testing/__init__.py"} <= names
    templates = (ROOT / "headstart" / "templates").rglob("*")
    assert {str(path.relative_to(ROOT)) for path in templates if path.is_file()} <= names | {
        str(path.relative_to(ROOT)) for path in (ROOT / "headstart").rglob("__pycache__/*")
    }
    assert not any(name.startswith(("tests/", "docs/", "benchmarks/")) for name in names)
