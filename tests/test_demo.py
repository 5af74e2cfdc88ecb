"""The demonstration: the whole path on real data, without a network."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headstart import defaults, demo
from headstart.demo import docstrings, handwriting
from headstart.errors import HeadstartError
from headstart.hubs import packaged

ROOT = Path(__file__).resolve().parents[1]
# Python runs a module of this name when it starts, in the command and in every process it begins.
NO_NETWORK = """
import socket

def refuse(*_, **__):
    raise OSError("a connection was tried")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def shown(tmp_path: Path, *name: str) -> dict[str, Any]:
    """What a demonstration answers where no connection can be opened."""
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(NO_NETWORK)
    (tmp_path / "made").mkdir()
    paths = [str(tmp_path / "start"), os.environ.get("PYTHONPATH", "")]
    variables = {"PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(tmp_path / "made")}
    done = subprocess.run(
        [sys.executable, "-m", "headstart", "demo", *name, "--json"],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.slow
def test_a_pretrained_encoder_helps_with_docstrings_offline(tmp_path: Path) -> None:
    pytest.importorskip(packaged.KNOWN["all-minilm-l6-v2"].package.replace("-", "_"))
    result = shown(tmp_path)
    arms, least = result["arms"], result["arms"]["naive"]["value"]
    assert least == pytest.approx(1 / len(docstrings.SUBPACKAGES))
    assert arms["features"]["value"] > 0.6 > least
    taught = not result["doubt"]  # on a crowded machine the budget is too short for scratch
    assert result["verdict"] == ("helps" if taught else "unknown")
    assert result["backbone"] == docstrings.ENCODER
    assert Path(result["out"]).is_relative_to(tmp_path / "made")


@pytest.mark.slow
def test_digits_show_what_a_transfer_is_worth_offline(tmp_path: Path) -> None:
    result = shown(tmp_path, "digits")
    demand_worth(result)
    assert Path(result["transfer"]["out"]).is_relative_to(tmp_path / "made")


def test_digits_trained_at_one_rate_show_as_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    """The same path in this process, without the search for rates and the curve from scratch.

    These are most of its time, as is training until a wide network learns no more; the learning
    curve has tests of its own.
    """
    monkeypatch.setattr(handwriting, "BACKBONE", "seeded:residual?size=8&channels=1")
    for name, epochs in (("SOURCE_SETTINGS", 6), ("TARGET_SETTINGS", 10)):
        settings = replace(getattr(handwriting, name), epochs=epochs)
        monkeypatch.setattr(handwriting, name, settings)
    monkeypatch.setattr(defaults, "SCRATCH_RATES", (1e-3,))
    monkeypatch.setattr("headstart.evidence.labels.SCRATCH_PARTS", ())
    demand_worth(demo.digits(out=tmp_path).to_json())


def demand_worth(record: dict[str, Any]) -> None:
    """A source that learned, and a transfer whose verdict its gain says."""
    source, transfer = record["source"], record["transfer"]
    assert source["over_naive"]["low"] > 0.5
    arms = transfer["arms"]
    assert arms.keys() == {"naive", "features", "scratch", "chosen", "colour-and-edges"}
    assert arms["naive"]["value"] < 0.25 < arms["features"]["value"]
    assert arms["chosen"]["validation"] >= arms["features"]["validation"]
    gain = transfer["gain"]
    verdict = "helps" if gain["low"] > 0 else "hurts" if gain["high"] < 0 else "no evidence"
    assert transfer["verdict"] == verdict  # which of them depends on the machine and its threads
    assert transfer["backbone"].startswith("checkpoint:")
    assert (Path(transfer["out"]) / "headstart.json").exists()


def test_only_the_labels_promised_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[Path]] = []

    class Enough(Exception):
        """The data are written; training them again would show nothing new."""

    def look(data: Path, *_: object, **__: object) -> None:
        calls.append(sorted(data.parent.rglob("*.png")))
        raise Enough

    monkeypatch.setattr("headstart.demo.handwriting.pretrain", look)
    with pytest.raises(Enough):
        demo.digits(out=tmp_path)
    (files,) = calls
    digits = {path.relative_to(tmp_path).parts[0]: set[str]() for path in files}
    for path in files:
        digits[path.relative_to(tmp_path).parts[0]].add(path.parent.name)
    assert sorted(map(sorted, digits.values())) == [list("01234"), list("56789")]
    labelled = [path for path in files if "train" in path.parts]
    assert len(labelled) == 5 * demo.LABELS_PER_CLASS
    assert len(files) == 1797


def test_docstrings_don_t_name_what_they_are_to_tell(tmp_path: Path) -> None:
    docstrings._write(tmp_path / "docs")
    rows = {
        split: list(csv.DictReader((tmp_path / "docs" / f"{split}.csv").read_text().splitlines()))
        for split in docstrings.COUNTS
    }
    for split, count in docstrings.COUNTS.items():
        counts = Counter(row["label"] for row in rows[split])
        assert counts == dict.fromkeys(docstrings.SUBPACKAGES, count)
    texts = [row["text"] for result in rows.values() for row in result]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert "scipy" not in text.lower()
        assert not re.search(rf"\b({'|'.join(docstrings.SUBPACKAGES)})\.\w", text)


def test_a_missing_encoder_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    for needs in (demo.text, docstrings.encoder):
        with pytest.raises(HeadstartError, match=r"not installed\. Run: .*headstart\[weights\]"):
            needs()
