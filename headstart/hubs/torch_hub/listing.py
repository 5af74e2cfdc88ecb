"""Which entry points there are, told without running any code or opening a connection."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from headstart.contracts import Card
from headstart.hubs.torch_hub import fetching


def cards(pattern: str) -> Iterator[Card]:
    """Entry points of repositories that were fetched, and of folders in this one."""
    found = sorted(Path().glob(f"*/{fetching.ENTRIES}"))
    here = [(f"./{path.parent}", path.parent) for path in found]
    for name, folder in [*fetching.fetched(), *here]:
        for entry in _entries(folder / fetching.ENTRIES):
            if fnmatchcase(f"{name}/{entry}", pattern):
                yield Card(f"torchhub:{name}/{entry}", "image", None, "", None, None, True)


def _entries(path: Path) -> list[str]:
    """The functions that it defines, and what it imports from its own repository."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []  # loading one says why
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            top = path.parent / node.module.partition(".")[0]
            if top.is_dir() or top.with_suffix(".py").is_file():
                names += [alias.asname or alias.name for alias in node.names]
    return sorted({name for name in names if not name.startswith(("_", "*"))})
