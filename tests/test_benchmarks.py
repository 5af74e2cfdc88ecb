"""The comparison with peers: registered, answering, on the right photos, in a true table."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import unheld, write_pictures
from PIL import Image

from benchmarks import cold, environments, hearing, photos, registry
from benchmarks.__main__ import main
from benchmarks.arguments import RefusedError, names
from benchmarks.audio import SOURCES
from benchmarks.measuring import measure
from benchmarks.ours import arms, command
from benchmarks.peers import contract
from benchmarks.report import as_markdown
from headstart import catalog

SHARED_BY_PEERS = {"__init__.py", "contract.py", "timm_model.py", "openvino_pictures.py"}
SERVERS = {"bentoml_server.py", "litserve_server.py"}  # which `serve` starts
WORKERS = {"joblib_features.py", "ray_data_features.py"}  # which `scale` starts
HEARERS = {"librosa_features.py"}  # which `hearing` starts
MONITORS = {"drift_monitors.py"}  # which `drift` starts
SPLITS = ("train", "val", "test")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two classes of 60 pictures, of which one lies there twice."""
    root = write_pictures(tmp_path / "source", {"ants": 60, "bees": 60})
    (root / "ants" / "twin.png").write_bytes((root / "ants" / "000.png").read_bytes())
    return root


def files(folder: Path) -> dict[str, bytes]:
    """Content by SPLIT/CLASS/FILE."""
    ordering = sorted(path for path in folder.glob("*/*/*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in ordering}


def test_cold_answers_as_a_table() -> None:
    plain, own = {"cpu": 8.0, "wall": 9.0, "MiB": 700.4}, {"cpu": 1.0, "wall": 2.0, "MiB": 180.0}
    row = {"input": "picture", "plain script": plain, "headstart": own}
    assert cold.as_markdown([row]).splitlines()[2:] == [
        "| picture | plain script | 8.00 | 1.00 | 9.00 | 1.00 | 700 | 1.00 |",
        "| picture | headstart | 1.00 | 0.12 | 2.00 | 0.22 | 180 | 0.26 |",
    ]
    assert cold.PLAIN.is_file()


@unheld
def test_librosa_is_fed_the_windows_that_each_network_takes(shared_data: Path) -> None:
    weights = shared_data / "weights"
    for name, (front, window) in hearing.FED.items():
        reference = SOURCES[name].format(audio=weights / "audio", weights=weights)
        fed = catalog.load_backbone(reference).preprocess
        assert (fed["rate"], fed["window"], fed["hop"]) == (16_000, window, window)
        assert (front == "mfcc") == ("frontend=" in reference)


def test_what_only_answers_has_an_environment_without_torch() -> None:
    asked = environments.requirements("predict")
    assert {"openvino", "tokenizers"} <= {name.partition("==")[0] for name in asked}
    assert not [name for name in asked if name.startswith("torch")]


def test_registry_is_complete() -> None:
    others = SHARED_BY_PEERS | SERVERS | WORKERS | HEARERS | MONITORS
    scripts = {path.name for path in registry.SCRIPTS.glob("*.py")} - others
    assert {peer.script for peer in registry.PEERS.values()} == scripts
    for peer in registry.PEERS.values():
        assert peer.environment in registry.ENVIRONMENTS
        assert set(peer.works) <= set(contract.WORKS) & set(registry.WORKS)
    for work in registry.WORKS.values():
        assert not work.like or work.like in registry.WORKS


@pytest.mark.parametrize("path", sorted(registry.SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_scripts_compile(path: Path, tmp_path: Path) -> None:
    py_compile.compile(str(path), cfile=str(tmp_path / "compiled"), doraise=True)


@pytest.mark.parametrize("peer", registry.PEERS.values(), ids=lambda peer: peer.name)
def test_peers_answer_help_without_their_libraries(peer: registry.Peer) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(peer.path), "--help"], capture_output=True, text=True, check=True
    )
    for word in ("--data", "--weights", "--backbone", "--epochs", "--out", *peer.works):
        assert word in done.stdout


def test_photos_are_split_by_content(source: Path, tmp_path: Path) -> None:
    laid = files(photos.prepare(photos.Plan(str(source)), tmp_path / "work"))
    originals = {path.relative_to(source).as_posix() for path in source.glob("*/*")}
    assert {name.partition("/")[2] for name in laid} == originals
    splits = {name: name.partition("/")[0] for name in laid}
    assert set(splits.values()) == set(SPLITS)
    twins = [split for name, split in splits.items() if name.endswith(("s/000.png", "twin.png"))]
    ants = [split for name, split in splits.items() if name.endswith(("ants/000.png", "twin.png"))]
    assert len(twins) == 3 and len(ants) == 2 and len(set(ants)) == 1
    assert 0.5 < list(splits.values()).count("train") / len(splits) < 0.85


def test_photos_are_laid_out_once_and_anew_after_a_break(source: Path, tmp_path: Path) -> None:
    plan = photos.Plan(str(source), subset=30)
    folder = photos.prepare(plan, tmp_path / "work")
    first = files(folder)
    assert len(first) == 30
    place = folder / next(iter(first))
    place.unlink()
    assert photos.prepare(plan, tmp_path / "work") == folder and not place.exists()
    (folder.parent / "whole").unlink()
    assert files(photos.prepare(plan, tmp_path / "work")) == first


def test_a_subset_keeps_the_splits_of_the_whole(source: Path, tmp_path: Path) -> None:
    whole = files(photos.prepare(photos.Plan(str(source)), tmp_path / "work"))
    part = files(photos.prepare(photos.Plan(str(source), subset=40), tmp_path / "work"))
    assert part.items() <= whole.items()
    assert {name.split("/")[1] for name in part} == {"ants", "bees"}


def test_made_photos_are_large_different_and_repeatable(source: Path, tmp_path: Path) -> None:
    plan = photos.Plan(str(source), made=24)
    first = files(photos.prepare(plan, tmp_path / "one"))
    assert len(first) == len(set(first.values())) == 24
    for name in first:
        with Image.open(tmp_path / "one" / plan.name / "photos" / name) as picture:
            assert picture.size == (500, 375) and picture.format == "JPEG"
    assert files(photos.prepare(plan, tmp_path / "two")) == first


def test_growing_adds_new_content_to_training_alone(source: Path, tmp_path: Path) -> None:
    base = photos.prepare(photos.Plan(str(source)), tmp_path / "work")
    before, train = files(base), photos.counts(base)["train"]
    after = files(photos.grow(base, share=0.1))
    added = after.keys() - before.keys()
    assert before.items() <= after.items() and files(base) == before
    assert len(added) == round(0.1 * train)
    assert all(name.startswith("train/") for name in added)
    assert not {after[name] for name in added} & set(before.values())


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        photos.photos_in(tmp_path)


def test_measuring_sees_time_code_and_the_memory_of_children(tmp_path: Path) -> None:
    child = "import time; held = bytearray(120 * 2**20); time.sleep(1.2)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); sys.exit(3)"
    result = measure([sys.executable, "-c", code], tmp_path / "log", tmp_path, os.environ)
    assert result.code == 3
    assert result.seconds >= 1.2
    assert 120 < result.peak < 400


@pytest.mark.parametrize("work", ["extraction", "frozen", "last-stage", "full"])
def test_ours_runs_the_public_command(
    work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [
        "ours",
        "--data",
        "d",
        "--weights",
        "w",
        "--work",
        work,
        "--out",
        str(tmp_path / "r"),
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    words = command(contract.arguments(""))
    assert words[:2] == ["cache-features" if work == "extraction" else "fit", "d"]
    assert "timm:mobilenetv2_100@w" in words and "--json" in words
    assert ("--epochs" in words) == (work in ("last-stage", "full"))
    assert ("--no-scratch" in words) == (work != "extraction")


def test_the_strategy_asked_for_is_told_beside_the_one_handed_over() -> None:
    arm = {"value": 0.7, "seconds": 3.0, "steps": 0}
    lost = {"value": 0.6, "seconds": 9.0, "steps": 50}
    result = arms({"arms": {"chosen": arm, "features": arm}, "dropped": lost})
    assert (result["accuracy"], result["asked_accuracy"]) == (0.7, 0.6)
    assert (result["strategy_seconds"], result["steps"]) == (9.0, 50)


def test_the_table_has_ratios_and_failures() -> None:
    rows: list[dict[str, Any]] = [
        {"work": "frozen", "who": "headstart", "seconds": 10.0, "accuracy": 0.731, "load": 0.1},
        {"work": "frozen", "who": "plain", "seconds": 45.0, "accuracy": 0.72, "load": 0.1},
        {"work": "frozen", "who": "hf", "seconds": 1.0, "error": "no disk", "load": 0.1},
        {"work": "full", "who": "headstart", "seconds": 2.0, "error": "no disk", "load": 0.1},
        {"work": "full", "who": "plain", "seconds": 45.0, "load": 0.1},
    ]
    machine = {"cpu": "A", "flags": [], "cores": 2, "memory_gib": 8, "system": "L", "python": "3"}
    text = as_markdown(
        {
            "backbone": "mobilenetv2_100",
            "data": {"photos": {"train": 7}, "from": "as they are"},
            "machine": machine | {"versions": {"torch": "2"}},
            "peer_versions": {"torch": "2", "keras": "3"},
            "rows": rows,
            "ours_alone": {"limits": {"decoding alone": 12.345}},
        }
    )
    assert "| frozen | plain | 45.0 | 4.50 |" in text
    assert "| full | plain | 45.0 |  |" in text  # ours failed: there is nothing to compare with
    assert "| frozen | hf | failed |  |" in text and "hf failed at frozen: no disk" in text
    assert "Peers besides: keras 3." in text and "12.35" in text


def test_peers_write_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["peer", "--data", "d", "--weights", "w", "--out", str(tmp_path / "r.json")]
    monkeypatch.setattr(sys, "argv", arguments)
    clock = contract.Clock()
    clock.train(lambda: np.linalg.inv(np.eye(50)))
    contract.write(contract.arguments(""), "plain", clock, 0.5, 100)
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["seconds_inside"] >= record["seconds_training"]
    assert record["images_per_second"] > 0 and record["accuracy"] == 0.5
    assert "torch" in record["versions"]


def test_names_keep_the_registry_order() -> None:
    assert names("warm,frozen", registry.WORKS, "Work") == ["frozen", "warm"]
    with pytest.raises(RefusedError, match="'nonsense' is not known"):
        names("nonsense", registry.PEERS, "Peer")


@pytest.mark.parametrize(
    "words", [["--source", "nowhere"], ["--works", "nonsense"], ["--peers", "nonsense"]]
)
def test_a_mistake_is_one_sentence_and_code_2(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "fast-path", *words])
    assert main() == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
