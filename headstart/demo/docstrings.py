"""Texts that are on every machine: what SciPy's functions do, told apart by subpackage."""

from __future__ import annotations

import csv
import inspect
import re
import tempfile
from dataclasses import replace
from hashlib import blake2b
from importlib import import_module
from pathlib import Path

from headstart import catalog
from headstart.contracts.references import parse
from headstart.defaults import Settings
from headstart.pipeline.flow import fit
from headstart.results import Result
from headstart.runtime.budget import earlier
from headstart.runtime.progress import Progress, Silent

SUBPACKAGES = (
    *("interpolate", "linalg", "ndimage", "optimize"),
    *("signal", "sparse", "special", "stats"),
)
COUNTS = {"train": 10, "val": 5, "test": 30}  # texts a subpackage, those to be tested on last
ENCODER = "packaged:all-minilm-l6-v2"
SETTINGS = Settings(epochs=8)
SECONDS = 80.0  # so that two cores are done in 90
_LONGEST = 80  # characters of a text
_SECTION = re.compile(r"\n[^\n]+\n\s*-{3,}")  # where a docstring turns from what to how
_NAMED = re.compile(rf"\b(scipy\.?)?({'|'.join(SUBPACKAGES)})\.|scipy", re.IGNORECASE)


def text(progress: Progress | None = None, out: Path | None = None) -> Result:
    """Transfer a sentence encoder to some docstrings, and test it on others.

    Raises HeadstartError where the package that brings the encoder is not installed.
    """
    progress = progress or Silent()
    root = out or Path(tempfile.mkdtemp(prefix="headstart-demo-"))
    data = root / "docstrings"
    progress.say(f"Docstrings of {len(SUBPACKAGES)} subpackages of SciPy are to be told apart.")
    _write(data)
    flags = f"--epochs {SETTINGS.epochs} --budget {SECONDS:.0f}s"
    progress.say(f"By hand: headstart fit {data} -b {ENCODER} {flags}")
    # The first start after an installation may take half a minute: the proof loses nothing by it.
    settings = replace(SETTINGS, budget=SECONDS + earlier())
    return fit(data, ENCODER, root / "model", settings=settings, progress=progress)


def encoder() -> Path:
    """The folder of the sentence encoder. Raises WeightsError where it is not installed."""
    return Path(catalog.hub("packaged").resolve(parse(ENCODER)).name)


def _write(folder: Path) -> None:
    """Write a table a split, each text once, in an order that its content says."""
    folder.mkdir(parents=True)
    texts = _texts()
    rows: dict[str, list[tuple[str, str]]] = {split: [] for split in COUNTS}
    for label in SUBPACKAGES:
        own = sorted(
            (t for t, of in texts.items() if of == {label}),
            key=lambda text: blake2b(text.encode()).digest(),
        )
        for split, count in COUNTS.items():
            rows[split] += [(text, label) for text in own[:count]]
            own = own[count:]
    for split, labelled in rows.items():
        with open(folder / f"{split}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *labelled])


def _texts() -> dict[str, set[str]]:
    """What each public function says it does, and the subpackages that say so."""
    texts: dict[str, set[str]] = {}
    for name in SUBPACKAGES:
        module = import_module(f"scipy.{name}")
        for public in module.__all__:
            function = getattr(module, public)
            sentence = _summary(inspect.getdoc(function) or "") if callable(function) else ""
            if sentence:
                texts.setdefault(sentence, set()).add(name)
    return texts


def _summary(docstring: str) -> str:
    """The first paragraphs, without a signature and without the subpackages' names."""
    lines = docstring.strip().split("\n")
    while lines and (not lines[0].strip() or re.match(r"\w+\(.*\)", lines[0])):
        lines = lines[1:]
    body = _SECTION.split("\n" + "\n".join(lines))[0]
    return _NAMED.sub("", " ".join(body.split()))[:_LONGEST]
