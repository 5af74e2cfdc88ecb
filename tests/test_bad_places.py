"""Places that can't be read or written: one clear sentence, exit code 2, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Fitted, write_pictures
from told import run, several, snapshot

TINY = "seeded:convnet"
Line = list[str | Path]


def test_a_place_that_holds_a_model(fitted: Fitted, tmp_path: Path) -> None:
    model = Path(shutil.copytree(fitted.folder, tmp_path / "model"))
    for command in ("fit", "pretrain"):
        sentence = run(command, fitted.pictures, "-b", TINY, "-o", model).sentence()
        assert sentence == (
            f"{model} already holds a model. Name a new folder, or remove this one first."
        )
    assert snapshot(model) == snapshot(fitted.folder)
    assert os.listdir(tmp_path) == ["model"]


def test_a_mistake_keeps_the_checkpoints_of_a_killed_run(pictures: Path, tmp_path: Path) -> None:
    unfinished = tmp_path / "model.unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_text("{}")
    (unfinished / "scratch.checkpoint").write_bytes(b"hours of work")
    before = snapshot(unfinished)
    for wrong in (["-b", "seeded:convnett"], ["-b", TINY, "-s", "none"]):
        run("fit", pictures, "-o", tmp_path / "model", *wrong).sentence()
    run("fit", tmp_path / "gone", "-b", TINY, "-o", tmp_path / "model").sentence()
    assert snapshot(unfinished) == before


def bound_by_permissions() -> list[str]:
    """Words before a command that make permissions count for it, even for root."""
    if os.geteuid():
        return []
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip("root may read everything, and setpriv can't take that away here")
    return words


def test_what_may_not_be_read_or_written(fitted: Fitted, tmp_path: Path) -> None:
    words = bound_by_permissions()
    data = write_pictures(tmp_path / "data", {"ants": 4, "bees": 4})
    shut = write_pictures(tmp_path / "shut", {"ants": 4, "bees": 4})
    model = Path(shutil.copytree(fitted.folder, tmp_path / "model"))
    (tmp_path / "locked").mkdir()
    file = data / "ants" / "000.png"
    closed = [file, shut / "bees", model / "model.safetensors", tmp_path / "locked"]
    for path in closed:
        path.chmod(0)
    new, cache = tmp_path / "new", tmp_path / "cache"
    lines: list[Line] = [
        ["evaluate", fitted.folder, data, "--json"],
        ["predict", fitted.folder, file],
        ["evaluate", fitted.folder, shut],
        ["fit", shut, "-b", TINY, "-o", new],
        ["predict", model, data / "bees"],
        ["fit", data, "-b", f"{TINY}@{closed[2]}", "-o", new],
        ["fit", data, "-b", TINY, "-o", tmp_path / "locked" / "new"],
    ]
    lines = [[cache, *line] for line in lines]
    lines.append([tmp_path / "locked" / "cache", "fit", data, "-b", TINY, "-o", new])
    try:
        skipped, *refused = several(lines, *words)
    finally:
        for path in closed:
            path.chmod(0o755)
    result = json.loads(skipped.stdout)["data"]
    assert result["skipped_items"] == [["ants/000.png", "can't be read: permission denied"]]
    places = [file, shut / "bees", shut / "bees", closed[2], closed[2]]
    places += [tmp_path / "locked" / "new", tmp_path / "locked" / "cache"]
    for ended, place in zip(refused, places, strict=True):
        assert str(place) in ended.sentence()
    assert not new.exists()


def test_a_full_disk(pictures: Path, fitted: Fitted, tmp_path: Path) -> None:
    """Small disks fill up at several moments; what lay on them stays."""
    disks = {"weights": "140k", "checkpoint": "140k", "cache": "88k"}
    saved = fitted.folder / "model.safetensors"
    mounts = []
    for name, size in disks.items():
        place = tmp_path / name
        place.mkdir()
        mounts.append(
            f"mount -t tmpfs -o size={size} tmpfs {place} && cp -r {saved.parent} {place}"
        )
    ends = [f"cmp {saved} {tmp_path / name}/model/model.safetensors" for name in disks]
    script = " && ".join([*mounts, '"$@"', *ends])
    before = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if not shutil.which("unshare") or subprocess.run([*before, "true"], check=False).returncode:
        pytest.skip("needs unshare and leave to mount a small disk")

    places = {name: tmp_path / name / "new" for name in disks}
    outs = {**places, "cache": tmp_path / "new"}
    lines: list[Line] = []
    for name in disks:
        cache = places["cache"] if name == "cache" else tmp_path / "free"
        lines.append([cache, "fit", pictures, "-b", TINY, "--no-scratch", "-o", outs[name]])
    lines[1] += ["-s", "full-fine-tuning", "--epochs", "1"]
    ended = several(lines, *before)
    entries = {name: each.sentence() for name, each in zip(disks, ended, strict=True)}
    assert "No space left on device" in entries["weights"]
    assert f"{places['weights']}.unfinished/artifact/model.safetensors" in entries["weights"]
    assert f"The checkpoint {places['checkpoint']}.unfinished" in entries["checkpoint"]
    assert f"The cache {places['cache']} is on a full disk." in entries["cache"]
    assert not outs["cache"].exists()
