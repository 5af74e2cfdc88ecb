"""A saved model as a page: the answers of `predict` on raw files, in a real browser, offline."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Fitted
from PIL import Image

import headstart as hs
from headstart.forms.form import FormError
from headstart.forms.page import RUNTIME, _demand_drawn

pytest.importorskip("onnxruntime", reason="needs the extra export")
READY = "() => document.getElementById('state').textContent.startsWith('Ready')"


@pytest.fixture(scope="module")
def page_folder(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as a page, without the runtime beside it."""
    place = tmp_path_factory.mktemp("page") / "page"
    assert hs.export(fitted.folder, "page", place, check=fitted.pictures).changed == 0
    return place


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime's files from the npm registry."""
    program, place = shutil.which("npm"), tmp_path_factory.mktemp("runtime")
    if program is None:
        pytest.skip("needs npm")
    command = [program, "pack", "onnxruntime-web@1.30.0"]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("onnxruntime-web can't be fetched within two minutes")
    archives = list(place.glob("*.tgz"))
    if done.returncode or not archives:
        pytest.skip("onnxruntime-web can't be fetched from the npm registry")
    with tarfile.open(archives[0]) as archive:
        for name in RUNTIME:
            member = archive.extractfile(f"package/dist/{name}")
            assert member is not None
            (place / name).write_bytes(member.read())
    return place


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def opened(page_folder: Path, tmp_path: Path, browser: Any) -> Iterator[tuple[Path, Any, Any]]:
    """A copy of the folder, a page, and what opens it by an ordinary server of files."""
    place = tmp_path / "served"
    shutil.copytree(page_folder, place)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(place)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield place, page, partial(page.goto, url)
    page.close()
    server.shutdown()
    server.server_close()


def pictures(folder: Path) -> list[Path]:
    """Of many kinds: wide, high, tiny, turned by EXIF, grey, with transparency."""
    folder.mkdir()
    rng = np.random.default_rng(0)

    def picture(width: int, height: int, channels: int = 3) -> Image.Image:
        coarse = rng.integers(0, 256, (6, 6, channels), dtype=np.uint8)
        rows = Image.fromarray(coarse if channels > 1 else coarse[:, :, 0])
        return rows.resize((width, height), Image.Resampling.BICUBIC)

    turned = picture(90, 60)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    picture(300, 100).save(folder / "wide.jpg", quality=92)
    picture(64, 211).save(folder / "high.png")
    picture(9, 7).save(folder / "tiny.png")
    picture(80, 80, 1).save(folder / "grey.png")
    picture(70, 50, 4).save(folder / "clear.png")
    return sorted(folder.iterdir())


@pytest.mark.slow
def test_a_browser_answers_raw_files_as_predict_does(
    opened: tuple[Path, Any, Any], runtime: Path, fitted: Fitted, tmp_path: Path
) -> None:
    place, page, go = opened
    for name in RUNTIME:
        shutil.copy(runtime / name, place)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    go()
    page.wait_for_function(READY, timeout=60_000)
    files = pictures(tmp_path / "pictures")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    page.set_input_files("#files", [str(each) for each in [*files, broken]])
    page.wait_for_function("() => document.getElementById('state').textContent.endsWith('7.')")
    content = """() => Object.fromEntries([...document.querySelectorAll('article')].map(
        (each) => [each.querySelector('h2').textContent, Object.fromEntries(
            [...each.querySelectorAll('dt')].map(
                (name) => [name.textContent, Number(name.nextSibling.dataset.value)]))]))"""
    answers = page.evaluate(content)
    assert answers.pop("broken.jpg") == {}
    assert page.locator("article [role=alert]").count() == 1
    assert "can't read it as a picture" in page.locator("article [role=alert]").inner_text()
    predictor = hs.load(fitted.folder)
    expected = {each.name: predictor.predict(each)[0].probabilities for each in files}
    assert answers.keys() == expected.keys()
    for name, own in expected.items():
        assert answers[name] == pytest.approx(own, abs=2e-3), name
        first = max(own, key=lambda label: own[label])
        assert next(iter(answers[name])) == first
    assert not problems and all(
        url.startswith(("http://127.0.0.1:", "blob:", "data:")) for url in requests
    )


@pytest.mark.slow
def test_the_camera_is_answered_while_it_films(
    opened: tuple[Path, Any, Any], runtime: Path
) -> None:
    place, page, go = opened
    for name in RUNTIME:
        shutil.copy(runtime / name, place)
    go()
    page.wait_for_function(READY, timeout=60_000)
    page.focus("#camera")
    page.keyboard.press("Enter")
    page.wait_for_selector("article dd progress", timeout=30_000)
    page.keyboard.press("Enter")
    page.wait_for_selector("#camera[aria-pressed=false]")
    assert page.locator("#video").is_hidden()


@pytest.mark.slow
def test_a_page_without_its_runtime_says_which_files_it_takes(
    opened: tuple[Path, Any, Any],
) -> None:
    _, page, go = opened
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    go()
    page.wait_for_function("() => document.getElementById('error').textContent")
    sentence = page.text_content("#error")
    assert all(name in sentence for name in RUNTIME) and "npm pack onnxruntime-web" in sentence
    assert page.is_disabled("#files")
    assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in requests)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"inputs": {"input_ids": {}}}, "a page takes pictures alone"),
        ({"preprocess": {"crop_mode": "center", "interpolation": "nearest"}}, "center, nearest"),
        ({"preprocess": {"crop_mode": "letterbox", "interpolation": "bilinear"}}, "letterbox"),
        ({"outputs": {"outputs": {}}}, "its task makes answers"),
    ],
)
def test_what_a_page_can_not_draw_is_refused(changes: dict[str, Any], says: str) -> None:
    facts = {
        "inputs": {"pixels": {}},
        "preprocess": {"crop_mode": "center", "interpolation": "bicubic"},
        "outputs": {"features": {}, "probabilities": {}},
    }
    _demand_drawn(facts)
    with pytest.raises(FormError, match=says):
        _demand_drawn(facts | changes)
