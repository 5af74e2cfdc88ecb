"""The pages: true to --help, to the catalog and to the contracts."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from headstart import catalog, contracts
from headstart.cli import app
from headstart.data.targets import Targets

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
CONTRACTS = (
    *(contracts.Hub, contracts.Metric, contracts.Modality, contracts.Task, contracts.Strategy),
    Targets,
)
PAGE_OF = {"hubs": "backbones", "metrics": "evidence", "modalities": "data", "tasks": "data"}
PAGE_OF |= {"adaptations": "adaptation", "executors": "scale"}
PAGE_OF |= dict.fromkeys(("strategies", "heads"), "strategies")


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands() -> set[str]:
    """The names of the commands."""
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.fixture
def help_texts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script that writes docs/cli.md."""
    monkeypatch.syspath_prepend(DOCS)
    import help_texts as script

    return script


def test_help_texts_are_current(help_texts: Any) -> None:
    page = help_texts.PAGE.read_text(encoding="utf-8")
    assert help_texts.current(page) == page, "run `make docs-help`"
    assert set(help_texts.commands(page)) == commands() | {""}


def test_a_stale_help_text_is_seen(help_texts: Any) -> None:
    page = help_texts.PAGE.read_text(encoding="utf-8")
    stale = page.replace("--budget", "--budgets")
    assert stale != page
    assert help_texts.current(stale) == page


@pytest.mark.parametrize("kind", PAGE_OF)
def test_every_part_is_on_its_page(kind: str) -> None:
    text = (DOCS / f"{PAGE_OF[kind]}.md").read_text(encoding="utf-8")
    assert [name for name in vars(catalog)[kind.upper()] if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_python_and_commands_on_a_page_exist(page: Path) -> None:
    import headstart

    for block in blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "hs":
                assert node.attr in headstart.__all__
    matches = re.findall(r"^headstart ([a-z-]+)", page.read_text(encoding="utf-8"), re.M)
    assert set(matches) <= commands()


def test_the_parts_shown_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[type, type] = {}
    for number, block in enumerate(blocks(DOCS / "extending.md")):
        module = ModuleType(f"shown_{number}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(block, f"extending.md block {number}", "exec"), vars(module))
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__module__ == module.__name__:
                contract = next(contract for contract in CONTRACTS if issubclass(kind, contract))
                assert not inspect.isabstract(kind) and kind()
                shown[contract] = kind
    parts = {contracts.Hub, contracts.Metric, contracts.Task, contracts.Strategy, Targets}
    assert set(shown) == parts


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f": {page.name}" not in menu] == []


def test_the_reference_shows_every_public_name() -> None:
    """What `::: headstart` shows is what the package imports for type checkers."""
    import headstart

    page = (DOCS / "api.md").read_text(encoding="utf-8")
    module = ast.parse((ROOT / "headstart" / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = (node for node in module.body if isinstance(node, ast.If))
    shown = {a.name for n in typed.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(headstart.__all__) <= shown
    assert {"headstart", "headstart.pipeline.strategy_spec.strategies"} <= set(
        re.findall(r"^::: (\S+)", page, re.M)
    )
