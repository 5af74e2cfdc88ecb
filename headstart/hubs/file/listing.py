"""Which functions make networks, told without running any file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from headstart.contracts import Card


def cards(pattern: str) -> Iterator[Card]:
    """The functions annotated `-> nn.Module` in this folder's Python files, by shell pattern."""
    for path in sorted(Path().glob("*.py")):
        for function in _functions(path):
            name = f"{path.name}:{function}"
            if fnmatchcase(name, pattern):
                yield Card(f"file:{name}", "image", None, "", None, None, True)


def _functions(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []  # loading it says why
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.returns is not None
        and ast.unparse(node.returns).strip("'\"").rpartition(".")[2] == "Module"
        and not node.name.startswith("_")
    ]
