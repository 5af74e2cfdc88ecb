"""`serve`'s pages: shown in a browser, and nothing of a stranger's runs on them."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import browser
from served import Models, models, server

from headstart.server import pages
from headstart.server.limits import Limits
from headstart.server.openapi import document
from headstart.server.shelf import Served, Shelf
from headstart.server.versions import Listeners

__all__ = ["browser", "models"]
NASTY = "<script>hit=1</script><img src=x onerror=hit=1>[a](javascript:hit)"


def strangers(models: Models, folder: Path) -> Path:
    """A model whose card, page and evidence hold scripts."""
    shutil.copytree(models.place("pictures"), folder)
    (folder / "README.md").write_text(f"---\na: b\n---\n# Birds {NASTY}\n")
    (folder / "report.html").write_text(NASTY)
    evidence = json.loads((folder / "evidence.json").read_text())
    evidence["warnings"] = [NASTY]
    (folder / "evidence.json").write_text(json.dumps(evidence))
    return folder


def test_nothing_in_a_strangers_folder_runs_on_a_page(models: Models, tmp_path: Path) -> None:
    folder = strangers(models, tmp_path / "model")
    with_listeners = Listeners(lambda jobs, version: None, lambda items, spent: None, print)
    served = Served("model", folder, Limits(), with_listeners).open()
    try:
        card, report = pages.card(served), pages.report(served, None)
        overview = pages.overview(Shelf({"model": served}))
        manual = pages.manual(document(Shelf({"model": served}), "http://127.0.0.1:1", True))
        assert "Authorization: Bearer $HEADSTART_TOKEN" in manual and "ants, bees" in overview
    finally:
        served.close()
    for page in (card, report):
        assert "<script>hit" not in page and "<img src=x" not in page
        assert 'href="javascript' not in page
    assert "<h1>Birds" in card and "a: b" not in card and "&lt;script&gt;hit=1" in report
    assert "script-src" not in pages.POLICY and "'unsafe-inline'" not in _scripts(report)


def _scripts(page: str) -> str:
    """What the page's own policy says of scripts."""
    return html.unescape(page).partition("script-src")[2].partition(";")[0]


@pytest.mark.slow
def test_a_browser_shows_them_and_runs_nothing_else(
    models: Models, tmp_path: Path, browser: Any
) -> None:
    folder = strangers(models, tmp_path / "model")
    with server(tmp_path / "log", folder) as running:
        tab = browser.new_page()
        complaints: list[str] = []
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        for place in ("/", "/docs", "/models/model/card", "/models/model/report"):
            tab.goto(running.url + place)
            assert tab.title() and tab.evaluate("typeof hit") == "undefined"
        tab.wait_for_selector(".js-plotly-plot")  # the report's own scripts run
        tab.goto(running.url)
        tab.click("text=card")
        tab.click("text=All models")
        assert tab.url.rstrip("/") == running.url and not complaints
        tab.close()
