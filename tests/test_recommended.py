"""No backbone named and none at hand: a small one is fetched, or the user is told what to do."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import timm
import torch
from conftest import write_pictures
from encoders import small_encoder
from model_server import Served, as_the_hub, files_of, own_cache
from safetensors.torch import save
from tiny import Recording

import headstart as hs
from headstart import catalog
from headstart.contracts.references import parse
from headstart.hubs import packaged
from headstart.pipeline.selection.candidates import RECOMMENDED

MODALITIES = ("image", "text")
every_modality = pytest.mark.parametrize("modality", MODALITIES)


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without weights, be it in a cache, a package or this folder."""
    own_cache(tmp_path / "hub", monkeypatch)
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    for variable in ("TORCH_HOME", "KERAS_HOME", "TFHUB_CACHE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def data(folder: Path, modality: str) -> Path:
    """A few items of two classes."""
    if modality == "image":
        return write_pictures(folder / "photos", {"ants": 12, "bees": 12})
    rows = [("good fine", "yes"), ("bad ugly", "no")]
    with open(folder / "texts.csv", "w", newline="") as file:
        many = [(f"{text} {number}", label) for number in range(12) for text, label in rows]
        csv.writer(file).writerows([("text", "label"), *many])
    return folder / "texts.csv"


def published(folder: Path, modality: str) -> Served:
    """What the Hub has under the recommended name, with weights of nobody's training."""
    name = parse(RECOMMENDED[modality].reference).name
    if modality == "text":
        return Served(name, files_of(small_encoder(folder / "encoder")))
    torch.manual_seed(0)
    network = timm.create_model(name.partition(".")[0])
    return Served(f"timm/{name}", {"model.safetensors": save(network.state_dict())})


@every_modality
def test_it_is_announced_fetched_and_used(
    modality: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, progress = RECOMMENDED[modality], Recording()
    place = data(tmp_path, modality)
    with as_the_hub(published(tmp_path, modality), monkeypatch) as served:
        first = hs.rank(place, settings=hs.Settings(device="cpu"), progress=progress)
    assert served.got("model.safetensors")
    assert [row.backbone for row in first.rows] == [expected.reference]
    announced = [text for text in progress.said if f"{expected.megabytes:g} MB" in text]
    assert len(announced) == 1 and expected.licence in announced[0]
    again = Recording()  # the server is gone: it is at hand now
    second = hs.rank(place, settings=hs.Settings(device="cpu"), progress=again)
    assert [row.backbone for row in second.rows] == [expected.reference]
    assert not any("Fetching" in text for text in again.said)


@every_modality
def test_offline_says_what_to_do(modality: str, tmp_path: Path, no_network: None) -> None:
    advice = r"offline none is fetched\. Run: pip install 'headstart\[weights\]'"
    with pytest.raises(hs.HeadstartError, match=advice):
        hs.fit(data(tmp_path, modality), out=tmp_path / "out", settings=hs.Settings(offline=True))
    assert not (tmp_path / "out").exists()


@every_modality
def test_where_no_hub_is_reached_the_package_is_named(
    modality: str, tmp_path: Path, no_network: None
) -> None:
    with pytest.raises(hs.HeadstartError, match=r"none could be fetched: .*'headstart\[weights\]'"):
        hs.fit(data(tmp_path, modality), out=tmp_path / "out")


@every_modality
def test_it_is_the_network_that_the_package_brings(modality: str) -> None:
    (brought,) = [each for each in packaged.KNOWN.values() if each.modality == modality]
    name = parse(RECOMMENDED[modality].reference).name.rpartition("/")[2]
    own = brought.name or next(n for n, each in packaged.KNOWN.items() if each is brought)
    assert name.lower().partition(".")[0] == own
    assert RECOMMENDED[modality].megabytes == pytest.approx(brought.parameters * 4e-6, rel=0.02)


def test_sizes_are_those_of_the_networks() -> None:
    network = catalog.load_backbone("timm:tf_efficientnet_lite0?pretrained=false")
    total = sum(p.numel() for stage in network.prefix() for p in stage.parameters())
    assert total + 1280 * 1000 + 1000 == packaged.KNOWN["efficientnet-lite0"].parameters
