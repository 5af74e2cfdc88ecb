"""Execute the notebooks of this folder again, in place: `python examples/execute.py [NAME ...]`.

Each runs in a fresh kernel in a folder of its own, as a reader would run it, and keeps its outputs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
SECONDS = 1800  # a cell's at most
_BARS = re.compile(r"[^\n]*\r")  # what a later state of a bar has written over


def execute(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of a run in `folder`. Raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["HEADSTART_CACHE"] = str(folder / "cache")
    os.environ["PYTHONWARNINGS"] = (
        "ignore:IProgress not found"  # of tqdm, where it lacks ipywidgets
    )
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    return _lasting(notebook, folder)


def _lasting(notebook: Any, folder: Path) -> Any:
    """The same without times, versions of kernels, this folder's path, and bars written over."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        if "outputs" in cell:  # progress is displayed while it lasts, and is none of the results
            cell.outputs = [each for each in cell.outputs if each.output_type != "display_data"]
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                output.text = _BARS.sub("", output.text).replace(f"{folder}{os.sep}", "")
    return notebook


def main() -> None:
    """Execute those that are named, or all."""
    names = sys.argv[1:] or sorted(path.name for path in HERE.glob("*.ipynb"))
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(HERE / name, Path(folder))
        nbformat.write(notebook, HERE / name)
        print(f"{name} was executed.")


if __name__ == "__main__":
    main()
