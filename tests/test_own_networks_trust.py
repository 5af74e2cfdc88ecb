"""Networks in the user's own files: nothing runs that isn't trusted, in saved models neither."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from own_networks import SOURCE, TRUST, export, load, network, script, settle
from told import run
from torch import nn

import headstart as hs
from headstart import catalog
from headstart.contracts.model import Model
from headstart.contracts.references import parse
from headstart.errors import HeadstartError, WeightsError
from headstart.loading.weights import save


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one Python file, in which nothing is trusted yet."""
    return settle(tmp_path, monkeypatch)


# --- trust ---


@dataclass
class Opens:
    """Unpickled, it makes a file."""

    path: str

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (self.path, "w")


@pytest.mark.parametrize("options", ["size=8", "trust=false"])
def test_nothing_runs_untrusted(here: Path, options: str) -> None:
    script(here / "network.pt")
    export(here / "network.pt2")
    (here / "ran").unlink(missing_ok=True)
    for name in ("networks.py:small", "network.pt", "network.pt2"):
        with pytest.raises(HeadstartError, match=r"add \?trust=true, or set .*HEADSTART_TRUST="):
            load(name, options)
    assert not (here / "ran").exists()


def test_trust_is_for_this_content_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRUST, f"other, {sha256(SOURCE.encode()).hexdigest()}")
    assert load(options="size=8").feature_dim == 6
    (here / "networks.py").write_text(SOURCE + "\n")
    with pytest.raises(HeadstartError, match="is not trusted"):
        load(options="size=8")
    monkeypatch.setenv(TRUST, "1")
    assert load(options="size=8").feature_dim == 6


def test_a_malicious_pickle_is_refused(here: Path) -> None:
    trap = here / "sprung"
    (here / "weights.pth").write_bytes(pickle.dumps({"a": Opens(str(trap))}))
    torch.save({"a": Opens(str(trap))}, here / "weights.th")
    for name in ("weights.pth", "weights.th"):
        with pytest.raises(WeightsError, match=r"wants to run code|can't be read as a state dict"):
            load(f"networks.py:small@{name}")
    assert not trap.exists()


@pytest.mark.parametrize(
    "where",
    [
        "data/sample_inputs/model.pt",
        "data/weights/weight_0",
        "data/weights/model.pt",  # of older versions of torch
        "data/weights/model_weights_config.json",
        "data/constants/model_constants_config.json",
    ],
)
def test_a_malicious_exported_program_is_refused(here: Path, where: str) -> None:
    export(here / "network.pt2")
    trap, spoilt, bait = here / "sprung", here / "spoilt.pt2", io.BytesIO()
    torch.save(Opens(str(trap)), bait)
    with zipfile.ZipFile(here / "network.pt2") as archive:
        if not any(name.endswith(where) for name in archive.namelist()):
            pytest.skip(f"torch {torch.__version__} writes no {where}")
    with zipfile.ZipFile(here / "network.pt2") as old, zipfile.ZipFile(spoilt, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("weights_config.json") and "weights" in where:
                content = content.replace(b'"use_pickle": false', b'"use_pickle": true')
            new.writestr(name, bait.getvalue() if name.endswith(where) else content)
    with pytest.raises(WeightsError, match="more than a program over tensors"):
        load("spoilt.pt2")
    assert not trap.exists()


# --- saved models ---


def fit(pictures: Path, reference: str, out: Path, strategy: str = "feature-extraction") -> Path:
    """A saved model on the user's network."""
    settings = hs.Settings(scratch=False, epochs=1)
    return hs.fit(pictures, reference, out, strategy=strategy, settings=settings).folder


@pytest.mark.slow
def test_a_saved_model_takes_the_file_along_and_asks_again(
    here: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(network().state_dict(), here / "weights.safetensors", {})
    reference = "file:networks.py:small@weights.safetensors?size=8&trust=true"
    saved = fit(pictures, reference, here / "model", "full-fine-tuning")
    moved = Path(shutil.move(saved, here / "moved"))
    (here / "networks.py").unlink()
    (here / "ran").unlink()
    record = json.loads((moved / "headstart.json").read_text())
    digest = sha256(SOURCE.encode()).hexdigest()
    architecture = parse(record["architecture"])
    assert (architecture.name, architecture.options["sha256"]) == (".", digest)
    assert architecture.options["trust"] == "true"
    picture = str(next(pictures.rglob("*.png")))
    trusted = hs.load(moved).predict([picture])[0]
    assert (moved / "ran").exists()

    (moved / "ran").unlink()
    monkeypatch.setenv(TRUST, "")
    with pytest.raises(HeadstartError, match=f"is not trusted.*HEADSTART_TRUST={digest}"):
        hs.load(moved)
    sentence = run("predict", moved, picture).sentence()
    assert "is code that would run with your rights" in sentence
    assert not (moved / "ran").exists()

    monkeypatch.setenv(TRUST, digest)
    assert hs.load(moved).predict([picture])[0].label == trusted.label
    again = catalog.load_backbone(f"checkpoint:{moved}")
    assert again.origin.pretrained and again.files == {"networks.py": SOURCE.encode()}
    (moved / "networks.py").write_text(SOURCE + "# more\n")
    with pytest.raises(HeadstartError, match="has changed since it was saved"):
        hs.load(moved)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_programs_are_saved_and_opened_again(here: Path, pictures: Path, kind: str) -> None:
    (script if kind == "pt" else export)(here / f"network.{kind}")
    strategy = "full-fine-tuning" if kind == "pt" else "feature-extraction"
    saved = fit(pictures, f"file:network.{kind}?size=8&trust=true", here / "model", strategy)
    assert (saved / f"network.{kind}").read_bytes() == (here / f"network.{kind}").read_bytes()


def test_a_strangers_model_runs_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its record says, in whatever spelling."""
    backbone = load()
    state = Model.of(backbone, nn.Identity()).backbone_state()
    digest = sha256(SOURCE.encode()).hexdigest()
    (here / "ran").unlink()
    monkeypatch.setenv(TRUST, "")
    for number, name in enumerate(("networks.py:small", "./networks.py:small", ".")):
        folder = here / f"stranger{number}"
        folder.mkdir()
        (folder / "networks.py").write_text(SOURCE)
        save(state, folder / "model.safetensors", {})
        record = f"file:{name}?network=networks.py:small&trust=true&sha256={digest}&size=8"
        content = {"format": 1, "architecture": record}
        (folder / "headstart.json").write_text(json.dumps(content))
        with pytest.raises(HeadstartError, match=r"is not trusted|does not lie in the folder"):
            catalog.load_backbone(f"checkpoint:{folder.name}?trust=true")
        assert not (here / "ran").exists() and not (folder / "ran").exists()
    monkeypatch.setenv(TRUST, digest)
    assert catalog.load_backbone("checkpoint:stranger2").files == {"networks.py": SOURCE.encode()}
    assert (here / "stranger2" / "ran").exists()
    (here / "stranger2" / "networks.py").write_text(SOURCE + "# more\n")
    with pytest.raises(HeadstartError, match="has changed since the model was made"):
        catalog.load_backbone("checkpoint:stranger2")
