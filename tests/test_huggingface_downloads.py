"""Downloads from a server that speaks the Hub's protocol, and life without a network."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from encoders import encoder, features, save_encoder, small_encoder, texts
from huggingface_hub import constants
from model_server import COMMIT, Served, as_the_hub, files_of, own_cache

from headstart import catalog
from headstart.errors import HeadstartError, WeightsError

NAME = "lab/tiny"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's cache in a folder of this test's own, and no way out through a proxy."""
    return own_cache(tmp_path / "hub", monkeypatch)


@pytest.fixture
def hub(hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A tiny encoder on a server of our own."""
    folder = small_encoder(tmp_path / "model")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"not wanted")
    (folder / "pytorch_model.bin").write_bytes(b"not wanted either")
    with as_the_hub(Served(NAME, files_of(folder)), monkeypatch) as served:
        yield served


def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no socket be opened from here on."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_download_is_pinned_and_brings_only_what_is_needed(
    hub: Served, tmp_path: Path, hub_cache: Path
) -> None:
    backbone = catalog.load_backbone(f"hf:{NAME}")
    assert backbone.origin.reference == f"hf:{NAME}@{COMMIT}"
    assert backbone.origin.licence == "mit"
    assert backbone.architecture.weights == COMMIT
    here = catalog.load_backbone(f"hf:{tmp_path / 'model'}")
    assert backbone.origin.weights_hash == here.origin.weights_hash
    assert backbone.preprocess == here.preprocess
    assert hub.got("model.safetensors") == [""]
    assert hub.got("model.onnx") == hub.got("pytorch_model.bin") == []
    count = len(hub.asked)
    pinned = catalog.load_backbone(f"hf:{NAME}@{COMMIT}?pooling=mean")
    assert len(hub.asked) == count  # all of that commit is here
    assert pinned.origin.reference == f"hf:{NAME}@{COMMIT}?pooling=mean"
    bare = catalog.load_backbone(backbone.architecture)
    assert len(hub.asked) == count
    assert not bare.origin.pretrained


def test_random_weights_need_no_download_of_weights(hub: Served) -> None:
    backbone = catalog.load_backbone(f"hf:{NAME}?pretrained=false")
    assert not backbone.origin.pretrained
    assert hub.got("model.safetensors") == hub.got("pytorch_model.bin") == []
    assert catalog.load_backbone(f"hf:{NAME}").origin.pretrained


def test_a_bin_is_fetched_only_where_there_is_nothing_safer(hub: Served, tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    torch.save(encoder("bert").state_dict(), path)
    hub.files |= {"pytorch_model.bin": path.read_bytes()}
    del hub.files["model.safetensors"]
    backbone = catalog.load_backbone(f"hf:{NAME}")
    assert torch.isfinite(features(backbone, texts())).all()
    assert hub.got("pytorch_model.bin") == [""]
    del hub.files["pytorch_model.bin"]


def test_a_broken_download_is_resumed(hub: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.breaks = {"model.safetensors": 5000}
    backbone = catalog.load_backbone(f"hf:{NAME}")
    assert hub.got("model.safetensors") == ["", "bytes=5000-"]
    torch.testing.assert_close(
        backbone.stages["embeddings"].state_dict()["bert.embeddings.LayerNorm.weight"],
        encoder("bert").embeddings.LayerNorm.weight.detach(),
    )


def test_a_file_that_arrives_damaged_is_refused_and_removed(hub: Served, hub_cache: Path) -> None:
    hub.spoilt = {"model.safetensors"}
    with pytest.raises(WeightsError) as caught:
        catalog.load_backbone(f"hf:{NAME}")
    assert str(caught.value) == (
        f"model.safetensors of hf:{NAME} arrived damaged: its sha256 is not what the Hub says. "
        "It was removed; try again."
    )
    assert list(hub_cache.rglob("model.safetensors")) == []
    hub.spoilt = set()
    assert catalog.load_backbone(f"hf:{NAME}").origin.pretrained


def test_a_file_that_arrives_short_is_refused(hub: Served) -> None:
    hub.short = {"model.safetensors"}
    with pytest.raises(WeightsError, match=r"could not be fetched \(.*Consistency check failed"):
        catalog.load_backbone(f"hf:{NAME}")
    hub.short = set()
    assert catalog.load_backbone(f"hf:{NAME}").origin.pretrained


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (401, "", "is not on the Hub, or not for everyone to read (401). Check the name, or log"),
        (401, "RepoNotFound", "is not on the Hub, or not for everyone to read (401)."),
        (403, "GatedRepo", "asks for its terms to be accepted."),
        (404, "RepoNotFound", "is not on the Hub (404). Check the name."),
        (404, "", "is not on the Hub (404). Check the name."),
        (404, "RevisionNotFound", "names a revision that is not on the Hub."),
        (418, "", "could not be fetched (HfHubHTTPError: "),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    hub: Served, status: int, error: str, message: str
) -> None:
    hub.status, hub.error = status, error
    with pytest.raises(WeightsError) as caught:
        catalog.load_backbone(f"hf:{NAME}@v1")
    assert str(caught.value).startswith(("hf:lab/tiny@v1 ", "The files of hf:lab/tiny@v1 "))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_weights_is_refused(hub: Served) -> None:
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    with pytest.raises(WeightsError, match=r"hf:lab/tiny has no model\.safetensors or"):
        catalog.load_backbone(f"hf:{NAME}")


def test_a_model_of_another_library_is_refused(hub: Served) -> None:
    hub.files = {"weights.gguf": b"0"}
    with pytest.raises(HeadstartError, match=r"hf:lab/tiny has no config\.json"):
        catalog.load_backbone(f"hf:{NAME}")


def test_what_is_cached_loads_without_a_socket(
    hub: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = catalog.load_backbone(f"hf:{NAME}")
    monkeypatch.chdir(tmp_path / "model")
    cut_off(monkeypatch)
    for offline in (True, False):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        backbone = catalog.load_backbone(f"hf:{NAME}")
        assert backbone.origin == expected.origin
        (card,) = catalog.hub("hf").cards("lab/*")
        assert (card.reference, card.at_hand, card.licence) == (f"hf:{NAME}", True, "mit")
        with pytest.raises(WeightsError) as caught:
            catalog.load_backbone(f"hf:{NAME}@v2")
        assert str(caught.value) == (
            f"hf:{NAME}@v2 is not on this machine, and there is no network. "
            "Give a local folder, or a model that `headstart backbones 'hf:*'` lists."
        )


def test_weights_that_were_never_fetched_are_missed_offline(
    hub: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.load_backbone(f"hf:{NAME}?pretrained=false")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    cut_off(monkeypatch)
    assert not catalog.load_backbone(f"hf:{NAME}?pretrained=false").origin.pretrained
    with pytest.raises(WeightsError, match=r"hf:lab/tiny has no model\.safetensors"):
        catalog.load_backbone(f"hf:{NAME}")


def test_an_empty_cache_has_no_cards(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off(monkeypatch)
    assert [card for card in catalog.hub("hf").cards("*") if "/" in card.reference] == []


OFFLINE = """
import socket, sys

def refuse(*_, **__):
    raise AssertionError("a socket was opened")

class Refused(socket.socket):
    __init__ = refuse

socket.socket = Refused
socket.create_connection = socket.getaddrinfo = refuse
from headstart import catalog
list(catalog.hub("hf").cards("*"))
print("transformers" in sys.modules)
for reference in sys.argv[1:]:
    print(catalog.load_backbone(reference).origin.weights_hash)
"""


@pytest.mark.slow
def test_a_fresh_process_opens_no_socket_offline(hub: Served, tmp_path: Path) -> None:
    """Without a tokenizer.json, transformers makes one, which must not look for it elsewhere."""
    old = save_encoder(tmp_path / "old", encoder("bert"), tokens=False)
    (old / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nw\n")
    references = [f"hf:{NAME}", f"hf:{tmp_path / 'model'}", f"hf:{old}"]
    hashes = [catalog.load_backbone(name).origin.weights_hash for name in references]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", OFFLINE, *references],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": constants.HF_HUB_CACHE},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", *hashes]
    assert done.stderr == ""
