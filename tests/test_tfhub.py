"""TensorFlow Hub: archives by handle, fetched once, compared ever after, and then plain graphs."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from archives import special, tar_of
from file_server import Served, connected, serving
from graph_networks import classifier
from huggingface_hub import constants

from headstart import catalog
from headstart.contracts.model import Model
from headstart.contracts.references import Reference, parse
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.tfhub import KNOWN

HANDLE = "tiny/network/1"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A mirror of TensorFlow Hub with one handle, whose archive holds an ONNX file."""
    connected(monkeypatch)
    folder = tmp_path / "served" / "tiny" / "network"
    folder.mkdir(parents=True)
    content = classifier(tmp_path / "network.onnx").read_bytes()
    tar_of(folder / "1", ("./network.onnx", content))
    with serving(tmp_path / "served") as address:
        monkeypatch.setenv("HEADSTART_TFHUB", f"{address}/")
        monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
        yield address


def resolve(text: str) -> Reference:
    """What a reference to TensorFlow Hub stands for."""
    return catalog.hub("tfhub").resolve(parse(text))


def saved_model(served: Served, name: str = "tiny/network/1", inside: str = "") -> None:
    """Serve an archive with what looks like a SavedModel."""
    members = ("saved_model.pb", b"graph"), ("variables/variables.index", b"weights")
    tar_of(served.folder / name, *((f"{inside}{path}", content) for path, content in members))


def test_a_handle_stands_for_the_graph_in_its_archive(served: Served, own_cache: Path) -> None:
    spec = resolve(f"tfhub:{HANDLE}?size=8&crop=0.9")
    assert (spec.hub, spec.options) == ("graph", {"size": "8", "crop": "0.9"})
    name = hashlib.sha1(f"{served}/{HANDLE}".encode()).hexdigest()
    assert spec.name == str(own_cache / "tfhub" / name / "network.onnx")
    assert served.asked == [(f"{HANDLE}?tf-hub-format=compressed", "")]
    assert resolve(f"tfhub:{HANDLE}/").name == spec.name
    assert len(served.asked) == 1


def test_the_network_comes_with_its_own_name(served: Served) -> None:
    backbone = catalog.load_backbone(f"tfhub:{HANDLE}")
    assert backbone.origin.reference == f"tfhub:{HANDLE}"
    assert backbone.feature_dim == 6
    features = Model.of(backbone, torch.nn.Identity()).eval()(torch.zeros(2, 3, 8, 8))
    assert features.shape == (2, 6)


@pytest.mark.parametrize("inside", ["", "model/"])
def test_saved_models_are_fed_from_zero_to_one(served: Served, inside: str) -> None:
    saved_model(served, inside=inside)
    spec = resolve(f"tfhub:{HANDLE}?mean=0.5")
    assert (Path(spec.name) / "saved_model.pb").read_bytes() == b"graph"
    assert spec.options == {"mean": "0.5", "std": "1"}


def test_known_handles_say_their_size(served: Served) -> None:
    handle = "google/imagenet/inception_v3/feature_vector/5"
    (served.folder / handle).parent.mkdir(parents=True)
    saved_model(served, handle)
    assert resolve(f"tfhub:{handle}").options == {
        "mean": "0",
        "std": "1",
        "size": "299",
        "head": "false",  # a feature vector has no classifier
    }
    assert resolve(f"tfhub:{handle}?size=200").options["size"] == "200"


def test_a_whole_address_and_the_librarys_cache(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "theirs"))
    monkeypatch.delenv("HEADSTART_TFHUB")
    (served.folder / "a.tar.gz").write_bytes((served.folder / HANDLE).read_bytes())
    spec = resolve(f"tfhub:{served}/a.tar.gz")
    assert served.asked == [("a.tar.gz", "")] and Path(spec.name).is_file()
    resolve(f"tfhub:{served}/{HANDLE}?tf-hub-format=compressed")
    assert served.asked[1:] == [(f"{HANDLE}?tf-hub-format=compressed", "")]
    theirs = tmp_path / "theirs" / hashlib.sha1(b"https://tfhub.dev/a/b").hexdigest()
    theirs.mkdir()
    (theirs / "saved_model.pb").touch()
    assert resolve("tfhub:a/b").name == str(theirs)
    with pytest.raises(WeightsError, match="an unknown sha256, not beef"):
        resolve("tfhub:a/b?sha256=beef")


def test_hashes_are_kept_and_demanded(served: Served) -> None:
    digest = hashlib.sha256((served.folder / HANDLE).read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=f"its sha256 is {digest}, not {'0' * 64}"):
        resolve(f"tfhub:{HANDLE}?sha256={'0' * 64}")
    spec = resolve(f"tfhub:{HANDLE}?sha256={digest}")
    assert "sha256" not in spec.options
    folder = Path(spec.name).parent
    record = folder.with_name(f"{folder.name}.headstart.json")
    assert json.loads(record.read_text())["sha256"] == digest
    with pytest.raises(WeightsError, match=f"sha256 {digest}, not {'0' * 64}"):
        resolve(f"tfhub:{HANDLE}?sha256={'0' * 64}")
    Path(spec.name).write_bytes(b"spoilt")
    with pytest.raises(WeightsError, match=f"tfhub:{HANDLE} has changed .* Remove {folder}"):
        resolve(f"tfhub:{HANDLE}")


@pytest.mark.parametrize(
    "name", ["network", "../a/b", "a//b", "a/../b", "a b/c", "file:///etc/passwd"]
)
def test_what_is_no_handle_is_refused(name: str) -> None:
    with pytest.raises(HeadstartError, match="is not a handle of TensorFlow Hub"):
        resolve(f"tfhub:{name}")


def test_archives_without_one_graph_are_refused(served: Served) -> None:
    for number, names in enumerate([(), ("a.onnx", "b.tflite"), ("a/saved_model.pb", "b.onnx")]):
        tar_of(served.folder / str(number), *((name, b"") for name in (*names, "README")))
        if number < 2:
            with pytest.raises(WeightsError, match=f"0 SavedModels and {2 * number} other graphs"):
                resolve(f"tfhub:{served}/{number}")
        else:
            assert resolve(f"tfhub:{served}/{number}").name.endswith("/a")


def test_a_malicious_archive_leaves_nothing(served: Served, own_cache: Path) -> None:
    tar_of(served.folder / HANDLE, special("../../up", b"2", "/etc/passwd"))
    with pytest.raises(WeightsError, match="leads outside it, so that nothing of it was unpacked"):
        resolve(f"tfhub:{HANDLE}")
    assert os.listdir(own_cache / "tfhub") == []


def test_absent_handles_are_one_sentence(served: Served) -> None:
    with pytest.raises(WeightsError) as caught:
        catalog.load_backbone("tfhub:no/such/1")
    assert str(caught.value) == (
        f"tfhub:no/such/1 could not be fetched from {served}/no/such/1?tf-hub-format=compressed "
        "(HTTPError: HTTP Error 404: Not Found). Check the handle and the connection, and try "
        "again; what arrived is kept."
    )


def test_offline_opens_no_socket(monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    resolve(f"tfhub:{HANDLE}")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert resolve(f"tfhub:{HANDLE}").hub == "graph"
    with pytest.raises(WeightsError, match=r"tfhub:other/one .*\(HF_HUB_OFFLINE forbids it"):
        resolve("tfhub:other/one")


def test_cards_tell_what_is_known_and_what_is_at_hand(served: Served) -> None:
    hub = catalog.hub("tfhub")
    entries = {card.reference: card for card in hub.cards("*")}
    assert len(entries) == len(KNOWN)
    card = entries["tfhub:google/imagenet/mobilenet_v2_100_224/feature_vector/5"]
    assert (card.parameters, card.input, card.licence) == (2_257_984, "3x224x224", "Apache-2.0")
    assert (card.accuracy, card.at_hand, card.modality) == (None, False, "image")
    resolve(f"tfhub:{HANDLE}")
    (tiny,) = hub.cards("tiny/*")
    assert (tiny.reference, tiny.at_hand, tiny.licence) == (f"tfhub:{HANDLE}", True, None)
    assert len(list(hub.cards("*"))) == len(KNOWN) + 1


def test_the_hub_only_points_elsewhere() -> None:
    with pytest.raises(HeadstartError, match="Resolve it first"):
        catalog.hub("tfhub").load(parse(f"tfhub:{HANDLE}"))
