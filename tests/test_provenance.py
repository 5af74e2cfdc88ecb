"""How a model was made, as its record says: the command that was typed, or the call."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import Fitted

import headstart as hs
from headstart.pipeline.provenance import called, provenance

ORIGIN = {"reference": "timm:x", "licence": "mit", "trained_on": "y", "weights_hash": "0"}


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What is recorded of a process that began with these words."""
    monkeypatch.setattr(sys, "argv", list(words))
    return str(provenance(ORIGIN, "image", "photos", "hs.fit('photos')")["command"])


def test_a_typed_command_is_kept_as_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("fit", "my photos", "-b", "timm:resnet50?a=1", "--budget", "15m")
    for program in ("/usr/bin/headstart", "headstart.exe", "/lib/headstart/__main__.py"):
        typed = command(monkeypatch, program, *words)
        assert shlex.split(typed) == ["headstart", *words]


def test_a_call_from_python_is_written_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = hs.Settings(epochs=3, device="cpu")
    call = called("fit", "photos", "timm:x", "out", strategy="lp-ft", settings=settings)
    assert call == (
        "hs.fit('photos', 'timm:x', 'out', strategy='lp-ft', "
        "settings=hs.Settings(epochs=3, device='cpu'))"
    )
    assert called("fit", "photos", settings=hs.Settings()) == "hs.fit('photos')"
    assert command(monkeypatch, "/usr/bin/pytest", "fit") == "hs.fit('photos')"


def test_no_password_and_no_name_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("USERPROFILE", "/home/someone")
    typed = command(
        monkeypatch, "headstart", "fit", "/home/someone/photos", "-b", "https://me:secret@host/w.pt"
    )
    assert typed == "headstart fit ~/photos -b https://host/w.pt"
    typed = command(monkeypatch, "headstart", "fit", "https://host/t.parquet?sig=secret", "-o", "m")
    assert typed == "headstart fit https://host/t.parquet -o m"
    assert "/home/someoneelse" in command(monkeypatch, "headstart", "fit", "/home/someoneelse/x")


def test_a_record_says_how_its_model_was_made(fitted: Fitted, tmp_path: Path) -> None:
    result = hs.reported(fitted.folder).to_json()["made"]
    assert result["date"] <= date.today().isoformat() and result["headstart"] == version(
        "headstart"
    )
    assert (result["modality"], result["data"]) == ("image", fitted.pictures.name)
    assert result["command"].startswith("hs.fit(")
    assert result["backbone"]["reference"] == fitted.result.evidence.backbone
    page = (fitted.folder / "report.html").read_text(encoding="utf-8")
    assert "What was transferred" in page and "hs.fit(" in page
    record = hs.report_on(fitted.folder, fitted.pictures, tmp_path / "page").to_json()
    assert record["made"]["command"].startswith("hs.report_on(")


@pytest.mark.slow
def test_a_command_is_in_the_record_of_what_it_made(fitted: Fitted, tmp_path: Path) -> None:
    words = ["report", str(fitted.folder), str(fitted.pictures), "--out", str(tmp_path / "page")]
    options = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "headstart", *words], check=True, env=options)
    record = json.loads((tmp_path / "page" / "evidence.json").read_text(encoding="utf-8"))
    assert record["made"]["command"].startswith("headstart report ")
    assert record["made"]["command"].endswith("--out ~/page")
