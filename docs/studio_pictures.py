"""Make the pictures of the studio in docs/, and time its answers: `python docs/studio_pictures.py`.

A session on shapes that are drawn here, with the picture network of `headstart[weights]`. Needs
Chromium and `pip install playwright`; `--timed 300` adds so many examples first, and takes no
pictures.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from report_picture import PHONE, keep

SHAPES = ("circles", "squares", "triangles")
SOURCE = "packaged:efficientnet-lite0"
EACH, NEW, TRIES = 12, 4, 15
_POINTS = {"circles": 60, "squares": 4, "triangles": 3}
_TIMED = """async ([raw, name]) => {
    const before = state.head.total;
    const blob = new Blob([new Uint8Array(raw)]);
    const began = performance.now();
    await give(placeOf("circles", name), blob);
    const done = () => state.head.total > before
        && Number(find("bars").dataset.head) === state.head.number;
    while (!done()) await new Promise((next) => setTimeout(next, 5));
    return performance.now() - began;
}"""


def shape(kind: str, number: int) -> bytes:
    """A picture of a shape somewhere on a plain ground, as PNG; the same for the same number."""
    rng = np.random.default_rng([number, SHAPES.index(kind)])
    ground, colour = rng.integers(60, 235, (2, 3)).tolist()
    image = Image.new("RGB", (200, 150), tuple(ground))
    centre, radius = rng.uniform((60, 50), (140, 100)), rng.uniform(26, 46)
    angles = rng.uniform(0, 7) + np.linspace(0, 2 * np.pi, _POINTS[kind], endpoint=False)
    points = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ImageDraw.Draw(image).polygon([(x, y) for x, y in points.tolist()], fill=tuple(colour))
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8))) + rng.normal(
        0, 6, (150, 200, 3)
    )
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def draw(folder: Path, each: int) -> None:
    """A folder of shapes by class, one of them in a wrong one."""
    for kind in SHAPES:
        (folder / kind).mkdir(parents=True)
        for number in range(each):
            (folder / kind / f"{kind}-{number}.png").write_bytes(shape(kind, number))
    (folder / "squares" / "mistaken.png").write_bytes(shape("circles", 9000))


def until(tab: Any, condition: str) -> None:
    """Wait until something holds of the page."""
    while not tab.evaluate(condition):
        tab.wait_for_timeout(50)


def photograph(browser: Any, url: str, probe: Path) -> None:
    """The page light, dark and on a phone."""
    first = browser.new_page()
    first.goto(url)
    until(first, "state && state.head")
    new = [probe.with_name(f"new-{number}.png") for number in range(NEW)]
    for number, path in enumerate(new):
        path.write_bytes(shape(SHAPES[number % len(SHAPES)], 7000 + number))
    first.locator("#files").set_input_files(list(map(str, new)))
    until(first, f"state.following.length === {NEW}")
    first.close()
    for name, options in (
        ("studio.png", {"viewport": {"width": 1440, "height": 1060}}),
        ("studio-dark.png", {"viewport": {"width": 1440, "height": 1060}, "color_scheme": "dark"}),
        ("studio-phone.png", PHONE),
    ):
        tab = browser.new_context(**options, reduced_motion="reduce").new_page()
        tab.goto(url)
        until(tab, "state && state.score && !state.busy && state.suspects.length > 0")
        tab.locator("#probe-file input").set_input_files(str(probe))
        until(tab, "find('bars').children.length === 3")
        tab.wait_for_timeout(500)
        shots = [tab.screenshot()]
        if name == "studio-phone.png":
            for place in ("#classes", "#worth", "#mistakes"):
                tab.locator(place).evaluate("(each) => each.scrollIntoView()")
                tab.wait_for_timeout(300)
                shots.append(tab.screenshot())
        keep(name, *shots)
        tab.close()


def time_answers(browser: Any, url: str, probe: Path) -> None:
    """Print how long it takes from giving an example to the answer of a head that has seen it."""
    tab = browser.new_page()
    tab.goto(url)
    until(tab, "state && state.score && !state.busy")
    tab.locator("#probe-file input").set_input_files(str(probe))
    until(tab, "find('bars').children.length === 3")
    taken = []
    for number in range(TRIES):
        raw = list(shape("circles", 5000 + number))
        taken.append(tab.evaluate(_TIMED, [raw, f"{number}.png"]) / 1000)
        tab.wait_for_timeout(200)
    total = tab.evaluate("state.head.total")
    print(
        f"{total} examples: an answer {statistics.median(taken):.2f} s after the last one "
        f"(median of {TRIES}; {min(taken):.2f} to {max(taken):.2f} s), {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def main() -> int:
    """Serve a session, and look at it; 1 where there is no Chromium."""
    from playwright.sync_api import sync_playwright

    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--timed", type=int, metavar="EXAMPLES")
    timed = flags.parse_args().timed
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed.", file=sys.stderr)
        return 1
    work = Path(tempfile.mkdtemp())
    draw(work / "shapes", EACH if timed is None else max(2, timed // 3))
    (work / "probe.png").write_bytes(shape("triangles", 9001))
    command = [sys.executable, "-m", "headstart", "studio", "shapes", "-b", SOURCE]
    own = {**os.environ, "HEADSTART_CACHE": str(work / "cache")}  # which holds no feature yet
    with subprocess.Popen(command, cwd=work, env=own, stderr=subprocess.PIPE, text=True) as running:
        found = filter(None, (re.search(r"http://\S+", line) for line in running.stderr or ()))
        url = next(found)[0]
        with sync_playwright() as browsers:
            browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            look = photograph if timed is None else time_answers
            look(browser, url, work / "probe.png")
            browser.close()
        running.terminate()
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
