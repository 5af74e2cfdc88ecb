"""Shared fixtures: real data beside the checkout, a cache that no test leaves behind."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Tiny networks run faster on one thread than on several that wait for one another; set before torch
# is imported, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Hundreds of processes import the package, and would compile it each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

import headstart as hs
from headstart import defaults
from headstart.results import Result
from headstart.runtime import known

# What libraries and the modules of tests bring stays till the end: there is no garbage among it.
gc.disable()

# A busy machine is no defect of the code under test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# What starts in a shell's background ignores interrupts, and so does whatever it starts itself.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Folds, several trainings and rates take several times as long: tests that are about them ask for
# them.
defaults.FOLDED = defaults.LEAST_HELD_OUT = defaults.SETTLED = 0
SCRATCH_RATES = defaults.SCRATCH_RATES
defaults.SCRATCH_RATES = (1e-3,)

OWN_PLACE = known._place

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_finish() -> None:
    """From here on look for garbage, in what tests make alone."""
    gc.freeze()
    gc.enable()


# Extensions see all of theirs go, as some of them count that; pytest's own last looks come before.
atexit.register(gc.unfreeze)


# Seen with OpenVINO 2026.4.1; not known of processors that really have no more than AVX2.
unheld = pytest.mark.skipif(
    "ONEDNN_MAX_CPU_ISA" in os.environ,
    reason="OpenVINO crashes on some networks where oneDNN is held to less than the processor has",
)


@pytest.fixture
def shared_data() -> Path:
    """Real weights and photos; tests that need them skip on a machine that lacks them."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the research data in {SHARED}")
    return SHARED


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the feature cache at a folder of this test's own."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("HEADSTART_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session", autouse=True)
def shared_stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the stages of a network be looked for once; tests that are about it ask for `own_stages`.

    What else is known stays in each test's own cache.
    """
    folder = tmp_path_factory.mktemp("stages")

    def place(kind: str, key: Mapping[str, object]) -> Path:
        path = OWN_PLACE(kind, key)
        return folder / path.name if kind == "stages" else path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_place", place)
        yield


@pytest.fixture
def own_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stages that were found lie in the test's own cache."""
    monkeypatch.setattr(known, "_place", OWN_PLACE)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no socket be opened."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def open_to_all(folder: Path) -> None:
    """Let every user enter a folder of a test, and those below the system's in which it lies."""
    system = Path(tempfile.gettempdir()).resolve()
    for place in (folder.resolve(), *folder.resolve().parents):
        if system in place.parents:
            place.chmod(0o755)


def write_pictures(root: Path, classes: dict[str, int], size: int = 16, seed: int = 0) -> Path:
    """Write `classes[name]` small noisy pictures a class, each with its own colour."""
    rng = np.random.default_rng(seed)
    for position, (name, count) in enumerate(classes.items()):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        hue = np.roll([200, 80, 20], position)
        for number in range(count):
            pixels = rng.normal(hue, 40, (size, size, 3))
            pixels[:, position :: len(classes) + 1] += 60
            Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(folder / f"{number:03}.png")
    return root


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two classes of 40 small pictures."""
    return write_pictures(tmp_path / "pictures", {"ants": 40, "bees": 40})


@dataclass(frozen=True)
class Fitted:
    """A model that `fit` made, and the pictures it was made from."""

    pictures: Path
    folder: Path
    result: Result


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """One run with every arm, for all tests that only look at what a run leaves."""
    root = tmp_path_factory.mktemp("fitted")
    pictures = write_pictures(root / "pictures", {"ants": 40, "bees": 40})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        patch.setattr(defaults, "SCRATCH_RATES", SCRATCH_RATES)
        result = hs.fit(
            pictures,
            "seeded:convnet",
            root / "model",
            strategy="full-fine-tuning",
            settings=hs.Settings(epochs=2),
        )
    return Fitted(pictures, root / "model", result)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, without a window; its camera and microphone are made up."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs the program chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        options = {"executable_path": program, "args": ["--no-sandbox", *fake]}
        started = running.chromium.launch(**options)
        yield started
        started.close()
